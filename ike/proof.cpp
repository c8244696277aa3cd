// SPDX-License-Identifier: Apache-2.0
#include "ike/proof.hpp"

#include <algorithm>

#include "lib/crypto/prf.hpp"

namespace sluice::ike {
namespace {

using crypto::Certificate;
using crypto::PrivateKey;

const SecretBytes& sk_p(const IkeKeys& keys, bool of_initiator) { return of_initiator ? keys.sk_pi : keys.sk_pr; }

// Each end signs the message that it sent, with the other's nonce and its own SK_p.
SignedOctets octets_of(const IkeSa& sa, const IkeKeys& keys, bool of_initiator, Bytes id_body) {
    const Handshake& handshake = sa.handshake;
    return {sa.suite.prf, of_initiator ? handshake.request : handshake.response,
            of_initiator ? handshake.nonce_r : handshake.nonce_i, sk_p(keys, of_initiator).view(), id_body};
}

std::string of_connection(const IkeSa& sa) { return " of connection '" + sa.connection->name + "'"; }

std::string no_secret(const IkeSa& sa, const Identity& remote) {
    return "no shared key found for '" + sa.local_id.to_string() + "' - '" + remote.to_string() + "'" +
           of_connection(sa);
}

std::string wanted(AuthMethod method) {
    switch (method) {
        case AuthMethod::psk:
            return "wants a shared key";
        case AuthMethod::pubkey:
            return "wants a signature";
        case AuthMethod::null:
            return "wants NULL authentication";
    }
    return "wants another";
}

const PrivateKey* key_for(const Credentials& credentials, const crypto::PublicKey& wanted_key) {
    for (const PrivateKey& key : credentials.keys)
        if (key.public_key() == wanted_key) return &key;
    return nullptr;
}

const PrivateKey* key_for(const Credentials& credentials, const Certificate& certificate) {
    const auto key = certificate.public_key();
    return key ? key_for(credentials, *key) : nullptr;
}

// A key of ours with what goes into CERT payloads for it.
struct OwnKey {
    const PrivateKey* key = nullptr;
    std::vector<Payload> certs;
};

std::vector<Payload> cert_payloads(const EngineState& engine, const AuthConfig& local, const Certificate& leaf) {
    std::vector<Certificate> pool = local.certs;
    pool.insert(pool.end(), engine.credentials->certs.begin(), engine.credentials->certs.end());
    pool.insert(pool.end(), engine.credentials->cas.begin(), engine.credentials->cas.end());
    std::vector<Payload> payloads;
    for (const Certificate& one : crypto::chain_to_send(leaf, pool))
        payloads.emplace_back(make_cert(CertEncoding::x509_signature, one.der()));
    return payloads;
}

// The first certificate of the connection with a private key, else a raw key, else any certificate that bears our
// identity.
OwnKey find_own_key(const EngineState& engine, const IkeSa& sa) {
    const AuthConfig& local = sa.connection->local;
    const Credentials& credentials = *engine.credentials;
    for (const Certificate& one : local.certs)
        if (const PrivateKey* key = key_for(credentials, one)) return {key, cert_payloads(engine, local, one)};
    for (const crypto::PublicKey& one : local.pubkeys)
        if (const PrivateKey* key = key_for(credentials, one))
            return {key, {make_cert(CertEncoding::raw_public_key, one.spki())}};
    if (!local.certs.empty() || !local.pubkeys.empty()) return {};
    for (const Certificate& one : credentials.certs)
        if (const PrivateKey* key = key_for(credentials, one); key && certificate_bears(one, sa.local_id))
            return {key, cert_payloads(engine, local, one)};
    return {};
}

OwnProofResult own_signature(const EngineState& engine, const IkeSa& sa, const OwnProofRequest& request, Bytes body) {
    OwnKey own = find_own_key(engine, sa);
    if (!own.key)
        return fail(ErrorCode::not_found,
                    "no private key found for '" + sa.local_id.to_string() + "'" + of_connection(sa));
    const auto choice =
        choose_signature(own.key->public_key(), sa.connection->local.signatures, sa.handshake.signature_hashes);
    if (!choice) return fail(choice.error().code, "cannot sign" + of_connection(sa) + ": " + choice.error().text);
    OwnProof proof{.key = *own.key, .method = choice->method, .scheme = choice->scheme};
    proof.octets = signed_octets(octets_of(sa, request.keys, sa.initiator, body));
    if (request.also_without_ppk) proof.octets_without_ppk = signed_octets(octets_of(sa, sa.keys, sa.initiator, body));
    const SendCert when = sa.connection->send_cert;
    if (when == SendCert::always || (when == SendCert::if_asked && request.certs_asked))
        proof.certs = std::move(own.certs);
    return proof;
}

// AUTH as of a shared key, with keys and SK_p by the way (RFC 7619 2.1: NULL's secret is SK_p itself).
ReadyProof keyed_proof(const IkeSa& sa, const OwnProofRequest& request, Bytes body, const SecretBytes* psk) {
    auto made = [&](const IkeKeys& keys) {
        return psk_auth(octets_of(sa, keys, sa.initiator, body), psk ? *psk : sk_p(keys, sa.initiator));
    };
    ReadyProof proof{.auth = {psk ? AuthPayload::kSharedKey : AuthPayload::kNull, made(request.keys)}};
    if (request.also_without_ppk) proof.auth_without_ppk = made(sa.keys);
    return proof;
}

Identity peer_or_expected(const IkeSa& sa) {
    return sa.remote_id.is_any() ? own_identity(sa.connection->remote, sa.path.remote.address) : sa.remote_id;
}

}  // namespace

IkeKeys with_ppk(const IkeKeys& keys, crypto::Prf prf, const SecretBytes& ppk) {
    IkeKeys mixed = keys;
    for (SecretBytes* key : {&mixed.sk_d, &mixed.sk_pi, &mixed.sk_pr})
        *key = crypto::prf_plus(prf, ppk.view(), key->view(), key->size());
    return mixed;
}

OwnProofResult own_proof(const EngineState& engine, const IkeSa& sa, const OwnProofRequest& request) {
    const ByteVec body = IdI{sa.local_id}.body();  // IDr has the same inside
    if (sa.connection->local.method == AuthMethod::pubkey) return own_signature(engine, sa, request, body);
    if (sa.connection->local.method == AuthMethod::null) return keyed_proof(sa, request, body, nullptr);
    const Identity remote = peer_or_expected(sa);
    const PskSecret* psk = find_psk(engine.secrets, sa.local_id, remote);
    if (!psk) return fail(ErrorCode::not_found, no_secret(sa, remote));
    return keyed_proof(sa, request, body, &psk->secret);
}

bool method_fits(AuthMethod configured, std::uint8_t method) {
    switch (configured) {
        case AuthMethod::psk:
            return method == AuthPayload::kSharedKey;
        case AuthMethod::null:
            return method == AuthPayload::kNull;
        case AuthMethod::pubkey:
            return method == AuthPayload::kDigitalSignature || method == AuthPayload::kRsa ||
                   (method >= AuthPayload::kEcdsa256 && method <= AuthPayload::kEcdsa521);
    }
    return false;
}

// 1. The method is the configured one. 2. ID_NULL comes with NULL alone (RFC 7619 2.2). 3. The proof.
PeerProofResult peer_proof(const EngineState& engine, const IkeSa& sa, const PeerProofRequest& request) {
    const AuthMethod method = sa.connection->remote.method;
    if (!method_fits(method, request.auth.method))
        return fail(ErrorCode::auth, describe_peer(sa) + " authenticates with method " +
                                         std::to_string(request.auth.method) + ", connection '" + sa.connection->name +
                                         "' " + wanted(method));
    if (sa.remote_id.type == IdType::null && method != AuthMethod::null)
        return fail(ErrorCode::auth,
                    describe_peer(sa) + " has no identity, connection '" + sa.connection->name + "' needs one");
    const SignedOctets octets = octets_of(sa, request.keys, !sa.initiator, request.id_body);
    if (method == AuthMethod::pubkey) {
        PeerProof proof{.connection = sa.connection,
                        .credentials = engine.credentials,
                        .id = sa.remote_id,
                        .auth = request.auth,
                        .octets = signed_octets(octets)};
        proof.hashes_announced = !sa.handshake.signature_hashes.empty();
        for (const Payload& payload : request.message.payloads)
            if (const auto* cert = std::get_if<OpaquePayload>(&payload); cert && cert->type == PayloadType::cert)
                proof.certs.push_back(*cert);
        return proof;
    }
    if (method == AuthMethod::null) {
        if (verify_psk_auth(octets, sk_p(request.keys, !sa.initiator), request.auth.data)) return Proven{};
        return fail(ErrorCode::auth, "the AUTH payload of " + describe_peer(sa) + " does not verify in connection '" +
                                         sa.connection->name + "'");
    }
    const PskSecret* psk = find_psk(engine.secrets, sa.local_id, sa.remote_id);
    if (!psk) return fail(ErrorCode::not_found, no_secret(sa, sa.remote_id));
    if (verify_psk_auth(octets, psk->secret, request.auth.data)) return Proven{};
    return fail(ErrorCode::auth, "the shared key of '" + sa.local_id.to_string() + "' and '" +
                                     sa.remote_id.to_string() + "' in connection '" + sa.connection->name +
                                     "' differs from that of " + describe_peer(sa) +
                                     ": its AUTH payload does not verify");
}

std::uint64_t start_auth(EngineState& engine, const IkeSa& sa, StartAuth work) {
    work.job = engine.next_job++;
    engine.jobs[work.job] = sa.id;
    const std::uint64_t job = work.job;
    engine.out.push_back(std::move(work));
    return job;
}

std::vector<Payload> cert_requests(const EngineState& engine, const ConnectionConfig& connection) {
    const AuthConfig& remote = connection.remote;
    if (remote.method != AuthMethod::pubkey || !connection.send_certreq) return {};
    auto request = [](CertEncoding encoding) {
        return OpaquePayload{PayloadType::cert_req, {static_cast<Byte>(encoding)}};
    };
    if (!remote.pubkeys.empty()) return {request(CertEncoding::raw_public_key)};
    OpaquePayload authorities = request(CertEncoding::x509_signature);
    for (const Certificate& ca : remote.cacerts.empty() ? engine.credentials->cas : remote.cacerts) {
        const auto key = ca.public_key();
        if (!key) continue;
        const ByteVec id = crypto::key_id(*key);
        authorities.body.insert(authorities.body.end(), id.begin(), id.end());
    }
    return {authorities};
}

bool asks_for_certs(const Message& message) {
    return std::any_of(message.payloads.begin(), message.payloads.end(), [](const Payload& payload) {
        const auto* opaque = std::get_if<OpaquePayload>(&payload);
        return opaque && opaque->type == PayloadType::cert_req;
    });
}

}  // namespace sluice::ike
