// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/bytes.hpp"
#include "lib/base/secret.hpp"
#include "lib/crypto/algorithms.hpp"

namespace sluice::crypto {

// Authenticated encryption as IKE's SK payload (RFC 7296 3.14, RFC 5282) and the reference ESP codec use it: an AEAD,
// or a cipher with encrypt-then-MAC. Keys are raw bytes; encr_key carries the salt at its tail.
struct CipherKeys {
    Encr encr = Encr::none;
    std::uint16_t key_bits = 0;
    Integ integ = Integ::none;
    SecretBytes encr_key;   // keymat_size() bytes
    SecretBytes integ_key;  // IntegInfo::key bytes, empty for an AEAD
    friend bool operator==(const CipherKeys&, const CipherKeys&) = default;
};

std::size_t cipher_iv_size(const CipherKeys& keys);
std::size_t cipher_icv_size(const CipherKeys& keys);
std::size_t cipher_block_size(const CipherKeys& keys);

// Encrypts text in place and writes the ICV. aad is what stands before the IV on the wire and is authenticated; for
// encrypt-then-MAC the MAC covers aad | iv | ciphertext | mac_tail, where mac_tail is ESP's ESN high half or empty.
// For an AEAD mac_tail must be empty. A transform that is not implemented, or a key, IV, text or ICV of another size
// than the transforms ask for is an error, and nothing is written: sizes may come from the peer.
Result<void> cipher_seal(const CipherKeys& keys, Bytes aad, Bytes iv, MutBytes text, MutBytes icv, Bytes mac_tail = {});

// Checks the ICV (in constant time), then decrypts in place. Where the ICV is wrong the error is ErrorCode::auth and
// text is wiped: it holds neither plaintext nor ciphertext.
Result<void> cipher_open(const CipherKeys& keys, Bytes aad, Bytes iv, MutBytes text, Bytes icv, Bytes mac_tail = {});

}  // namespace sluice::crypto
