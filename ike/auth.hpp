// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/bytes.hpp"
#include "lib/base/secret.hpp"
#include "lib/crypto/algorithms.hpp"

namespace sluice::ike {

// What one end signs (RFC 7296 2.15): InitiatorSignedOctets from the initiator's message, Nr, SK_pi and IDi;
// ResponderSignedOctets from the responder's, Ni, SK_pr and IDr.
struct SignedOctets {
    crypto::Prf prf = crypto::Prf::none;
    Bytes sa_init;     // the signer's IKE_SA_INIT as it was last sent, cookie and all, without non-ESP marker (TRAPS 7)
    Bytes peer_nonce;  // the other's nonce data
    Bytes sk_p;        // SK_pi for the initiator, SK_pr for the responder
    Bytes id_body;     // BasicId::body() of the signer
};
// RealMessage | NonceData | prf(SK_p, RestOfIDPayload).
ByteVec signed_octets(const SignedOctets& parts);

// AUTH = prf(prf(secret, "Key Pad for IKEv2"), octets).
ByteVec psk_auth(const SignedOctets& parts, const SecretBytes& secret);
// Constant time in the value. An empty secret never verifies.
bool verify_psk_auth(const SignedOctets& parts, const SecretBytes& secret, Bytes received);

}  // namespace sluice::ike
