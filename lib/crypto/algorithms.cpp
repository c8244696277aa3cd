// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/algorithms.hpp"

#include <algorithm>
#include <array>

namespace sluice::crypto {
namespace {

// Columns: id, name, AEAD, key-length attribute, salt, IV, block, ICV. AES-CTR's salt is the nonce of RFC 3686 5.1;
// RFC 4309 7.1 gives CCM three bytes.
constexpr std::array kEncrs = {
    EncrInfo{Encr::null, "NULL", false, false, 0, 0, 1, 0},
    EncrInfo{Encr::aes_cbc, "AES_CBC", false, true, 0, 16, 16, 0},
    EncrInfo{Encr::aes_ctr, "AES_CTR", false, true, 4, 8, 1, 0},
    EncrInfo{Encr::aes_ccm_8, "AES_CCM_8", true, true, 3, 8, 1, 8},
    EncrInfo{Encr::aes_ccm_12, "AES_CCM_12", true, true, 3, 8, 1, 12},
    EncrInfo{Encr::aes_ccm_16, "AES_CCM_16", true, true, 3, 8, 1, 16},
    EncrInfo{Encr::aes_gcm_8, "AES_GCM_8", true, true, 4, 8, 1, 8},
    EncrInfo{Encr::aes_gcm_12, "AES_GCM_12", true, true, 4, 8, 1, 12},
    EncrInfo{Encr::aes_gcm_16, "AES_GCM_16", true, true, 4, 8, 1, 16},
    EncrInfo{Encr::null_auth_aes_gmac, "NULL_AES_GMAC", true, true, 4, 8, 1, 16},
    EncrInfo{Encr::chacha20_poly1305, "CHACHA20_POLY1305", true, false, 4, 8, 1, 16},
};
constexpr std::array kIntegs = {
    IntegInfo{Integ::hmac_sha1_96, "HMAC_SHA1_96", 20, 12},
    IntegInfo{Integ::aes_xcbc_96, "AES_XCBC_96", 16, 12},
    IntegInfo{Integ::aes_cmac_96, "AES_CMAC_96", 16, 12},
    IntegInfo{Integ::hmac_sha2_256_128, "HMAC_SHA2_256_128", 32, 16},
    IntegInfo{Integ::hmac_sha2_384_192, "HMAC_SHA2_384_192", 48, 24},
    IntegInfo{Integ::hmac_sha2_512_256, "HMAC_SHA2_512_256", 64, 32},
};
constexpr std::array kPrfs = {
    PrfInfo{Prf::hmac_sha1, "PRF_HMAC_SHA1", 20, 20},         PrfInfo{Prf::aes128_xcbc, "PRF_AES128_XCBC", 16, 16},
    PrfInfo{Prf::hmac_sha2_256, "PRF_HMAC_SHA2_256", 32, 32}, PrfInfo{Prf::hmac_sha2_384, "PRF_HMAC_SHA2_384", 48, 48},
    PrfInfo{Prf::hmac_sha2_512, "PRF_HMAC_SHA2_512", 64, 64}, PrfInfo{Prf::aes128_cmac, "PRF_AES128_CMAC", 16, 16},
};
constexpr std::array kGroups = {
    GroupInfo{Group::modp2048, "MODP_2048", 256},    GroupInfo{Group::modp3072, "MODP_3072", 384},
    GroupInfo{Group::modp4096, "MODP_4096", 512},    GroupInfo{Group::ecp256, "ECP_256", 64},
    GroupInfo{Group::ecp384, "ECP_384", 96},         GroupInfo{Group::ecp521, "ECP_521", 132},
    GroupInfo{Group::curve25519, "CURVE_25519", 32}, GroupInfo{Group::curve448, "CURVE_448", 56},
};

template <class Table, class Id>
auto find(const Table& table, Id id) -> decltype(table.data()) {
    const auto it = std::ranges::find_if(table, [id](const auto& row) { return row.id == id; });
    return it == table.end() ? nullptr : &*it;
}

}  // namespace

const EncrInfo* find_encr(Encr id) { return find(kEncrs, id); }
const IntegInfo* find_integ(Integ id) { return find(kIntegs, id); }
const PrfInfo* find_prf(Prf id) { return find(kPrfs, id); }
const GroupInfo* find_group(Group id) { return find(kGroups, id); }

bool key_bits_valid(Encr id, std::uint16_t key_bits) {
    const EncrInfo* const info = find_encr(id);
    if (info == nullptr) return false;
    if (info->key_length_attribute) return key_bits == 128 || key_bits == 192 || key_bits == 256;
    return key_bits == (id == Encr::chacha20_poly1305 ? 256 : 0);
}

std::size_t keymat_size(Encr id, std::uint16_t key_bits) {
    const EncrInfo* const info = find_encr(id);
    return info == nullptr ? 0 : std::size_t{key_bits} / 8 + info->salt;
}

}  // namespace sluice::crypto
