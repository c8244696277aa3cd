// SPDX-License-Identifier: Apache-2.0
#include "ike/auth.hpp"

#include "lib/crypto/prf.hpp"

namespace sluice::ike {
namespace {

constexpr std::string_view kKeyPad = "Key Pad for IKEv2";  // 17 bytes, no terminator (RFC 7296 2.15)

}  // namespace

ByteVec signed_octets(const SignedOctets& parts) {
    const SecretBytes id = crypto::prf(parts.prf, parts.sk_p, {parts.id_body});
    ByteVec octets = to_vec(parts.sa_init);
    octets.insert(octets.end(), parts.peer_nonce.begin(), parts.peer_nonce.end());
    octets.insert(octets.end(), id.view().begin(), id.view().end());
    return octets;
}

ByteVec psk_auth(const SignedOctets& parts, const SecretBytes& secret) {
    const SecretBytes key = crypto::prf(parts.prf, secret.view(), {as_bytes(kKeyPad)});
    return to_vec(crypto::prf(parts.prf, key.view(), {signed_octets(parts)}).view());
}

bool verify_psk_auth(const SignedOctets& parts, const SecretBytes& secret, Bytes received) {
    if (secret.empty()) return false;
    return constant_time_equal(psk_auth(parts, secret), received);
}

}  // namespace sluice::ike
