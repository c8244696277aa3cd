// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "ike/init.hpp"
#include "ike/key_log.hpp"
#include "ike/natd.hpp"
#include "ike/proof.hpp"
#include "lib/crypto/prf.hpp"

namespace sluice::ike {
namespace {

// An answer outside of any IKE SA: nothing is kept for it.
void answer_plain(EngineState& engine, const Datagram& datagram, const Header& request, NotifyPayload payload) {
    Message answer{.header = request};
    answer.header.initiator = false;
    answer.header.response = true;
    answer.payloads.push_back(std::move(payload));
    engine.out.push_back(Send{datagram.local, datagram.remote, build_message(answer), datagram.marker});
}

ByteVec hash_of(Bytes bytes) {
    const auto hash = crypto::sha256({bytes});
    return {hash.begin(), hash.end()};
}

// The half-open limits. A flood from anywhere first costs its sender a cookie, then is dropped.
enum class Gate { pass, cookie, drop };
Gate gate(const EngineState& engine, const net::IpAddress& address) {
    const std::size_t all = engine.table.half_open();
    const std::size_t of_address = engine.table.half_open(address);
    if (all >= engine.config.half_open_limit || of_address >= engine.config.half_open_limit_ip) return Gate::drop;
    const bool flood = all >= engine.config.cookie_threshold || of_address >= engine.config.cookie_threshold_ip;
    return flood ? Gate::cookie : Gate::pass;
}

// True: go on. Otherwise it was answered or dropped.
bool pass_gate(EngineState& engine, const Datagram& datagram, const Message& message) {
    const Gate found = gate(engine, datagram.remote.address);
    if (found == Gate::pass) return true;
    if (found == Gate::drop) {
        ++engine.counters.half_open_dropped;
        return false;
    }
    if (!engine.cookies) engine.cookies.emplace(*engine.random, engine.now);
    const CookieClaim claim{message.find<NoncePayload>()->data, datagram.remote.address, message.header.initiator_spi};
    if (const auto* cookie = message.notify(NotifyType::cookie)) {
        if (engine.cookies->check(claim, cookie->data, engine.now)) return true;
        ++engine.counters.cookies_refused;
    }
    ++engine.counters.cookies_sent;
    answer_plain(engine, datagram, message.header,
                 make_notify(NotifyType::cookie, engine.cookies->make(claim, engine.now)));
    return false;
}

std::string list_text(const ipsec::Proposals& proposals) {
    std::string text;
    for (const ipsec::Proposal& proposal : proposals) text += (text.empty() ? "" : ", ") + to_string(proposal);
    return text.empty() ? "nothing" : text;
}

struct Chosen {
    Connection connection;
    ipsec::Selection selection;
};
std::optional<Chosen> choose(EngineState& engine, const Datagram& datagram, const Message& message) {
    const ipsec::Proposals& offered = message.find<SaPayload>()->proposals;
    const crypto::Group group = message.find<KePayload>()->group;
    const Connections candidates = connections_for(engine.connections, datagram.local.address, datagram.remote.address);
    for (const Connection& connection : candidates)
        if (auto selection = select_with_group(connection->proposals, offered, group))
            return Chosen{connection, *std::move(selection)};
    ++engine.counters.proposals_refused;
    std::string text =
        "no connection is configured between " + datagram.local.to_string() + " and " + datagram.remote.to_string();
    if (!candidates.empty())
        text = datagram.remote.to_string() + " offered for IKE: " + list_text(offered) + "; connection '" +
               candidates.front()->name + "' allows: " + list_text(candidates.front()->proposals);
    public_notice(engine, NoticeKind::no_proposal, std::move(text));
    return std::nullopt;
}

void open_sa(EngineState& engine, const Datagram& datagram, const Message& message, const Connection& connection) {
    const auto& ke = *message.find<KePayload>();
    const crypto::GroupInfo* info = crypto::find_group(ke.group);
    if (!info || info->public_value != ke.data.size()) {
        ++engine.counters.bad_public_values;
        return;
    }
    IkeSa fresh{.connection = connection, .path = {datagram.local, datagram.remote, datagram.marker}};
    fresh.id = IkeSaId(engine.next_ike_id++);
    fresh.local_spi = new_ike_spi(engine);
    fresh.remote_spi = message.header.initiator_spi;
    fresh.request_hash = hash_of(datagram.bytes);
    fresh.created = engine.now;
    fresh.expires = engine.now + engine.config.half_open_timeout;
    fresh.served =
        Served{.bytes = to_vec(datagram.bytes), .path = fresh.path, .dh = {.group = ke.group, .peer_public = ke.data}};
    IkeSa& sa = engine.table.insert(std::move(fresh));
    start_dh(engine, sa, sa.served->dh);
    touch(engine, sa);
}

// A repeated IKE_SA_INIT request: the same answer while it is the last one, afterwards nothing (TRAPS 1).
void repeat_answer(EngineState& engine, IkeSa& sa, const Datagram& datagram) {
    if (sa.expected_id == 1 && !sa.last_response.empty()) {
        ++engine.counters.replayed_responses;
        send_message(engine, sa, {datagram.local, datagram.remote, datagram.marker}, sa.last_response);
        return;
    }
    ++engine.counters.absorbed;
}

// What the answer says beyond keys and addresses, as far as the request has announced it too. CERTREQ: whoever of those
// that the peer may be has a public key (the identities are not known yet).
std::vector<Payload> announced_by_responder(EngineState& engine, IkeSa& sa, const Message& request) {
    std::vector<Payload> payloads;
    if (sa.fragments) payloads.push_back(make_notify(NotifyType::ikev2_fragmentation_supported));
    if (const auto* hashes = request.notify(NotifyType::signature_hash_algorithms)) {
        sa.handshake.signature_hashes = parse_signature_hashes(hashes->data);
        payloads.push_back(make_notify(NotifyType::signature_hash_algorithms, signature_hashes()));
    }
    sa.handshake.ppk = !engine.credentials->ppks.empty() && request.notify(NotifyType::use_ppk) != nullptr;
    if (sa.handshake.ppk) payloads.push_back(make_notify(NotifyType::use_ppk));
    for (const Connection& connection :
         connections_for(engine.connections, sa.path.local.address, sa.path.remote.address)) {
        std::vector<Payload> requests = cert_requests(engine, *connection);
        if (requests.empty()) continue;
        payloads.insert(payloads.end(), requests.begin(), requests.end());
        break;
    }
    return payloads;
}

}  // namespace

std::optional<ipsec::Selection> select_with_group(const ipsec::Proposals& configured, const ipsec::Proposals& offered,
                                                  crypto::Group group) {
    ipsec::Proposals same_group = offered;
    for (ipsec::Proposal& proposal : same_group)
        std::erase_if(proposal.transforms, [&](const ipsec::Transform& t) {
            return t.type == ipsec::TransformType::ke && crypto::Group(t.id) != group;
        });
    std::erase_if(same_group, [](const ipsec::Proposal& p) { return !p.has(ipsec::TransformType::ke); });
    if (auto selection = select(configured, same_group, {})) return selection;
    return select(configured, offered, {});
}

ByteVec group_bytes(crypto::Group group) {
    ByteWriter out;
    out.u16(static_cast<std::uint16_t>(group));
    return std::move(out).take();
}

crypto::Group group_of(const NotifyPayload& invalid_ke) {
    return crypto::Group(ByteReader(invalid_ke.data).u16().value_or(0));
}

ipsec::Proposals ike_proposals(const ConnectionConfig& connection) {
    ipsec::Proposals list = connection.proposals;
    if (list.size() > 255) list.resize(255);
    for (std::size_t i = 0; i < list.size(); ++i) {
        list[i].number = static_cast<std::uint8_t>(i + 1);
        list[i].protocol = ipsec::Protocol::ike;
        list[i].spi.clear();
    }
    return list;
}

Path floated(const EngineState& engine, const Path& path) {
    if (path.remote.port != kPort) return path;  // a port that somebody configured stays
    Path moved = path;
    moved.local.port = engine.config.port_nat_t;
    moved.remote.port = kPortNatT;
    moved.marker = true;
    return moved;
}

std::vector<Payload> nat_detection(const IkeSa& sa, const Header& header, const Path& path) {
    const net::Endpoint none{path.local.address.is_v4() ? net::IpAddress::v4(0) : net::IpAddress(), 0};
    const auto source =
        nat_detection_hash(header.initiator_spi, header.responder_spi, sa.connection->encap ? none : path.local);
    const auto destination = nat_detection_hash(header.initiator_spi, header.responder_spi, path.remote);
    return {make_notify(NotifyType::nat_detection_source_ip, {source.begin(), source.end()}),
            make_notify(NotifyType::nat_detection_destination_ip, {destination.begin(), destination.end()})};
}

bool takes_fragments(const IkeSa& sa, const Message& message) {
    return sa.connection->fragmentation != Fragmentation::no &&
           message.notify(NotifyType::ikev2_fragmentation_supported) != nullptr;
}

void init_request(EngineState& engine, const Datagram& datagram) {
    const Parsed<Message> parsed = parse_message(datagram.bytes);
    if (!parsed) {
        ++engine.counters.malformed;
        return;
    }
    const Message& message = *parsed;
    const bool first = message.header.initiator && message.header.responder_spi == 0 && message.header.message_id == 0;
    if (!first || !message.find<SaPayload>() || !message.find<KePayload>() || !message.find<NoncePayload>()) {
        ++engine.counters.malformed;
        return;
    }
    if (IkeSa* known = engine.table.by_request(hash_of(datagram.bytes), datagram.remote.address))
        return repeat_answer(engine, *known, datagram);
    if (!pass_gate(engine, datagram, message)) return;
    const std::optional<Chosen> chosen = choose(engine, datagram, message);
    if (!chosen) {
        answer_plain(engine, datagram, message.header, make_notify(NotifyType::no_proposal_chosen));
        return;
    }
    const crypto::Group wanted = chosen->selection.suite.group;
    if (wanted != message.find<KePayload>()->group) {
        answer_plain(engine, datagram, message.header,
                     make_notify(NotifyType::invalid_ke_payload, group_bytes(wanted)));
        return;
    }
    open_sa(engine, datagram, message, chosen->connection);
}

void init_served(EngineState& engine, IkeSa& sa, const Served& served, const DhOutcome& outcome) {
    const Parsed<Message> message = parse_message(served.bytes);
    const auto* offered = message ? message->find<SaPayload>() : nullptr;
    const auto selection =
        offered ? select_with_group(sa.connection->proposals, offered->proposals, served.dh.group) : std::nullopt;
    if (outcome.error || !selection || selection->suite.group != served.dh.group) {
        ++engine.counters.bad_public_values;
        return close_sa(engine, sa, CloseReason::failed, "the peer's public value is refused");
    }
    Handshake& handshake = sa.handshake;
    handshake.request = served.bytes;
    handshake.nonce_i = message->find<NoncePayload>()->data;
    handshake.nonce_r = random_bytes(engine, kNonceSize);
    const Nonces nonces{handshake.nonce_i, handshake.nonce_r};
    sa.suite = selection->suite;
    sa.low_nonce = std::min(handshake.nonce_i, handshake.nonce_r);
    sa.keys = derive_ike_keys(sa.suite, skeyseed(sa.suite.prf, nonces, outcome.shared), nonces,
                              {sa.initiator_spi(), sa.responder_spi()});
    if (engine.config.key_log) log_ike_keys(engine, sa);
    const NatFindings nat = detect_nat(*message, served.path.local, served.path.remote);
    sa.nat_local = nat.supported && nat.local_behind_nat;
    sa.nat_remote = nat.supported && nat.remote_behind_nat;
    sa.fragments = takes_fragments(sa, *message);

    Message answer{.header = message->header};
    answer.header.responder_spi = sa.local_spi;
    answer.header.initiator = false;
    answer.header.response = true;
    answer.payloads = {SaPayload{{selection->chosen}}, KePayload{served.dh.group, outcome.pair.public_value},
                       NoncePayload{handshake.nonce_r}};
    for (Payload& payload : announced_by_responder(engine, sa, *message)) answer.payloads.push_back(std::move(payload));
    for (Payload& payload : nat_detection(sa, answer.header, served.path))
        answer.payloads.push_back(std::move(payload));
    handshake.response = build_message(answer);
    engine.table.set_phase(sa, Phase::auth);
    respond_plain(engine, sa, served.path, handshake.response);
}

}  // namespace sluice::ike
