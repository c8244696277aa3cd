// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lib/base/bytes.hpp"
#include "lib/base/secret.hpp"
#include "lib/crypto/cipher.hpp"
#include "lib/ipsec/proposal.hpp"

namespace sluice::ike {

// Ni and Nr without payload headers. i is who began the exchange that made them, for a CREATE_CHILD_SA the initiator
// of that exchange, not of the IKE SA.
struct Nonces {
    Bytes i;
    Bytes r;
};

// The keys of an IKE SA (RFC 7296 2.14). initiator holds SK_ei and SK_ai: it seals what the original initiator sends;
// responder SK_er and SK_ar. With an AEAD the encr_key ends in the 4-byte salt and there is no SK_a (RFC 5282 7.1).
struct IkeKeys {
    SecretBytes sk_d;
    SecretBytes sk_pi;
    SecretBytes sk_pr;
    crypto::CipherKeys initiator;
    crypto::CipherKeys responder;
    friend bool operator==(const IkeKeys&, const IkeKeys&) = default;
};

// SKEYSEED = prf(Ni | Nr, g^ir). AES-XCBC and AES-CMAC take the first 8 bytes of either nonce as their key (TRAPS 8).
SecretBytes skeyseed(crypto::Prf prf, const Nonces& nonces, const SecretBytes& shared);
// SKEYSEED of a rekeyed IKE SA = prf(SK_d (old), g^ir | Ni | Nr), with the old SA's prf (RFC 7296 2.18).
SecretBytes rekey_skeyseed(crypto::Prf old_prf, const SecretBytes& old_sk_d, const Nonces& nonces,
                           const SecretBytes& shared);
// {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+(SKEYSEED, Ni | Nr | SPIi | SPIr). The suite must name
// algorithms that lib/crypto finds (asserted). spis are those of the new SA.
struct IkeSpis {
    std::uint64_t i = 0;
    std::uint64_t r = 0;
};
IkeKeys derive_ike_keys(const ipsec::Suite& suite, const SecretBytes& seed, const Nonces& nonces, const IkeSpis& spis);

// KEYMAT of a child (RFC 7296 2.17), cut up: first the SA that carries from the initiator of the exchange to its
// responder (encryption, then integrity), then the other way. Each is what ipsec::SaHalf::keys wants: the initiator's
// outbound is i_to_r, its inbound r_to_i.
struct ChildKeys {
    crypto::CipherKeys i_to_r;
    crypto::CipherKeys r_to_i;
    friend bool operator==(const ChildKeys&, const ChildKeys&) = default;
};
// shared is empty where CREATE_CHILD_SA had no KE, and for the child of IKE_AUTH. prf is the IKE SA's, suite the
// child's.
ChildKeys derive_child_keys(crypto::Prf prf, const SecretBytes& sk_d, const Nonces& nonces, const SecretBytes& shared,
                            const ipsec::Suite& suite);

}  // namespace sluice::ike
