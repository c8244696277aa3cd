// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "lib/crypto/algorithms.hpp"
#include "lib/crypto/random.hpp"

using namespace sluice;
using namespace sluice::crypto;

TEST_CASE("Unknown and reserved transform ids are not found") {
    CHECK(find_encr(Encr::none) == nullptr);
    CHECK(find_encr(Encr{3}) == nullptr);  // 3DES
    CHECK(find_integ(Integ::none) == nullptr);
    CHECK(find_integ(Integ{1}) == nullptr);  // HMAC_MD5_96
    CHECK(find_prf(Prf{1}) == nullptr);
    CHECK(find_group(Group{2}) == nullptr);  // MODP_1024
}

TEST_CASE("ICVs are as long as RFC 4106, 4309, 4868, 2404 and 3566 say, TRAPS 13") {
    CHECK(find_encr(Encr::aes_gcm_8)->icv == 8);
    CHECK(find_encr(Encr::aes_gcm_12)->icv == 12);
    CHECK(find_encr(Encr::aes_gcm_16)->icv == 16);
    CHECK(find_encr(Encr::aes_ccm_8)->icv == 8);
    CHECK(find_encr(Encr::aes_ccm_12)->icv == 12);
    CHECK(find_encr(Encr::aes_ccm_16)->icv == 16);
    CHECK(find_integ(Integ::hmac_sha1_96)->icv == 12);
    CHECK(find_integ(Integ::aes_xcbc_96)->icv == 12);
    CHECK(find_integ(Integ::aes_cmac_96)->icv == 12);
    CHECK(find_integ(Integ::hmac_sha2_256_128)->icv == 16);
    CHECK(find_integ(Integ::hmac_sha2_384_192)->icv == 24);
    CHECK(find_integ(Integ::hmac_sha2_512_256)->icv == 32);
}

TEST_CASE("Key lengths: AES takes three, the others one, TRAPS 10") {
    for (const Encr id : {Encr::aes_cbc, Encr::aes_ctr, Encr::aes_ccm_16, Encr::aes_gcm_16, Encr::null_auth_aes_gmac}) {
        CHECK(key_bits_valid(id, 128));
        CHECK(key_bits_valid(id, 192));
        CHECK(key_bits_valid(id, 256));
        CHECK_FALSE(key_bits_valid(id, 0));
        CHECK_FALSE(key_bits_valid(id, 129));
        CHECK_FALSE(key_bits_valid(id, 512));
    }
    CHECK(key_bits_valid(Encr::chacha20_poly1305, 256));
    CHECK_FALSE(key_bits_valid(Encr::chacha20_poly1305, 128));
    CHECK(key_bits_valid(Encr::null, 0));
    CHECK_FALSE(key_bits_valid(Encr::null, 128));
    CHECK_FALSE(key_bits_valid(Encr{3}, 192));
}

TEST_CASE("Keying material carries the salt at its tail: 4 bytes for GCM, CTR and ChaCha20, 3 for CCM") {
    CHECK(keymat_size(Encr::aes_cbc, 256) == 32);
    CHECK(keymat_size(Encr::aes_ctr, 128) == 20);
    CHECK(keymat_size(Encr::aes_ccm_16, 192) == 27);
    CHECK(keymat_size(Encr::aes_gcm_8, 128) == 20);
    CHECK(keymat_size(Encr::null_auth_aes_gmac, 256) == 36);
    CHECK(keymat_size(Encr::chacha20_poly1305, 256) == 36);
    CHECK(keymat_size(Encr::null, 0) == 0);
}

TEST_CASE("The system's generator fills every byte and does not repeat itself") {
    SystemRandom random;
    std::array<Byte, 64> seen_or{};
    for (int round = 0; round < 64; ++round) {
        std::array<Byte, 64> one{};
        random.fill(one);
        for (std::size_t i = 0; i < one.size(); ++i) seen_or[i] = static_cast<Byte>(seen_or[i] | one[i]);
    }
    for (const Byte b : seen_or) CHECK(b == 0xff);  // each bit is zero 64 times with probability 2^-64
    std::array<Byte, 32> a{};
    std::array<Byte, 32> b{};
    random.fill(a);
    random.fill(b);
    CHECK(a != b);
}
