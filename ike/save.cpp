// SPDX-License-Identifier: Apache-2.0
#include "ike/save.hpp"

#include <algorithm>

#include "ike/archive.hpp"

// describe() is found by argument-dependent lookup, so the overload of a type stands in that type's namespace.
namespace sluice::net {
template <class A>
void describe(A& a, Endpoint& v) {
    ike::fields(a, v.address, v.port);
}
}  // namespace sluice::net

namespace sluice::crypto {
template <class A>
void describe(A& a, CipherKeys& v) {
    ike::fields(a, v.encr, v.key_bits, v.integ, v.encr_key, v.integ_key);
}
}  // namespace sluice::crypto

namespace sluice::ipsec {
template <class A>
void describe(A& a, Transform& v) {
    ike::fields(a, v.type, v.id, v.key_bits);
}
template <class A>
void describe(A& a, Proposal& v) {
    ike::fields(a, v.number, v.protocol, v.spi, v.transforms);
}
template <class A>
void describe(A& a, Suite& v) {
    ike::fields(a, v.encr, v.key_bits, v.integ, v.prf, v.group, v.esn);
}
template <class A>
void describe(A& a, TrafficSelector& v) {
    ike::fields(a, v.range.first, v.range.last, v.protocol, v.start_port, v.end_port);
}
template <class A>
void describe(A& a, PacketSelector& v) {
    ike::fields(a, v.source, v.destination, v.protocol, v.ports_known, v.source_port, v.destination_port);
}
}  // namespace sluice::ipsec

