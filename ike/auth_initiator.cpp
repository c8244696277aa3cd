// SPDX-License-Identifier: Apache-2.0
#include "ike/auth.hpp"
#include "ike/auth_exchange.hpp"
#include "ike/child.hpp"
#include "ike/create_child.hpp"
#include "ike/duplicates.hpp"

namespace sluice::ike {
namespace {

// The identity that the peer is expected to have: the configured one, or its address where any will do.
Identity expected_identity(const IkeSa& sa) { return own_identity(sa.connection->remote, sa.path.remote.address); }

void fail_auth(EngineState& engine, IkeSa& sa, const std::string& text) {
    ++engine.counters.authentication_failures;
    notice(engine, sa, NoticeKind::authentication_failed, text);
}

std::string no_secret(const IkeSa& sa, const Identity& remote) {
    return "no shared key found for '" + sa.local_id.to_string() + "' - '" + remote.to_string() + "' of connection '" +
           sa.connection->name + "'";
}

// The peer believes that the IKE SA is up: it is told, in an exchange of its own (RFC 7296 2.21.2).
void refuse_peer(EngineState& engine, IkeSa& sa, const std::string& text) {
    fail_auth(engine, sa, text);
    if (sa.active) release_spi(engine, sa.active->offer.spi);
    end_task(engine, sa);
    sa.queue.clear();
    engine.table.set_phase(sa, Phase::deleting);
    enqueue(engine, sa, {.kind = TaskKind::refuse_auth});
}

// Empty: it verifies.
std::string check_peer(const EngineState& engine, IkeSa& sa, const Message& message) {
    const auto* id = message.find<IdR>();
    const auto* auth = message.find<AuthPayload>();
    if (!id || !auth) return describe_peer(sa) + " did not authenticate itself";
    sa.remote_id = id->identity;
    if (!identity_matches(sa.connection->remote.id, id->identity))
        return "connection '" + sa.connection->name + "' expects the peer '" + sa.connection->remote.id.to_string() +
               "', but " + describe_peer(sa) + " answered";
    if (auth->method != AuthPayload::kSharedKey)
        return describe_peer(sa) + " authenticates with method " + std::to_string(auth->method) + ", connection '" +
               sa.connection->name + "' wants a shared key";
    const PskSecret* psk = find_psk(engine.secrets, sa.local_id, sa.remote_id);
    if (!psk) return no_secret(sa, sa.remote_id);
    const ByteVec body = id->body();
    const SignedOctets octets{sa.suite.prf, sa.handshake.response, sa.handshake.nonce_i, sa.keys.sk_pr.view(), body};
    if (verify_psk_auth(octets, psk->secret, auth->data)) return {};
    return "the shared key of '" + sa.local_id.to_string() + "' and '" + sa.remote_id.to_string() +
           "' in connection '" + sa.connection->name + "' differs from that of " + describe_peer(sa) +
           ": its AUTH payload does not verify";
}

void accept_first_child(EngineState& engine, IkeSa& sa, const Message& message, ChildOffer offer) {
    if (auto failure = read_answer(message, offer))
        return offer_refused(engine, sa, std::move(offer), *failure, message);
    install_child(engine, sa,
                  {.config = find_child(*sa.connection, offer.child),
                   .suite = offer.suite,
                   .inbound = offer.spi,
                   .outbound = offer.peer_spi,
                   .local_ts = offer.answer_local_ts,
                   .remote_ts = offer.answer_remote_ts,
                   .nonces = {sa.handshake.nonce_i, sa.handshake.nonce_r},
                   .initiated = true});
}

}  // namespace

void begin_auth(EngineState& engine, IkeSa& sa) {
    Task task = std::move(*sa.active);
    end_task(engine, sa);
    task.kind = TaskKind::auth;
    sa.local_id = own_identity(sa.connection->local, sa.path.local.address);
    const PskSecret* psk = find_psk(engine.secrets, sa.local_id, expected_identity(sa));
    if (!psk) {
        const std::string text = no_secret(sa, expected_identity(sa));
        fail_auth(engine, sa, text);
        return close_sa(engine, sa, CloseReason::failed, text);
    }
    const IdI id{sa.local_id};
    const ByteVec body = id.body();
    const SignedOctets octets{sa.suite.prf, sa.handshake.request, sa.handshake.nonce_r, sa.keys.sk_pi.view(), body};
    std::vector<Payload> payloads{id};
    if (!has_sibling(engine, sa)) payloads.push_back(make_notify(NotifyType::initial_contact));
    if (!sa.connection->remote.id.is_any()) payloads.push_back(IdR{sa.connection->remote.id});
    payloads.push_back(AuthPayload{AuthPayload::kSharedKey, psk_auth(octets, psk->secret)});
    for (Payload& payload : make_offer(engine, sa, task.offer, WithKe::no)) payloads.push_back(std::move(payload));
    sa.active = std::move(task);
    begin_request(engine, sa, ExchangeType::ike_auth, payloads);
}

void auth_response(EngineState& engine, IkeSa& sa, const Message& message) {
    const NotifyPayload* error = message.error_notify();
    if (error && !message.find<AuthPayload>()) {
        const std::string why =
            error->type == NotifyType::authentication_failed
                ? " refused our identity '" + sa.local_id.to_string() + "' or our shared key (AUTHENTICATION_FAILED)"
                : " answered IKE_AUTH with " + to_string(error->type);
        const std::string text = describe_peer(sa) + why + ", connection '" + sa.connection->name + "'";
        fail_auth(engine, sa, text);
        return close_sa(engine, sa, CloseReason::failed, text);
    }
    const std::string wrong = check_peer(engine, sa, message);
    if (!wrong.empty()) return refuse_peer(engine, sa, wrong);
    ChildOffer offer = std::move(sa.active->offer);
    end_task(engine, sa);
    set_established(engine, sa);
    accept_first_child(engine, sa, message, std::move(offer));
    sa.handshake = {};
    close_duplicates(engine, sa);
}

}  // namespace sluice::ike
