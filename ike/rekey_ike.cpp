// SPDX-License-Identifier: Apache-2.0
#include "ike/rekey_ike.hpp"

#include <algorithm>
#include <utility>

#include "ike/auth_exchange.hpp"
#include "ike/init.hpp"
#include "ike/key_log.hpp"

namespace sluice::ike {
namespace {

// RFC 7296 2.25: what is being created, changed or closed here makes the peer wait.
bool child_work_under_way(const IkeSa& sa) {
    return sa.active && (sa.active->kind == TaskKind::create_child || sa.active->kind == TaskKind::delete_child);
}

}  // namespace

ByteVec ike_spi_bytes(std::uint64_t spi) {
    ByteWriter out;
    out.u64(spi);
    return std::move(out).take();
}

std::uint64_t ike_spi_of(const ipsec::Proposal& proposal) {
    return proposal.spi.size() == 8 ? ByteReader(proposal.spi).u64().value_or(0) : 0;
}

IkeSa& make_successor(EngineState& engine, IkeSa& old, const Successor& made) {
    IkeSa fresh{.connection = old.connection, .phase = Phase::established, .path = old.path};
    fresh.initiator = made.role == Role::initiator;
    fresh.id = IkeSaId(engine.next_ike_id++);
    fresh.local_spi = made.local_spi;
    fresh.remote_spi = made.remote_spi;
    fresh.nat_local = old.nat_local;
    fresh.nat_remote = old.nat_remote;
    fresh.fragments = old.fragments;
    fresh.local_id = old.local_id;
    fresh.remote_id = old.remote_id;
    fresh.created = old.created;
    fresh.authenticated = old.authenticated;
    fresh.reauth_at = old.reauth_at;
    // Due, and under way: nothing is gained by rekeying meanwhile.
    if (old.connection->reauth_time.count() != 0 && old.reauth_at == Instant{})
        fresh.reauth_at = engine.now + kRekeyRetry;
    fresh.suite = made.suite;
    fresh.low_nonce = std::min(to_vec(made.nonces.i), to_vec(made.nonces.r));
    const SecretBytes seed = rekey_skeyseed(old.suite.prf, old.keys.sk_d, made.nonces, made.shared);
    fresh.keys = derive_ike_keys(fresh.suite, seed, made.nonces, {fresh.initiator_spi(), fresh.responder_spi()});
    IkeSa& next = engine.table.insert(std::move(fresh));
    set_established(engine, next);
    if (engine.config.key_log) log_ike_keys(engine, next);
    old.superseded = true;
    old.expires = engine.now + kLinger;  // who began it deletes it; if that is lost it goes by itself
    old.next_check = {};
    touch(engine, old);
    touch(engine, next);
    return next;
}

void move_children(EngineState& engine, IkeSa& from, IkeSa& to) {
    for (Child& child : from.children) {
        child.sa.ike = to.id;
        engine.child_owners[child.sa.id] = to.id;
        to.children.push_back(std::move(child));
    }
    from.children.clear();
    for (Task& task : from.queue)
        if (task.kind != TaskKind::rekey_ike) to.queue.push_back(std::move(task));
    from.queue.clear();
    if (IkeSa* fresh = from.reauthenticated_by != 0 ? engine.table.by_local_spi(from.reauthenticated_by) : nullptr) {
        fresh->reauthenticates = to.local_spi;
        to.reauthenticated_by = std::exchange(from.reauthenticated_by, 0);
    }
    touch(engine, from);
    touch(engine, to);
}

void claim_children(EngineState& engine, IkeSa& rival) {
    IkeSa* old = rival.rival_of != 0 ? engine.table.by_local_spi(rival.rival_of) : nullptr;
    rival.rival_of = 0;
    if (old && old->rival == rival.local_spi) move_children(engine, *old, rival);
}

void yield_to_rival(EngineState& engine, IkeSa& sa) {
    if (sa.rival == 0) return;
    IkeSa* rival = engine.table.by_local_spi(sa.rival);
    sa.rival = 0;
    if (rival && rival->usable()) move_children(engine, sa, *rival);
}

void rekey_ike_request(EngineState& engine, IkeSa& sa, const PeerRequest& request) {
    if (child_work_under_way(sa)) return refuse(engine, sa, request, make_notify(NotifyType::temporary_failure));
    const auto* ke = request.message.find<KePayload>();
    const auto* nonce = request.message.find<NoncePayload>();
    const auto& offered = request.message.find<SaPayload>()->proposals;
    const auto selection = select_with_group(sa.connection->proposals, offered, ke ? ke->group : crypto::Group::none);
    const std::uint64_t peer_spi = selection ? ike_spi_of(selection->chosen) : 0;
    if (!selection || peer_spi == 0) {
        ++engine.counters.proposals_refused;
        return refuse(engine, sa, request, make_notify(NotifyType::no_proposal_chosen));
    }
    if (ke_ready(engine, sa, request, selection->suite.group) == Ready::no) return;

    const ByteVec own_nonce = random_bytes(engine, kNonceSize);
    IkeSa& next = make_successor(engine, sa,
                                 {.suite = selection->suite,
                                  .local_spi = new_ike_spi(engine),
                                  .remote_spi = peer_spi,
                                  .nonces = {nonce->data, own_nonce},
                                  .shared = request.outcome->shared});
    ipsec::Proposal chosen = selection->chosen;
    chosen.spi = ike_spi_bytes(next.local_spi);
    const std::vector<Payload> payloads{SaPayload{{chosen}}, NoncePayload{own_nonce},
                                        KePayload{ke->group, request.outcome->pair.public_value}};
    respond(engine, sa, request.path, request.message.header, payloads);
    next.path = request.path;
    if (rekeying_ike(sa)) {
        sa.rival = next.local_spi;
        next.rival_of = sa.local_spi;
        return;
    }
    if (sa.active && sa.active->kind == TaskKind::rekey_ike) end_task(engine, sa);  // nothing was sent
    move_children(engine, sa, next);
}

}  // namespace sluice::ike