namespace sluice::ike {

template <class A>
void describe(A& a, Identity& v) {
    fields(a, v.type, v.data);
}
template <class A>
void describe(A& a, Path& v) {
    fields(a, v.local, v.remote, v.marker);
}
template <class A>
void describe(A& a, IkeKeys& v) {
    fields(a, v.sk_d, v.sk_pi, v.sk_pr, v.initiator, v.responder);
}
template <class A>
void describe(A& a, DhWait& v) {
    fields(a, v.group, v.private_key, v.peer_public);  // job: helpers do not outlive their daemon
}
template <class A>
void describe(A& a, KeyExchange& v) {
    fields(a, v.group, v.private_key, v.public_value, v.peer_public, v.tried);
}
template <class A>
void describe(A& a, Handshake& v) {
    fields(a, v.nonce_i, v.nonce_r, v.request, v.response, v.ke, v.cookie, v.restarts, v.suite, v.refusal);
    fields(a, v.signature_hashes, v.certs_asked, v.ppk, v.mix);
}
template <class A>
void describe(A& a, ChildOffer& v) {
    fields(a, v.child, v.packet, v.single_pair, v.spi, v.proposals, v.local_ts, v.remote_ts, v.nonce, v.ke, v.retries,
           v.rekeys, v.gone, v.peer_nonce, v.suite, v.peer_spi, v.answer_local_ts, v.answer_remote_ts);
}
template <class A>
void describe(A& a, IkeOffer& v) {
    fields(a, v.spi, v.nonce, v.ke, v.retries, v.peer_nonce, v.suite, v.peer_spi);
}
template <class A>
void describe(A& a, Task& v) {
    fields(a, v.kind, v.offer, v.spis, v.ike, v.not_before);
}
template <class A>
void describe(A& a, ReassemblyPart& v) {
    fields(a, v.number, v.text);
}
template <class A>
void describe(A& a, Reassembly& v) {
    fields(a, v.message_id, v.total, v.first, v.first_hash, v.parts, v.expires);
}
template <class A>
void describe(A& a, Request& v) {
    fields(a, v.message_id, v.exchange, v.bytes, v.repeats, v.answered, v.next);
}
template <class A>
void describe(A& a, AuthWait& v) {
    fields(a, v.response);  // job: as DhWait's
}
template <class A>
void describe(A& a, Served& v) {
    fields(a, v.bytes, v.path, v.dh, v.auth);
}
template <class A>
void describe(A& a, Child& v) {
    fields(a, v.sa, v.state, v.initiated, v.group, v.low_nonce, v.replaces, v.installed, v.rekey_at, v.expires,
           v.pause);
}
template <class A>
void describe(A& a, IkeSa& v) {
    fields(a, v.id, v.phase, v.initiator, v.superseded, v.persistent, v.local_spi, v.remote_spi, v.path, v.nat_local,
           v.nat_remote, v.suite, v.keys, v.local_id, v.remote_id, v.low_nonce, v.handshake, v.request_hash);
    fields(a, v.next_id, v.active, v.request, v.dh, v.auth, v.queue);
    fields(a, v.expected_id, v.last_response, v.last_request_hash, v.served);
    fields(a, v.fragments, v.request_parts, v.response_parts);
    fields(a, v.children);
    fields(a, v.created, v.authenticated, v.established, v.expires, v.last_heard, v.next_check, v.last_sent,
           v.restart_at, v.restart);
    fields(a, v.rekey_at, v.reauth_at, v.rival, v.rival_of, v.reauthenticates, v.reauthenticated_by, v.asked);
}

namespace {

// Enumerators and sizes that the code switches on or asserts, checked where they come in.
bool sane_keys(const crypto::CipherKeys& keys) {
    const crypto::EncrInfo* encr = crypto::find_encr(keys.encr);
    if (!encr || !crypto::key_bits_valid(keys.encr, keys.key_bits)) return false;
    const crypto::IntegInfo* integ = crypto::find_integ(keys.integ);
    const std::size_t integ_size = keys.integ == crypto::Integ::none || !integ ? 0 : integ->key;
    return keys.encr_key.size() == crypto::keymat_size(keys.encr, keys.key_bits) && keys.integ_key.size() == integ_size;
}

bool sane(const IkeSa& sa) {
    if (sa.phase > Phase::closed || sa.local_spi == 0) return false;
    const bool keyed = sa.phase == Phase::auth || sa.phase == Phase::established || sa.phase == Phase::deleting;
    if (keyed && (!sane_keys(sa.keys.initiator) || !sane_keys(sa.keys.responder) || !crypto::find_prf(sa.suite.prf)))
        return false;
    if ((sa.request || sa.auth) && !sa.active) return false;
    if (sa.phase == Phase::init && sa.initiator && !sa.active) return false;
    return true;
}

bool has_child(const ConnectionConfig& connection, const Task& task) {
    const bool makes =
        task.kind == TaskKind::init || task.kind == TaskKind::auth || task.kind == TaskKind::create_child;
    return !makes || find_child(connection, task.offer.child);
}

void renumber(EngineState& engine, IkeSa& sa) {
    if (sa.id.value == 0 || engine.table.find(sa.id)) sa.id = IkeSaId(engine.next_ike_id);
    engine.next_ike_id = std::max(engine.next_ike_id, sa.id.value + 1);
    for (Child& child : sa.children) {
        child.sa.ike = sa.id;
        if (child.sa.id.value == 0 || engine.child_owners.count(child.sa.id) != 0)
            child.sa.id = ChildSaId(engine.next_child_id);
        engine.next_child_id = std::max(engine.next_child_id, child.sa.id.value + 1);
    }
}

}  // namespace

ByteVec save_ike_sa(const EngineState& engine, const IkeSa& sa) {
    SaveArchive archive(engine.now);
    archive.value(kSavedVersion);
    archive.value(sa.connection->name);
    archive.value(engine.iv_counter);
    IkeSa copy = sa;  // describe() takes what both archives can take
    describe(archive, copy);
    return std::move(archive).take();
}

Result<IkeSa> load_ike_sa(EngineState& engine, Bytes saved, Instant now) {
    LoadArchive archive(saved, now);
    std::uint8_t version = 0;
    std::string name;
    std::uint64_t iv_counter = 0;
    fields(archive, version);
    if (!archive.ok() || version != kSavedVersion)
        return fail(ErrorCode::unsupported, "saved IKE SA has version " + std::to_string(version) + ", expected " +
                                                std::to_string(kSavedVersion));
    fields(archive, name, iv_counter);
    IkeSa sa;
    describe(archive, sa);
    if (!archive.finished() || !sane(sa)) return fail(ErrorCode::invalid, "saved IKE SA breaks its format");
    sa.connection = find_connection(engine.connections, name);
    if (!sa.connection)
        return fail(ErrorCode::not_found, "saved IKE SA belongs to connection '" + name + "', which is not configured");
    if (sa.active && !has_child(*sa.connection, *sa.active))
        return fail(ErrorCode::not_found,
                    "saved IKE SA negotiates child '" + sa.active->offer.child + "', which is not configured");
    std::erase_if(sa.queue, [&](const Task& task) { return !has_child(*sa.connection, task); });
    engine.iv_counter = std::max(engine.iv_counter, iv_counter);
    renumber(engine, sa);
    return sa;
}

}  // namespace sluice::ike
