// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ike/auth_exchange.hpp"
#include "ike/init.hpp"
#include "ike/key_log.hpp"
#include "ike/natd.hpp"
#include "ike/proof.hpp"

namespace sluice::ike {

crypto::Group first_group(const ipsec::Proposals& proposals) {
    for (const ipsec::Proposal& proposal : proposals)
        for (const ipsec::Transform& transform : proposal.transforms)
            if (transform.type == ipsec::TransformType::ke && crypto::find_group(crypto::Group(transform.id)))
                return crypto::Group(transform.id);
    return crypto::Group::none;
}

bool may_use_group(const ipsec::Proposals& proposals, const KeyExchange& ke, crypto::Group group) {
    const bool offered = std::any_of(proposals.begin(), proposals.end(), [&](const ipsec::Proposal& proposal) {
        return std::any_of(proposal.transforms.begin(), proposal.transforms.end(), [&](const ipsec::Transform& t) {
            return t.type == ipsec::TransformType::ke && crypto::Group(t.id) == group;
        });
    });
    const bool tried = std::find(ke.tried.begin(), ke.tried.end(), group) != ke.tried.end();
    return offered && crypto::find_group(group) && !tried;
}

namespace {

void want_pair(EngineState& engine, IkeSa& sa, crypto::Group group) {
    KeyExchange& ke = sa.handshake.ke;
    ke.group = group;
    ke.tried.push_back(group);
    ke.private_key = {};
    ke.public_value.clear();
    sa.dh = DhWait{.group = group};
    start_dh(engine, sa, *sa.dh);
}

void send_init(EngineState& engine, IkeSa& sa) {
    Message message{.header = {.initiator_spi = sa.local_spi, .initiator = true}};
    auto& payloads = message.payloads;
    const Handshake& handshake = sa.handshake;
    if (!handshake.cookie.empty()) payloads.push_back(make_notify(NotifyType::cookie, handshake.cookie));
    payloads.push_back(SaPayload{ike_proposals(*sa.connection)});
    payloads.push_back(KePayload{handshake.ke.group, handshake.ke.public_value});
    payloads.push_back(NoncePayload{handshake.nonce_i});
    if (sa.connection->fragmentation != Fragmentation::no)
        payloads.push_back(make_notify(NotifyType::ikev2_fragmentation_supported));
    payloads.push_back(make_notify(NotifyType::signature_hash_algorithms, signature_hashes()));
    if (!sa.connection->ppk_id.empty()) payloads.push_back(make_notify(NotifyType::use_ppk));
    for (Payload& payload : nat_detection(sa, message.header, sa.path)) payloads.push_back(std::move(payload));
    sa.handshake.request = build_message(message);
    begin_plain(engine, sa, sa.handshake.request);
}

// Told once, not acted on: anybody can send it. A better answer may still come (TRAPS 4, RFC 7296 2.21.1).
void note_refusal(EngineState& engine, IkeSa& sa, const NotifyPayload& error) {
    ++engine.counters.unprotected_notifies;
    std::string text = describe_peer(sa) + " answered IKE_SA_INIT of connection '" + sa.connection->name + "' with " +
                       to_string(error.type);
    if (sa.handshake.refusal == text) return;
    sa.handshake.refusal = text;
    const bool proposal = error.type == NotifyType::no_proposal_chosen;
    notice(engine, sa, proposal ? NoticeKind::no_proposal : NoticeKind::protocol_error,
           text + " (unauthenticated; a better answer is still awaited)");
}

void retry_with_cookie(EngineState& engine, IkeSa& sa, const NotifyPayload& cookie) {
    if (cookie.data == sa.handshake.cookie || sa.handshake.restarts >= kMaxRestarts) {
        ++engine.counters.unprotected_notifies;
        return;
    }
    ++sa.handshake.restarts;
    sa.handshake.cookie = cookie.data;
    send_init(engine, sa);
}

// SPI, nonce and cookie stay (TRAPS 5, RFC 7296 2.6.1).
void retry_with_group(EngineState& engine, IkeSa& sa, const NotifyPayload& invalid_ke) {
    const crypto::Group group = group_of(invalid_ke);
    if (!may_use_group(sa.connection->proposals, sa.handshake.ke, group) || sa.handshake.restarts >= kMaxRestarts) {
        note_refusal(engine, sa, invalid_ke);
        return;
    }
    ++sa.handshake.restarts;
    sa.request->answered = true;
    want_pair(engine, sa, group);
}

void accept_answer(EngineState& engine, IkeSa& sa, const Message& message, const Datagram& datagram) {
    const auto* answer = message.find<SaPayload>();
    const auto* ke = message.find<KePayload>();
    const auto* nonce = message.find<NoncePayload>();
    Handshake& handshake = sa.handshake;
    if (!answer || !ke || !nonce || answer->proposals.size() != 1 || message.header.responder_spi == 0) {
        ++engine.counters.malformed;
        return;
    }
    Result<ipsec::Suite> suite = check_answer(ike_proposals(*sa.connection), answer->proposals.front());
    if (!suite || suite->group != ke->group || ke->group != handshake.ke.group) {
        ++engine.counters.unexpected;
        return;
    }
    handshake.suite = *suite;
    handshake.nonce_r = nonce->data;
    handshake.response = to_vec(datagram.bytes);
    handshake.ke.peer_public = ke->data;
    sa.remote_spi = message.header.responder_spi;
    sa.request->answered = true;
    const NatFindings nat = detect_nat(message, datagram.local, datagram.remote);
    sa.nat_local = nat.supported && nat.local_behind_nat;
    sa.nat_remote = nat.supported && nat.remote_behind_nat;
    sa.fragments = takes_fragments(sa, message);
    const auto* hashes = message.notify(NotifyType::signature_hash_algorithms);
    handshake.signature_hashes = hashes ? parse_signature_hashes(hashes->data) : std::vector<std::uint16_t>{};
    handshake.certs_asked = asks_for_certs(message);
    handshake.ppk = !sa.connection->ppk_id.empty() && message.notify(NotifyType::use_ppk) != nullptr;
    sa.dh = DhWait{.group = ke->group, .private_key = handshake.ke.private_key, .peer_public = ke->data};
    start_dh(engine, sa, *sa.dh);
}

// A public value that the checks refuse comes from a forger as well as from a broken peer: as if never received.
void unaccept_answer(EngineState& engine, IkeSa& sa) {
    ++engine.counters.bad_public_values;
    sa.handshake.nonce_r.clear();
    sa.handshake.response.clear();
    sa.handshake.ke.peer_public.clear();
    sa.remote_spi = 0;
    sa.request->answered = false;
}

void derive_keys(EngineState& engine, IkeSa& sa, const SecretBytes& shared) {
    const Handshake& handshake = sa.handshake;
    const Nonces nonces{handshake.nonce_i, handshake.nonce_r};
    sa.suite = handshake.suite;
    sa.low_nonce = std::min(handshake.nonce_i, handshake.nonce_r);
    sa.keys = derive_ike_keys(sa.suite, skeyseed(sa.suite.prf, nonces, shared), nonces,
                              {sa.initiator_spi(), sa.responder_spi()});
    if (engine.config.key_log) log_ike_keys(engine, sa);
}

}  // namespace

IkeSa& initiate_ike_sa(EngineState& engine, const Connection& connection, const Path& path, ChildOffer first) {
    IkeSa fresh{.connection = connection, .initiator = true, .path = path};
    fresh.id = IkeSaId(engine.next_ike_id++);
    fresh.local_spi = new_ike_spi(engine);
    fresh.created = engine.now;
    fresh.handshake.nonce_i = random_bytes(engine, kNonceSize);
    fresh.active = Task{.kind = TaskKind::init, .offer = std::move(first)};
    IkeSa& sa = engine.table.insert(std::move(fresh));
    want_pair(engine, sa, first_group(connection->proposals));
    touch(engine, sa);
    return sa;
}

void init_response(EngineState& engine, IkeSa& sa, const Datagram& datagram) {
    const bool awaited = sa.active && sa.active->kind == TaskKind::init && sa.request && !sa.request->answered;
    if (!awaited || datagram.remote.address != sa.path.remote.address) {
        ++engine.counters.unexpected;
        return;
    }
    const Parsed<Message> message = parse_message(datagram.bytes);
    if (!message || message->header.message_id != 0 || message->header.initiator) {
        ++engine.counters.malformed;
        return;
    }
    if (const auto* invalid_ke = message->notify(NotifyType::invalid_ke_payload))
        return retry_with_group(engine, sa, *invalid_ke);
    if (const auto* error = message->error_notify()) return note_refusal(engine, sa, *error);
    const auto* cookie = message->notify(NotifyType::cookie);
    if (cookie && !message->find<SaPayload>()) return retry_with_cookie(engine, sa, *cookie);
    accept_answer(engine, sa, *message, datagram);
}

void init_dh_done(EngineState& engine, IkeSa& sa, DhOutcome outcome) {
    Handshake& handshake = sa.handshake;
    const bool pair_wanted = handshake.ke.public_value.empty();
    sa.dh.reset();
    if (pair_wanted) {
        if (outcome.error) {
            const std::string text =
                "cannot make a key pair for connection '" + sa.connection->name + "': " + outcome.error->text;
            notice(engine, sa, NoticeKind::protocol_error, text);
            return close_sa(engine, sa, CloseReason::failed, text);
        }
        handshake.ke.private_key = std::move(outcome.pair.private_key);
        handshake.ke.public_value = std::move(outcome.pair.public_value);
        return send_init(engine, sa);
    }
    if (outcome.error) return unaccept_answer(engine, sa);
    derive_keys(engine, sa, outcome.shared);
    if (sa.encapsulated()) sa.path = floated(engine, sa.path);
    engine.table.set_phase(sa, Phase::auth);
    begin_auth(engine, sa);
}

}  // namespace sluice::ike
