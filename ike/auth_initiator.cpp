// SPDX-License-Identifier: Apache-2.0
#include "ike/auth_exchange.hpp"
#include "ike/child.hpp"
#include "ike/create_child.hpp"
#include "ike/duplicates.hpp"
#include "ike/ppk.hpp"
#include "ike/proof.hpp"

namespace sluice::ike {
namespace {

void fail_auth(EngineState& engine, IkeSa& sa, const std::string& text) {
    ++engine.counters.authentication_failures;
    notice(engine, sa, NoticeKind::authentication_failed, text);
}

void give_up(EngineState& engine, IkeSa& sa, const std::string& text) {
    fail_auth(engine, sa, text);
    close_sa(engine, sa, CloseReason::failed, text);
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

void send_request(EngineState& engine, IkeSa& sa, ReadyProof proof) {
    const ConnectionConfig& connection = *sa.connection;
    std::vector<Payload> payloads{IdI{sa.local_id}};
    for (Payload& cert : proof.certs) payloads.push_back(std::move(cert));
    for (Payload& request : cert_requests(engine, connection)) payloads.push_back(std::move(request));
    const bool anonymous = sa.local_id.type == IdType::null;
    if (!anonymous && !has_sibling(engine, sa)) payloads.push_back(make_notify(NotifyType::initial_contact));
    if (!connection.remote.id.is_any()) payloads.push_back(IdR{connection.remote.id});
    payloads.push_back(std::move(proof.auth));
    if (offered_ppk(engine, sa)) {
        payloads.push_back(ppk_identity(connection.ppk_id));
        if (!connection.ppk_required)
            payloads.push_back(make_notify(NotifyType::no_ppk_auth, std::move(proof.auth_without_ppk)));
    }
    for (Payload& payload : make_offer(engine, sa, sa.active->offer, WithKe::no))
        payloads.push_back(std::move(payload));
    begin_request(engine, sa, ExchangeType::ike_auth, payloads);
}

// Our own proof, now or by a helper.
void prove(EngineState& engine, IkeSa& sa) {
    const PpkSecret* ppk = offered_ppk(engine, sa);
    const IkeKeys keys = ppk ? with_ppk(sa.keys, sa.suite.prf, ppk->secret) : sa.keys;
    OwnProofResult own = own_proof(engine, sa,
                                   {.keys = keys,
                                    .certs_asked = sa.handshake.certs_asked,
                                    .also_without_ppk = ppk && !sa.connection->ppk_required});
    if (const auto* error = std::get_if<Error>(&own)) return give_up(engine, sa, error->text);
    if (auto* ready = std::get_if<ReadyProof>(&own)) return send_request(engine, sa, std::move(*ready));
    sa.auth = AuthWait{.job = start_auth(engine, sa, {.own = std::get<OwnProof>(std::move(own))})};
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

// The keys that the responder's answer is made with: it says whether it has mixed the PPK in (RFC 8784 3).
Result<IkeKeys> agreed_keys(const EngineState& engine, const IkeSa& sa, const Message& message) {
    const PpkSecret* ppk = offered_ppk(engine, sa);
    if (ppk && message.notify(NotifyType::ppk_identity)) return with_ppk(sa.keys, sa.suite.prf, ppk->secret);
    if (!sa.connection->ppk_required) return sa.keys;
    return fail(ErrorCode::auth, describe_peer(sa) + " has not mixed PPK '" + sa.connection->ppk_id +
                                     "' in, which connection '" + sa.connection->name + "' requires");
}

void accept(EngineState& engine, IkeSa& sa, const Message& message) {
    Result<IkeKeys> keys = agreed_keys(engine, sa, message);
    if (!keys) return refuse_peer(engine, sa, keys.error().text);
    sa.keys = *std::move(keys);
    ChildOffer offer = std::move(sa.active->offer);
    end_task(engine, sa);
    set_established(engine, sa);
    accept_first_child(engine, sa, message, std::move(offer));
    sa.handshake = {};
    close_duplicates(engine, sa);
}

// Who answered, and whether it is who is called; then its proof.
PeerProofResult check_answer(EngineState& engine, IkeSa& sa, const Message& message) {
    const auto* id = message.find<IdR>();
    const auto* auth = message.find<AuthPayload>();
    if (!id || !auth) return fail(ErrorCode::auth, describe_peer(sa) + " did not authenticate itself");
    sa.remote_id = sa.connection->remote.method == AuthMethod::null ? Identity{IdType::null, {}} : id->identity;
    if (!identity_matches(sa.connection->remote.id, sa.remote_id))
        return fail(ErrorCode::auth, "connection '" + sa.connection->name + "' expects the peer '" +
                                         sa.connection->remote.id.to_string() + "', but " + describe_peer(sa) +
                                         " answered");
    const Result<IkeKeys> keys = agreed_keys(engine, sa, message);
    if (!keys) return keys.error();
    const ByteVec body = id->body();
    return peer_proof(engine, sa, {.message = message, .auth = *auth, .id_body = body, .keys = *keys});
}

}  // namespace

void begin_auth(EngineState& engine, IkeSa& sa) {
    Task task = std::move(*sa.active);
    end_task(engine, sa);
    task.kind = TaskKind::auth;
    sa.active = std::move(task);
    sa.local_id = own_identity(sa.connection->local, sa.path.local.address);
    if (sa.connection->ppk_required && !offered_ppk(engine, sa)) return give_up(engine, sa, no_ppk(engine, sa));
    prove(engine, sa);
}

void auth_response(EngineState& engine, IkeSa& sa, const Message& message) {
    const NotifyPayload* error = message.error_notify();
    if (error && !message.find<AuthPayload>()) {
        const std::string why = error->type == NotifyType::authentication_failed
                                    ? " refused our identity '" + sa.local_id.to_string() +
                                          "' or our proof of it, a shared key or a signature (AUTHENTICATION_FAILED)"
                                    : " answered IKE_AUTH with " + to_string(error->type);
        return give_up(engine, sa, describe_peer(sa) + why + ", connection '" + sa.connection->name + "'");
    }
    PeerProofResult proof = check_answer(engine, sa, message);
    if (const auto* wrong = std::get_if<Error>(&proof)) return refuse_peer(engine, sa, wrong->text);
    if (std::holds_alternative<Proven>(proof)) return accept(engine, sa, message);
    if (sa.request) sa.request->answered = true;
    sa.auth = AuthWait{.job = start_auth(engine, sa, {.peer = std::get<PeerProof>(std::move(proof))}),
                       .response = build_message(message)};
}

void auth_work_done(EngineState& engine, IkeSa& sa, AuthOutcome outcome) {
    const ByteVec response = std::move(sa.auth->response);
    sa.auth.reset();
    if (response.empty()) {
        if (outcome.failed) return give_up(engine, sa, "cannot sign: " + outcome.failed->text);
        return send_request(engine, sa,
                            {std::move(outcome.auth), std::move(outcome.auth_without_ppk), std::move(outcome.certs)});
    }
    if (outcome.refused)
        return refuse_peer(engine, sa,
                           describe_peer(sa) + " is not believed in connection '" + sa.connection->name +
                               "': " + outcome.refused->text);
    const Parsed<Message> message = parse_message(response);
    if (message) accept(engine, sa, *message);
}

void restart_auth(EngineState& engine, IkeSa& sa) {
    const ByteVec response = std::move(sa.auth->response);
    sa.auth.reset();
    if (response.empty()) return prove(engine, sa);
    const Parsed<Message> message = parse_message(response);
    if (message) auth_response(engine, sa, *message);
}

}  // namespace sluice::ike
