// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lib/base/result.hpp"
#include "lib/crypto/cipher.hpp"

namespace sluice::dataplane {

// How IPsec-MB carries an algorithm: one-shot GCM calls, or its job manager, which fills vector lanes across packets.
enum class Engine : std::uint8_t { gcm, job };

// One row of the table of ESP algorithms. Sizes in bytes.
struct Algorithm {
    crypto::Encr encr;
    std::uint16_t key_bits;
    crypto::Integ integ;
    Engine engine;
    std::uint8_t variant;  // gcm: 0, 1, 2 for 128, 192, 256 bits
    std::uint8_t key;      // cipher key without salt
    std::uint8_t salt;
    std::uint8_t iv;     // explicit IV on the wire
    std::uint8_t align;  // payload, padding and trailer fill a multiple of it (RFC 4303 2.4)
    std::uint8_t icv;
    std::uint8_t integ_key;
    bool aead;       // the ESN high half is inside the AAD; otherwise it follows the ciphertext (RFC 4303 2.2.1)
    bool random_iv;  // unpredictable IV (CBC), not a counter
};

// Null where the workers do not carry this combination.
const Algorithm* find_algorithm(const crypto::CipherKeys& keys);
// The same, with an error that names the combination; also checks the key lengths.
Result<const Algorithm*> require_algorithm(const crypto::CipherKeys& keys);

}  // namespace sluice::dataplane
