// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <intel-ipsec-mb.h>

#include "lib/base/bytes.hpp"
#include "lib/crypto/cipher.hpp"

namespace sluice::bench {

// An ESP suite as IPsec-MB names it.
struct LimitSuite {
    enum class Kind : std::uint8_t { gcm, gmac, chacha, ccm, cipher_and_mac } kind = Kind::gcm;
    IMB_CIPHER_MODE cipher = IMB_CIPHER_NULL;
    IMB_HASH_ALG hash = IMB_AUTH_NULL;
    std::uint16_t key_bytes = 0;
    std::uint8_t salt = 0;
    aes_gcm_enc_dec_t seal = nullptr;  // gcm, gmac
    aes_gcm_enc_dec_t open = nullptr;
    // Null where IPsec-MB has no such algorithm.
    static Result<LimitSuite> of(const crypto::CipherKeys& suite, const IMB_MGR& manager);
    bool one_shot() const { return kind == Kind::gcm || kind == Kind::gmac; }
    bool aead() const { return kind != Kind::cipher_and_mac; }
};

// The expanded keys of one direction of an SA.
struct alignas(64) LimitKey {
    struct Block {
        alignas(16) Byte encrypt[16 * 15];
        alignas(16) Byte decrypt[16 * 15];
        alignas(16) Byte mac[16 * 15];  // AES-XCBC, AES-CMAC: expanded; HMAC: inner state in front
        alignas(16) Byte first[64];     // XCBC k2, CMAC subkey 1, HMAC outer state
        alignas(16) Byte second[16];    // XCBC k3, CMAC subkey 2
    };
    union {
        gcm_key_data gcm;
        Block block;
        Byte chacha[32];
    };
    std::uint32_t salt = 0;  // as it lies in memory

    LimitKey() {}
    static void expand(const LimitSuite& suite, const crypto::CipherKeys& keys, IMB_MGR& manager, LimitKey& out);
};

}  // namespace sluice::bench
