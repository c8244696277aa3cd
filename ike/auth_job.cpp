// SPDX-License-Identifier: Apache-2.0
#include "ike/auth_job.hpp"

#include <algorithm>

#include "lib/base/byte_reader.hpp"

namespace sluice::ike {
namespace {

using crypto::Certificate;
using crypto::KeyType;
using crypto::PublicKey;
using crypto::SignatureHash;
using crypto::SignatureKind;
using crypto::SignatureScheme;

constexpr SignatureHash kTaken[] = {SignatureHash::sha256, SignatureHash::sha384, SignatureHash::sha512,
                                    SignatureHash::identity};

Error refuse(std::string why) { return fail(ErrorCode::auth, std::move(why)); }

template <class List, class T>
bool contains(const List& list, const T& wanted) {
    return std::find(std::begin(list), std::end(list), wanted) != std::end(list);
}

// An AUTH payload cut into its scheme and its signature.
struct Claim {
    SignatureScheme scheme;
    Bytes signature;
    unsigned curve = 0;  // methods 9 to 11 name it
};

// RFC 7427 3: length, AlgorithmIdentifier, signature.
Result<Claim> parse_digital_signature(Bytes data) {
    ByteReader in(data);
    const auto length = in.u8();
    const auto identifier = length ? in.take(*length) : std::nullopt;
    if (!identifier) return refuse("its AUTH payload is cut off");
    const auto scheme = crypto::parse_algorithm_identifier(*identifier);
    if (!scheme) return refuse("its signature algorithm is unknown: " + to_hex(*identifier));
    if (!contains(kTaken, scheme->hash))
        return refuse("its signature, " + to_string(*scheme) + ", uses a hash that was not offered");
    return Claim{*scheme, in.rest()};
}

Result<Claim> parse_claim(const PeerProof& proof) {
    const AuthPayload& auth = proof.auth;
    switch (auth.method) {
        case AuthPayload::kDigitalSignature:
            if (!proof.hashes_announced) return refuse("it signs as RFC 7427 has it, which was not negotiated");
            return parse_digital_signature(auth.data);
        case AuthPayload::kRsa:
            if (proof.hashes_announced)
                return refuse("it signs with RSA and SHA-1, although stronger hashes were negotiated");
            return Claim{{SignatureKind::rsa_pkcs1, SignatureHash::sha1}, auth.data};
        case AuthPayload::kEcdsa256:
            return Claim{{SignatureKind::ecdsa_raw, SignatureHash::sha256}, auth.data, 256};
        case AuthPayload::kEcdsa384:
            return Claim{{SignatureKind::ecdsa_raw, SignatureHash::sha384}, auth.data, 384};
        case AuthPayload::kEcdsa521:
            return Claim{{SignatureKind::ecdsa_raw, SignatureHash::sha512}, auth.data, 521};
        default:
            return refuse("authentication method " + std::to_string(auth.method) + " is no signature");
    }
}

Result<void> obeys(const SignatureRule& rule, const SignatureScheme& scheme) {
    const bool type = !rule.key || crypto::fits(*rule.key, scheme.kind);
    const bool padding = !rule.pss || scheme.kind == SignatureKind::rsa_pss;
    const bool hash = rule.hashes.empty() || contains(rule.hashes, scheme.hash);
    if (type && padding && hash) return {};
    return refuse("its signature, " + to_string(scheme) + ", is not what the connection's auth asks for");
}

std::optional<Certificate::Name> name_kind(IdType type) {
    switch (type) {
        case IdType::fqdn:
            return Certificate::Name::dns;
        case IdType::email:
            return Certificate::Name::email;
        case IdType::ipv4:
        case IdType::ipv6:
            return Certificate::Name::ip;
        case IdType::dn:
            return Certificate::Name::dn;
        case IdType::key_id:
            return Certificate::Name::key_id;
        default:
            return std::nullopt;
    }
}

Result<void> check_signature(const PeerProof& proof, const Claim& claim, const PublicKey& key) {
    if (claim.curve != 0 && key.bits() != claim.curve)
        return refuse("its method is for another curve than that of its key");
    if (!crypto::verify(key, claim.scheme, proof.octets, claim.signature))
        return refuse("its signature, " + to_string(claim.scheme) + ", does not verify");
    return {};
}

// RFC 7670: the key is one that the connection names, and the identity is bound to it there.
Result<void> check_raw_key(const PeerProof& proof, const Claim& claim) {
    const AuthConfig& remote = proof.connection->remote;
    if (remote.id.is_any()) return refuse("a raw public key proves no identity where none is configured");
    const auto sent = certs_of(proof.certs, CertEncoding::raw_public_key);
    if (sent.empty()) {
        const bool good = std::any_of(remote.pubkeys.begin(), remote.pubkeys.end(),
                                      [&](const PublicKey& key) { return check_signature(proof, claim, key).ok(); });
        if (good) return {};
        return refuse("its signature verifies with none of the connection's pubkeys");
    }
    const auto key = PublicKey::from_spki(sent.front());
    if (!key) return refuse("its raw public key is malformed: " + key.error().text);
    if (!contains(remote.pubkeys, *key)) return refuse("its raw public key is none of the connection's pubkeys");
    return check_signature(proof, claim, *key);
}

// The peer's certificate: the first that it sent, or one that is known and bears its identity.
Result<Certificate> leaf_of(const PeerProof& proof, const std::vector<Bytes>& sent) {
    if (!sent.empty()) {
        auto leaf = Certificate::from_der(sent.front());
        if (!leaf) return refuse("its certificate is malformed: " + leaf.error().text);
        return leaf;
    }
    for (const auto* known : {&proof.connection->remote.certs, &proof.credentials->certs})
        for (const Certificate& one : *known)
            if (certificate_bears(one, proof.id)) return one;
    return refuse("it sent no certificate, and none is known for it");
}

Result<void> check_chain(const PeerProof& proof, const Certificate& leaf, const std::vector<Bytes>& sent,
                         std::int64_t now) {
    const AuthConfig& remote = proof.connection->remote;
    crypto::ChainRequest request{.leaf = leaf,
                                 .intermediates = proof.credentials->certs,
                                 .anchors = proof.credentials->cas,
                                 .crls = proof.credentials->crls,
                                 .revocation = remote.revocation,
                                 .now = now};
    for (std::size_t i = 1; i < sent.size(); ++i)
        if (auto one = Certificate::from_der(sent[i])) request.intermediates.push_back(*std::move(one));
    request.anchors.insert(request.anchors.end(), remote.cacerts.begin(), remote.cacerts.end());
    const auto chain = crypto::verify_chain(request);
    if (!chain) return chain.error();
    if (remote.cacerts.empty()) return {};
    const bool through = std::any_of(chain->begin() + 1, chain->end(),
                                     [&](const Certificate& one) { return contains(remote.cacerts, one); });
    if (through) return {};
    return refuse("certificate '" + leaf.subject_text() + "': its chain goes through none of the connection's cacerts");
}

// 1. The certificate is one that may come. 2. Its key made the signature. 3. It bears the identity. 4. It is trusted.
Result<void> check_certificate(const PeerProof& proof, const Claim& claim, std::int64_t now) {
    const auto sent = certs_of(proof.certs, CertEncoding::x509_signature);
    const auto leaf = leaf_of(proof, sent);
    if (!leaf) return leaf.error();
    const std::vector<Certificate>& pinned = proof.connection->remote.certs;
    if (!pinned.empty() && !contains(pinned, *leaf))
        return refuse("certificate '" + leaf->subject_text() + "' is none of the connection's certs");
    const auto key = leaf->public_key();
    if (!key) return refuse("certificate '" + leaf->subject_text() + "': " + key.error().text);
    if (const auto signed_by = check_signature(proof, claim, *key); !signed_by) return signed_by.error();
    if (!certificate_bears(*leaf, proof.id))
        return refuse("certificate '" + leaf->subject_text() + "' does not bear the identity '" + proof.id.to_string() +
                      "'");
    if (!pinned.empty()) return crypto::verify_pinned(*leaf, now);
    return check_chain(proof, *leaf, sent, now);
}

// Hashes that go with a key, the fitting one first.
std::vector<SignatureHash> hashes_for(const PublicKey& key) {
    if (key.type() == KeyType::ed25519 || key.type() == KeyType::ed448) return {SignatureHash::identity};
    if (key.bits() == 384 || (key.type() == KeyType::rsa && key.bits() > 3072 && key.bits() <= 7680))
        return {SignatureHash::sha384, SignatureHash::sha512, SignatureHash::sha256};
    if (key.bits() == 521 || (key.type() == KeyType::rsa && key.bits() > 7680))
        return {SignatureHash::sha512, SignatureHash::sha384, SignatureHash::sha256};
    return {SignatureHash::sha256, SignatureHash::sha384, SignatureHash::sha512};
}

SignatureKind kind_for(const PublicKey& key, const SignatureRule& rule) {
    switch (key.type()) {
        case KeyType::rsa:
            return rule.pss ? SignatureKind::rsa_pss : SignatureKind::rsa_pkcs1;
        case KeyType::ecdsa:
            return SignatureKind::ecdsa;
        case KeyType::ed25519:
            return SignatureKind::ed25519;
        case KeyType::ed448:
            return SignatureKind::ed448;
    }
    return SignatureKind::rsa_pkcs1;
}

// Before RFC 7427: RSA with SHA-1, ECDSA with the hash of its curve (RFC 4754).
Result<SignatureChoice> choose_legacy(const PublicKey& key, const SignatureRule& rule) {
    SignatureChoice choice;
    if (key.type() == KeyType::rsa)
        choice = {AuthPayload::kRsa, {SignatureKind::rsa_pkcs1, SignatureHash::sha1}};
    else if (key.type() == KeyType::ecdsa && key.bits() == 256)
        choice = {AuthPayload::kEcdsa256, {SignatureKind::ecdsa_raw, SignatureHash::sha256}};
    else if (key.type() == KeyType::ecdsa && key.bits() == 384)
        choice = {AuthPayload::kEcdsa384, {SignatureKind::ecdsa_raw, SignatureHash::sha384}};
    else if (key.type() == KeyType::ecdsa)
        choice = {AuthPayload::kEcdsa521, {SignatureKind::ecdsa_raw, SignatureHash::sha512}};
    else
        return fail(ErrorCode::unsupported,
                    "the peer does not speak RFC 7427, which " + to_string(key.type()) + " needs");
    if (!obeys(rule, choice.scheme))
        return fail(ErrorCode::unsupported, "the peer does not speak RFC 7427, and without it only " +
                                                to_string(choice.scheme) + " is left, which auth forbids");
    return choice;
}

}  // namespace

bool certificate_bears(const crypto::Certificate& certificate, const Identity& id) {
    const auto kind = name_kind(id.type);
    return kind && certificate.bears(*kind, id.data);
}

Result<SignatureChoice> choose_signature(const PublicKey& key, const SignatureRule& rule,
                                         const std::vector<std::uint16_t>& peer_hashes) {
    if (rule.key && *rule.key != key.type())
        return fail(ErrorCode::unsupported,
                    "the key is " + to_string(key.type()) + ", auth asks for " + to_string(*rule.key));
    if (peer_hashes.empty()) return choose_legacy(key, rule);
    for (const SignatureHash hash : hashes_for(key)) {
        const SignatureScheme scheme{kind_for(key, rule), hash};
        if (contains(peer_hashes, static_cast<std::uint16_t>(hash)) && obeys(rule, scheme))
            return SignatureChoice{AuthPayload::kDigitalSignature, scheme};
    }
    return fail(ErrorCode::unsupported, "the peer takes no hash that our " + to_string(key.type()) + " key may use");
}

Result<void> check_peer_proof(const PeerProof& proof, std::int64_t now) {
    const auto claim = parse_claim(proof);
    if (!claim) return claim.error();
    if (const auto allowed = obeys(proof.connection->remote.signatures, claim->scheme); !allowed)
        return allowed.error();
    if (!proof.connection->remote.pubkeys.empty()) return check_raw_key(proof, *claim);
    return check_certificate(proof, *claim, now);
}

AuthOutcome compute_auth(const StartAuth& job, std::int64_t now) {
    AuthOutcome outcome{.job = job.job};
    if (job.peer) {
        if (const auto checked = check_peer_proof(*job.peer, now); !checked) {
            outcome.refused = checked.error();
            return outcome;
        }
    }
    if (!job.own) return outcome;
    const OwnProof& own = *job.own;
    ByteWriter prefix;
    if (own.method == AuthPayload::kDigitalSignature) {
        const ByteVec identifier = crypto::algorithm_identifier(own.scheme);
        prefix.u8(static_cast<std::uint8_t>(identifier.size()));
        prefix.raw(identifier);
    }
    const ByteVec head = std::move(prefix).take();
    auto signed_data = [&](const ByteVec& octets) {
        auto signature = crypto::sign(own.key, own.scheme, octets);
        if (!signature) {
            outcome.failed = signature.error();
            return ByteVec{};
        }
        ByteVec data = head;
        data.insert(data.end(), signature->begin(), signature->end());
        return data;
    };
    outcome.auth = {own.method, signed_data(own.octets)};
    if (own.octets_without_ppk) outcome.auth_without_ppk = signed_data(*own.octets_without_ppk);
    outcome.certs = own.certs;
    return outcome;
}

OpaquePayload make_cert(CertEncoding encoding, Bytes data) {
    OpaquePayload payload{PayloadType::cert, {static_cast<Byte>(encoding)}};
    payload.body.insert(payload.body.end(), data.begin(), data.end());
    return payload;
}

std::vector<Bytes> certs_of(const std::vector<OpaquePayload>& payloads, CertEncoding encoding) {
    std::vector<Bytes> found;
    for (const OpaquePayload& payload : payloads) {
        if (found.size() == kMaxPeerCerts) break;
        if (payload.type != PayloadType::cert || payload.body.empty()) continue;
        if (payload.body.front() == static_cast<Byte>(encoding)) found.push_back(Bytes(payload.body).subspan(1));
    }
    return found;
}

ByteVec signature_hashes() {
    ByteWriter out;
    for (const SignatureHash hash : kTaken) out.u16(static_cast<std::uint16_t>(hash));
    return std::move(out).take();
}

std::vector<std::uint16_t> parse_signature_hashes(Bytes data) {
    std::vector<std::uint16_t> list;
    ByteReader in(data);
    while (list.size() < 64) {
        const auto hash = in.u16();
        if (!hash) break;
        list.push_back(*hash);
    }
    return list;
}

}  // namespace sluice::ike
