// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "ike/config.hpp"
#include "ike/payloads.hpp"
#include "lib/crypto/signature.hpp"

namespace sluice::ike {

// The arithmetic of IKE_AUTH with public keys, as values for a helper thread: everything that it needs and nothing that
// changes under it.

// What the peer claims to be, and what it has to show for it.
struct PeerProof {
    std::shared_ptr<const ConnectionConfig> connection;
    std::shared_ptr<const Credentials> credentials;
    Identity id;
    AuthPayload auth;
    ByteVec octets;                    // what the signature covers (RFC 7296 2.15)
    std::vector<OpaquePayload> certs;  // CERT payloads as they came, the peer's own first
    bool hashes_announced = false;     // by both ends: method 14 it is, or a method that names no SHA-1
};

// What this end signs, and with what.
struct OwnProof {
    crypto::PrivateKey key;
    std::uint8_t method = 0;
    crypto::SignatureScheme scheme;
    ByteVec octets;
    std::optional<ByteVec> octets_without_ppk;  // signed too, for NO_PPK_AUTH (RFC 8784 3)
    std::vector<Payload> certs;                 // CERT payloads that go with it
};

// Answer with Engine::auth_done(). The peer's proof is checked first; our own is made only if it holds.
struct StartAuth {
    std::uint64_t job = 0;
    std::optional<PeerProof> peer;
    std::optional<OwnProof> own;
};
struct AuthOutcome {
    std::uint64_t job = 0;
    std::optional<Error> refused;  // why the peer is not believed
    std::optional<Error> failed;   // why our signature could not be made
    AuthPayload auth;
    ByteVec auth_without_ppk;
    std::vector<Payload> certs;
};

// What the helpers do, in milliseconds. now is seconds since 1970, UTC. Any thread.
AuthOutcome compute_auth(const StartAuth& job, std::int64_t now);
// auth with a sentence about what is wrong: the signature, its algorithm, the key, the chain, the identity.
Result<void> check_peer_proof(const PeerProof& proof, std::int64_t now);

// How a key signs for a peer that has announced hashes (empty: none announced, so a legacy method); unsupported where
// nothing fits both.
struct SignatureChoice {
    std::uint8_t method = 0;
    crypto::SignatureScheme scheme;
};
Result<SignatureChoice> choose_signature(const crypto::PublicKey& key, const SignatureRule& rule,
                                         const std::vector<std::uint16_t>& peer_hashes);

// The inside of a CERT payload (RFC 7296 3.6): its encoding and what follows.
enum class CertEncoding : std::uint8_t { x509_signature = 4, raw_public_key = 15 };
OpaquePayload make_cert(CertEncoding encoding, Bytes data);
// The data of those with the encoding, in order, at most kMaxPeerCerts.
inline constexpr std::size_t kMaxPeerCerts = 16;
std::vector<Bytes> certs_of(const std::vector<OpaquePayload>& payloads, CertEncoding encoding);

// SIGNATURE_HASH_ALGORITHMS (RFC 7427 4): what we take, and what a peer does. Unknown numbers are kept; an odd byte at
// the end is left out.
ByteVec signature_hashes();
std::vector<std::uint16_t> parse_signature_hashes(Bytes data);

}  // namespace sluice::ike
