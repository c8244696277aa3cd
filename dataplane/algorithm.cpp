// SPDX-License-Identifier: Apache-2.0
#include "dataplane/algorithm.hpp"

#include <string>

namespace sluice::dataplane {

namespace {

using crypto::Encr;
using crypto::Integ;

constexpr Algorithm gcm(Encr encr, std::uint16_t bits, std::uint8_t variant, std::uint8_t icv) {
    return {.encr = encr,
            .key_bits = bits,
            .integ = Integ::none,
            .engine = Engine::gcm,
            .variant = variant,
            .key = static_cast<std::uint8_t>(bits / 8),
            .salt = 4,
            .iv = 8,
            .align = 4,
            .icv = icv,
            .integ_key = 0,
            .aead = true,
            .random_iv = false};
}

constexpr Algorithm hmac(Encr encr, std::uint16_t bits, Integ integ, std::uint8_t integ_key, std::uint8_t icv) {
    const bool cbc = encr == Encr::aes_cbc;
    return {.encr = encr,
            .key_bits = bits,
            .integ = integ,
            .engine = Engine::job,
            .variant = 0,
            .key = static_cast<std::uint8_t>(bits / 8),
            .salt = 0,
            .iv = static_cast<std::uint8_t>(cbc ? 16 : 0),
            .align = static_cast<std::uint8_t>(cbc ? 16 : 4),
            .icv = icv,
            .integ_key = integ_key,
            .aead = false,
            .random_iv = cbc};
}

constexpr Algorithm kChaCha{.encr = Encr::chacha20_poly1305,
                            .key_bits = 256,
                            .integ = Integ::none,
                            .engine = Engine::job,
                            .variant = 0,
                            .key = 32,
                            .salt = 4,
                            .iv = 8,
                            .align = 4,
                            .icv = 16,
                            .integ_key = 0,
                            .aead = true,
                            .random_iv = false};

constexpr Algorithm kAlgorithms[] = {
    gcm(Encr::aes_gcm_16, 128, 0, 16),
    gcm(Encr::aes_gcm_16, 192, 1, 16),
    gcm(Encr::aes_gcm_16, 256, 2, 16),
    gcm(Encr::aes_gcm_12, 128, 0, 12),
    gcm(Encr::aes_gcm_12, 192, 1, 12),
    gcm(Encr::aes_gcm_12, 256, 2, 12),
    gcm(Encr::aes_gcm_8, 128, 0, 8),
    gcm(Encr::aes_gcm_8, 192, 1, 8),
    gcm(Encr::aes_gcm_8, 256, 2, 8),
    kChaCha,
    hmac(Encr::aes_cbc, 128, Integ::hmac_sha2_256_128, 32, 16),
    hmac(Encr::aes_cbc, 192, Integ::hmac_sha2_256_128, 32, 16),
    hmac(Encr::aes_cbc, 256, Integ::hmac_sha2_256_128, 32, 16),
    hmac(Encr::aes_cbc, 128, Integ::hmac_sha2_384_192, 48, 24),
    hmac(Encr::aes_cbc, 192, Integ::hmac_sha2_384_192, 48, 24),
    hmac(Encr::aes_cbc, 256, Integ::hmac_sha2_384_192, 48, 24),
    hmac(Encr::aes_cbc, 128, Integ::hmac_sha2_512_256, 64, 32),
    hmac(Encr::aes_cbc, 192, Integ::hmac_sha2_512_256, 64, 32),
    hmac(Encr::aes_cbc, 256, Integ::hmac_sha2_512_256, 64, 32),
    hmac(Encr::null, 0, Integ::hmac_sha2_256_128, 32, 16),
    hmac(Encr::null, 0, Integ::hmac_sha2_384_192, 48, 24),
    hmac(Encr::null, 0, Integ::hmac_sha2_512_256, 64, 32),
};

}  // namespace

const Algorithm* find_algorithm(const crypto::CipherKeys& keys) {
    for (const Algorithm& a : kAlgorithms) {
        if (a.encr != keys.encr || a.integ != keys.integ) continue;
        if (a.key_bits == keys.key_bits || (a.encr == Encr::chacha20_poly1305 && keys.key_bits == 0)) return &a;
    }
    return nullptr;
}

Result<const Algorithm*> require_algorithm(const crypto::CipherKeys& keys) {
    const Algorithm* a = find_algorithm(keys);
    if (a == nullptr) {
        return fail(ErrorCode::unsupported, "workers carry no ESP with encryption transform " +
                                                std::to_string(static_cast<unsigned>(keys.encr)) + ", " +
                                                std::to_string(keys.key_bits) + " bits, integrity transform " +
                                                std::to_string(static_cast<unsigned>(keys.integ)));
    }
    if (keys.encr_key.size() != std::size_t{a->key} + a->salt || keys.integ_key.size() != a->integ_key) {
        return fail(ErrorCode::invalid,
                    "key lengths do not fit the ESP algorithm: " + std::to_string(keys.encr_key.size()) + " and " +
                        std::to_string(keys.integ_key.size()) + " bytes, expected " + std::to_string(a->key + a->salt) +
                        " and " + std::to_string(a->integ_key));
    }
    return a;
}

}  // namespace sluice::dataplane
