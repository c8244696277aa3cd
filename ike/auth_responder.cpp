// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ike/auth_exchange.hpp"
#include "ike/child.hpp"
#include "ike/create_child.hpp"
#include "ike/duplicates.hpp"
#include "ike/lifetime.hpp"
#include "ike/ppk.hpp"
#include "ike/proof.hpp"

namespace sluice::ike {
namespace {

// Connections whose addresses fit and whose proposals allow the IKE SA as it was negotiated.
Connections still_possible(const EngineState& engine, const IkeSa& sa) {
    using ipsec::TransformType;
    ipsec::Proposal agreed{.number = 1, .protocol = ipsec::Protocol::ike};
    auto add = [&](TransformType type, auto id, std::uint16_t bits) {
        agreed.transforms.push_back({type, static_cast<std::uint16_t>(id), bits});
    };
    const crypto::EncrInfo* encr = crypto::find_encr(sa.suite.encr);
    add(TransformType::encr, sa.suite.encr, encr && encr->key_length_attribute ? sa.suite.key_bits : 0);
    if (sa.suite.integ != crypto::Integ::none) add(TransformType::integ, sa.suite.integ, 0);
    add(TransformType::prf, sa.suite.prf, 0);
    add(TransformType::ke, sa.suite.group, 0);
    Connections list;
    for (const Connection& connection :
         connections_for(engine.connections, sa.path.local.address, sa.path.remote.address))
        if (select(connection->proposals, {agreed}, {})) list.push_back(connection);
    return list;
}

// Those that expect the method of the AUTH payload go first; the others stay, so that the refusal can name one.
Connections by_method(Connections list, const AuthPayload* auth) {
    std::stable_partition(list.begin(), list.end(), [&](const Connection& connection) {
        return auth && method_fits(connection->remote.method, auth->method);
    });
    return list;
}

// The connection of the identities; sa then says who the ends are. Empty: there is one.
std::string find_connection(EngineState& engine, IkeSa& sa, const Message& message) {
    const auto* id = message.find<IdI>();
    const auto* auth = message.find<AuthPayload>();
    if (!id) return describe_peer(sa) + " sent IKE_AUTH without an identity";
    // Whoever proves nothing has no identity, whatever it writes (RFC 7619 2.2, TRAPS 49).
    const bool anonymous = auth && auth->method == AuthPayload::kNull;
    sa.remote_id = anonymous ? Identity{IdType::null, {}} : id->identity;
    const auto* asked = message.find<IdR>();
    Connections candidates = by_method(still_possible(engine, sa), auth);
    const bool any_fits = !candidates.empty() && auth && method_fits(candidates.front()->remote.method, auth->method);
    if (any_fits)
        std::erase_if(candidates, [&](const Connection& c) { return !method_fits(c->remote.method, auth->method); });
    const Connection connection = connection_for_identities(candidates, sa.path.local.address, sa.remote_id,
                                                            asked ? std::optional(asked->identity) : std::nullopt);
    if (!connection)
        return "no connection fits " + describe_peer(sa) +
               (asked ? ", who asked for '" + asked->identity.to_string() + "'" : std::string());
    sa.connection = connection;
    sa.local_id = own_identity(connection->local, sa.path.local.address);
    if (auth) return {};
    return describe_peer(sa) + " wants to authenticate with EAP, connection '" + connection->name +
           "' has another method";
}

void refuse(EngineState& engine, IkeSa& sa, const PeerRequest& request, const std::string& text) {
    ++engine.counters.authentication_failures;
    notice(engine, sa, NoticeKind::authentication_failed, text);
    const std::vector<Payload> payloads{make_notify(NotifyType::authentication_failed)};
    respond(engine, sa, request.path, request.message.header, payloads);
    close_sa(engine, sa, CloseReason::failed, text);
}

// Which PPK, if any, and which AUTH goes with it (RFC 8784 3). Sets handshake.mix. Empty: all is well.
std::string settle_ppk(EngineState& engine, IkeSa& sa, const Message& message, AuthPayload& auth) {
    sa.handshake.mix.reset();
    const auto* identity = message.notify(NotifyType::ppk_identity);
    const PpkSecret* ppk = sa.handshake.ppk && identity ? find_ppk(engine, ppk_id_of(*identity)) : nullptr;
    if (ppk) {
        sa.handshake.mix = ppk->secret;
        return {};
    }
    if (sa.connection->ppk_required)
        return "connection '" + sa.connection->name + "' requires a PPK, and " + describe_peer(sa) +
               (identity ? " uses one that is not known here" : " uses none");
    if (!identity) return {};
    const auto* without = message.notify(NotifyType::no_ppk_auth);
    if (!without) return describe_peer(sa) + " requires a PPK that is not known here";
    auth.data = without->data;
    return {};
}

IkeKeys keys_of_auth(const IkeSa& sa) {
    return sa.handshake.mix ? with_ppk(sa.keys, sa.suite.prf, *sa.handshake.mix) : sa.keys;
}

// Everything that the answer needs and a helper has to make first; nothing where it is there. Empty: go on.
std::string gather(EngineState& engine, IkeSa& sa, const Message& message, StartAuth& work, ReadyProof& own) {
    AuthPayload auth = *message.find<AuthPayload>();
    if (std::string wrong = settle_ppk(engine, sa, message, auth); !wrong.empty()) return wrong;
    const IkeKeys keys = keys_of_auth(sa);
    const ByteVec body = message.find<IdI>()->body();
    PeerProofResult peer = peer_proof(engine, sa, {.message = message, .auth = auth, .id_body = body, .keys = keys});
    if (const auto* wrong = std::get_if<Error>(&peer)) return wrong->text;
    OwnProofResult mine = own_proof(engine, sa, {.keys = keys, .certs_asked = asks_for_certs(message)});
    if (const auto* wrong = std::get_if<Error>(&mine)) return wrong->text;
    if (auto* proof = std::get_if<PeerProof>(&peer)) work.peer = std::move(*proof);
    if (auto* proof = std::get_if<OwnProof>(&mine)) work.own = std::move(*proof);
    if (auto* ready = std::get_if<ReadyProof>(&mine)) own = std::move(*ready);
    return {};
}

void accept(EngineState& engine, IkeSa& sa, const PeerRequest& request, ReadyProof own) {
    const Message& message = request.message;
    if (message.notify(NotifyType::initial_contact)) close_forgotten(engine, sa);
    const bool mixed = sa.handshake.mix.has_value();
    sa.keys = keys_of_auth(sa);
    std::vector<Payload> payloads{IdR{sa.local_id}};
    for (Payload& cert : own.certs) payloads.push_back(std::move(cert));
    payloads.push_back(std::move(own.auth));
    if (mixed) payloads.push_back(make_notify(NotifyType::ppk_identity));
    set_established(engine, sa);
    const PeerOffer offer{.sa = message.find<SaPayload>(), .ts_i = message.find<TsI>(), .ts_r = message.find<TsR>()};
    if (offer.sa && offer.ts_i && offer.ts_r) {
        const Nonces nonces{sa.handshake.nonce_i, sa.handshake.nonce_r};
        const ChildChoice choice = choose_child(sa, offer);
        for (Payload& payload : answer_offer(engine, sa, choice, {.nonces = nonces}))
            payloads.push_back(std::move(payload));
    }
    respond(engine, sa, request.path, message.header, payloads);
    sa.handshake = {};
    close_duplicates(engine, sa);
}

// The helper's answer, where there was one.
void finish(EngineState& engine, IkeSa& sa, const PeerRequest& request) {
    AuthOutcome& outcome = *request.auth;
    if (outcome.refused)
        return refuse(engine, sa, request,
                      describe_peer(sa) + " is not believed in connection '" + sa.connection->name +
                          "': " + outcome.refused->text);
    if (outcome.failed) return refuse(engine, sa, request, "cannot sign: " + outcome.failed->text);
    if (sa.connection->local.method == AuthMethod::pubkey)
        return accept(engine, sa, request, {std::move(outcome.auth), {}, std::move(outcome.certs)});
    OwnProofResult own = own_proof(engine, sa, {.keys = keys_of_auth(sa)});
    if (auto* ready = std::get_if<ReadyProof>(&own)) return accept(engine, sa, request, std::move(*ready));
    refuse(engine, sa, request, "the configuration has changed while IKE_AUTH was under way");
}

}  // namespace

void auth_request(EngineState& engine, IkeSa& sa, const PeerRequest& request) {
    if (request.auth) return finish(engine, sa, request);
    std::string wrong = find_connection(engine, sa, request.message);
    StartAuth work;
    ReadyProof own;
    if (wrong.empty()) wrong = gather(engine, sa, request.message, work, own);
    if (!wrong.empty()) return refuse(engine, sa, request, wrong);
    if (!work.peer && !work.own) return accept(engine, sa, request, std::move(own));
    sa.served = Served{.bytes = to_vec(request.bytes), .path = request.path, .auth = true};
    sa.served->dh.job = start_auth(engine, sa, std::move(work));
}

void set_established(EngineState& engine, IkeSa& sa) {
    engine.table.set_phase(sa, Phase::established);
    sa.established = engine.now;
    if (sa.authenticated == Instant{}) sa.authenticated = engine.now;
    sa.last_heard = engine.now;
    sa.persistent = false;
    const ConnectionConfig& config = *sa.connection;
    start_lifetime(engine, sa);
    schedule_liveness(engine, sa);
    ++engine.counters.established;
    notice(engine, sa, NoticeKind::ike_up,
           "IKE SA of connection '" + config.name + "' is up between '" + sa.local_id.to_string() + "' at " +
               sa.path.local.to_string() + " and '" + sa.remote_id.to_string() + "' at " + sa.path.remote.to_string());
}

void schedule_liveness(EngineState& engine, IkeSa& sa) {
    const Duration delay = sa.connection->dpd_delay;
    sa.next_check = delay.count() ? engine.now + jittered(engine, delay, 10) : Instant{};
}

}  // namespace sluice::ike
