// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bitset>
#include <cstdint>
#include <span>
#include <string>

#include "lib/base/result.hpp"
#include "lib/crypto/cipher.hpp"

namespace sluice::dataplane {

// How IPsec-MB carries an algorithm.
enum class Engine : std::uint8_t {
    gcm,        // one-shot calls
    gmac,       // the same, with the whole packet as additional data (RFC 4543 3.3)
    job,        // the job manager, which does cipher and tag of an AEAD in one go
    ccm_parts,  // CCM with 192-bit keys, which the job manager lacks: of CBC and CTR (RFC 3610 2)
    separate,   // a burst of a cipher, then one of a MAC, across the packets' lanes
};

// One row of the table of ESP algorithms. Sizes in bytes.
struct Algorithm {
    crypto::Encr encr;
    std::uint16_t key_bits;
    crypto::Integ integ;
    Engine engine;
    std::uint8_t row;      // its place in algorithms()
    std::uint8_t variant;  // 0, 1, 2 for keys of 128, 192, 256 bits
    std::uint8_t key;      // cipher key without salt
    std::uint8_t salt;
    std::uint8_t iv;     // explicit IV on the wire
    std::uint8_t align;  // payload, padding and trailer fill a multiple of it (RFC 4303 2.4)
    std::uint8_t icv;
    std::uint8_t integ_key;
    bool aead;       // the ESN high half is inside the AAD; otherwise it follows the ciphertext (RFC 4303 2.2.1)
    bool random_iv;  // unpredictable IV (CBC), not a counter
};

inline constexpr unsigned kAlgorithmCount = 64;
using AlgorithmSet = std::bitset<kAlgorithmCount>;  // by Algorithm::row
// All that the workers carry, from lib/crypto's sizes: every AEAD, and AES-CBC, AES-CTR and NULL with every integrity.
std::span<const Algorithm> algorithms();
// "AES_GCM_16_128", "AES_CBC_256/HMAC_SHA2_256_128".
std::string name_of(const Algorithm& algorithm);

// Null where the workers do not carry this combination.
const Algorithm* find_algorithm(const crypto::CipherKeys& keys);
// The same, with an error that names the combination; also checks the key lengths.
Result<const Algorithm*> require_algorithm(const crypto::CipherKeys& keys);

}  // namespace sluice::dataplane
