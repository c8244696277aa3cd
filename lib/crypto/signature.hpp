// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "lib/crypto/keys.hpp"

namespace sluice::crypto {

// RFC 7427's hash algorithms by their IANA number; identity (RFC 8420) is for the Edwards curves, which hash inside.
enum class SignatureHash : std::uint16_t { none = 0, sha1 = 1, sha256 = 2, sha384 = 3, sha512 = 4, identity = 5 };
std::string to_string(SignatureHash hash);

enum class SignatureKind : std::uint8_t {
    rsa_pkcs1,  // RSASSA-PKCS1-v1_5 (RFC 8017 8.2)
    rsa_pss,    // RSASSA-PSS, MGF1 with the same hash; made with a salt as long as the hash, taken with any
    ecdsa,      // an ECDSA-Sig-Value in DER (RFC 7427)
    ecdsa_raw,  // r and s, each as long as the field (RFC 4754)
    ed25519,    // hash identity
    ed448,      // hash identity
};
struct SignatureScheme {
    SignatureKind kind = SignatureKind::rsa_pkcs1;
    SignatureHash hash = SignatureHash::sha256;
    friend bool operator==(const SignatureScheme&, const SignatureScheme&) = default;
};
std::string to_string(const SignatureScheme& scheme);

// The DER AlgorithmIdentifier of RFC 7427 3 and appendix A. ecdsa_raw has none (asserted).
ByteVec algorithm_identifier(const SignatureScheme& scheme);
// The scheme of one, whatever its optional parameters. Nothing for an algorithm that is not above, a PSS whose MGF uses
// another hash, or anything left over.
std::optional<SignatureScheme> parse_algorithm_identifier(Bytes der);

// Whether a key of the type can make such a signature.
bool fits(KeyType type, SignatureKind kind);

// Takes up to milliseconds: for helper threads (TRAPS 56). invalid: the key does not fit the scheme.
Result<ByteVec> sign(const PrivateKey& key, const SignatureScheme& scheme, Bytes data);
// False for a signature that is wrong, malformed, or of a scheme that does not fit the key.
bool verify(const PublicKey& key, const SignatureScheme& scheme, Bytes data, Bytes signature);

}  // namespace sluice::crypto
