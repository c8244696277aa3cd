// SPDX-License-Identifier: Apache-2.0
#include "dataplane/algorithm.hpp"

#include <algorithm>
#include <array>
#include <cassert>

namespace sluice::dataplane {

namespace {

using crypto::Encr;
using crypto::Integ;

constexpr Encr kEncrs[] = {Encr::aes_gcm_16, Encr::aes_gcm_12, Encr::aes_gcm_8, Encr::null_auth_aes_gmac,
                           Encr::aes_ccm_16, Encr::aes_ccm_12, Encr::aes_ccm_8, Encr::chacha20_poly1305,
                           Encr::aes_cbc,    Encr::aes_ctr,    Encr::null};
constexpr Integ kIntegs[] = {Integ::hmac_sha2_256_128, Integ::hmac_sha2_384_192, Integ::hmac_sha2_512_256,
                             Integ::hmac_sha1_96,      Integ::aes_xcbc_96,       Integ::aes_cmac_96};
constexpr std::uint16_t kKeyBits[] = {0, 128, 192, 256};

Engine engine_of(Encr encr, std::uint16_t key_bits) {
    switch (encr) {
        case Encr::aes_gcm_16:
        case Encr::aes_gcm_12:
        case Encr::aes_gcm_8:
            return Engine::gcm;
        case Encr::null_auth_aes_gmac:
            return Engine::gmac;
        case Encr::aes_ccm_16:
        case Encr::aes_ccm_12:
        case Encr::aes_ccm_8:
            return key_bits == 192 ? Engine::ccm_parts : Engine::job;
        case Encr::chacha20_poly1305:
            return Engine::job;
        default:
            return Engine::separate;
    }
}

class Table {
  public:
    Table() {
        for (const Encr encr : kEncrs) {
            for (const std::uint16_t bits : kKeyBits) {
                if (crypto::key_bits_valid(encr, bits)) add(*crypto::find_encr(encr), bits);
            }
        }
        assert(count_ == kAlgorithmCount);
    }
    std::span<const Algorithm> rows() const { return rows_; }

  private:
    void add(const crypto::EncrInfo& encr, std::uint16_t bits) {
        if (encr.aead) return add(encr, bits, {Integ::none, "", 0, encr.icv});
        for (const Integ integ : kIntegs) add(encr, bits, *crypto::find_integ(integ));
    }
    void add(const crypto::EncrInfo& encr, std::uint16_t bits, const crypto::IntegInfo& integ) {
        rows_[count_] = {.encr = encr.id,
                         .key_bits = bits,
                         .integ = integ.id,
                         .engine = engine_of(encr.id, bits),
                         .row = count_,
                         .variant = static_cast<std::uint8_t>(bits == 0 ? 0 : bits / 64 - 2),
                         .key = static_cast<std::uint8_t>(bits / 8),
                         .salt = encr.salt,
                         .iv = encr.iv,
                         .align = std::max<std::uint8_t>(encr.block, 4),
                         .icv = integ.icv,
                         .integ_key = integ.key,
                         .aead = encr.aead,
                         .random_iv = encr.id == Encr::aes_cbc};
        ++count_;
    }

    std::array<Algorithm, kAlgorithmCount> rows_{};
    std::uint8_t count_ = 0;
};

}  // namespace

std::span<const Algorithm> algorithms() {
    static const Table table;
    return table.rows();
}

std::string name_of(const Algorithm& a) {
    std::string name{crypto::find_encr(a.encr)->name};
    if (crypto::find_encr(a.encr)->key_length_attribute) name += "_" + std::to_string(a.key_bits);
    if (const crypto::IntegInfo* const integ = crypto::find_integ(a.integ)) name += "/" + std::string(integ->name);
    return name;
}

const Algorithm* find_algorithm(const crypto::CipherKeys& keys) {
    for (const Algorithm& a : algorithms()) {
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
        return fail(ErrorCode::invalid, "key lengths do not fit " + name_of(*a) + ": " +
                                            std::to_string(keys.encr_key.size()) + " and " +
                                            std::to_string(keys.integ_key.size()) + " bytes, expected " +
                                            std::to_string(a->key + a->salt) + " and " + std::to_string(a->integ_key));
    }
    return a;
}

}  // namespace sluice::dataplane
