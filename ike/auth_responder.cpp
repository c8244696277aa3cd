// SPDX-License-Identifier: Apache-2.0
#include "ike/auth.hpp"
#include "ike/auth_exchange.hpp"
#include "ike/child.hpp"
#include "ike/create_child.hpp"
#include "ike/duplicates.hpp"
#include "ike/lifetime.hpp"

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

// Finds the connection of the identities and checks AUTH. Empty: all is well, and sa says who it is.
std::string check_peer(EngineState& engine, IkeSa& sa, const Message& message) {
    const auto* id = message.find<IdI>();
    const auto* auth = message.find<AuthPayload>();
    if (!id) return describe_peer(sa) + " sent IKE_AUTH without an identity";
    sa.remote_id = id->identity;
    const auto* asked = message.find<IdR>();
    const Connection connection =
        connection_for_identities(still_possible(engine, sa), sa.path.local.address, id->identity,
                                  asked ? std::optional(asked->identity) : std::nullopt);
    if (!connection)
        return "no connection fits " + describe_peer(sa) +
               (asked ? ", who asked for '" + asked->identity.to_string() + "'" : std::string());
    sa.connection = connection;
    sa.local_id = own_identity(connection->local, sa.path.local.address);
    if (!auth)
        return describe_peer(sa) + " wants to authenticate with EAP, connection '" + connection->name +
               "' has a shared key";
    if (auth->method != AuthPayload::kSharedKey)
        return describe_peer(sa) + " authenticates with method " + std::to_string(auth->method) + ", connection '" +
               connection->name + "' wants a shared key";
    const PskSecret* psk = find_psk(engine.secrets, sa.local_id, sa.remote_id);
    if (!psk)
        return "no shared key found for '" + sa.local_id.to_string() + "' - '" + sa.remote_id.to_string() +
               "' of connection '" + connection->name + "'";
    const ByteVec body = id->body();
    const SignedOctets octets{sa.suite.prf, sa.handshake.request, sa.handshake.nonce_r, sa.keys.sk_pi.view(), body};
    if (verify_psk_auth(octets, psk->secret, auth->data)) return {};
    return "the shared key of '" + sa.local_id.to_string() + "' and '" + sa.remote_id.to_string() +
           "' in connection '" + connection->name + "' differs from that of " + describe_peer(sa) +
           ": its AUTH payload does not verify";
}

void refuse(EngineState& engine, IkeSa& sa, const Message& message, const Path& path, const std::string& text) {
    ++engine.counters.authentication_failures;
    notice(engine, sa, NoticeKind::authentication_failed, text);
    const std::vector<Payload> payloads{make_notify(NotifyType::authentication_failed)};
    respond(engine, sa, path, message.header, payloads);
    close_sa(engine, sa, CloseReason::failed, text);
}

Payload own_auth(const EngineState& engine, const IkeSa& sa, const IdR& id) {
    const PskSecret* psk = find_psk(engine.secrets, sa.local_id, sa.remote_id);
    const ByteVec body = id.body();
    const SignedOctets octets{sa.suite.prf, sa.handshake.response, sa.handshake.nonce_i, sa.keys.sk_pr.view(), body};
    return AuthPayload{AuthPayload::kSharedKey, psk_auth(octets, psk->secret)};
}

}  // namespace

void auth_request(EngineState& engine, IkeSa& sa, const Message& message, const Path& path) {
    const std::string wrong = check_peer(engine, sa, message);
    if (!wrong.empty()) return refuse(engine, sa, message, path, wrong);
    if (message.notify(NotifyType::initial_contact)) close_forgotten(engine, sa);
    const IdR id{sa.local_id};
    std::vector<Payload> payloads{id, own_auth(engine, sa, id)};
    set_established(engine, sa);
    const PeerOffer offer{.sa = message.find<SaPayload>(), .ts_i = message.find<TsI>(), .ts_r = message.find<TsR>()};
    if (offer.sa && offer.ts_i && offer.ts_r) {
        const Nonces nonces{sa.handshake.nonce_i, sa.handshake.nonce_r};
        const ChildChoice choice = choose_child(sa, offer);
        for (Payload& payload : answer_offer(engine, sa, choice, {.nonces = nonces}))
            payloads.push_back(std::move(payload));
    }
    respond(engine, sa, path, message.header, payloads);
    sa.handshake = {};
    close_duplicates(engine, sa);
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
