// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::crypto {

// IANA's IKEv2 transform ids: their values are what goes on the wire (RFC 7296 3.3.2, RFC 8247, RFC 7634).
enum class Encr : std::uint16_t {
    none = 0,
    null = 11,  // RFC 2410
    aes_cbc = 12,
    aes_ctr = 13,
    aes_ccm_8 = 14,
    aes_ccm_12 = 15,
    aes_ccm_16 = 16,
    aes_gcm_8 = 18,
    aes_gcm_12 = 19,
    aes_gcm_16 = 20,
    null_auth_aes_gmac = 21,
    chacha20_poly1305 = 28,
};
enum class Prf : std::uint16_t {
    none = 0,
    hmac_sha1 = 2,
    aes128_xcbc = 4,
    hmac_sha2_256 = 5,
    hmac_sha2_384 = 6,
    hmac_sha2_512 = 7,
    aes128_cmac = 8,
};
enum class Integ : std::uint16_t {
    none = 0,
    hmac_sha1_96 = 2,
    aes_xcbc_96 = 5,
    aes_cmac_96 = 8,
    hmac_sha2_256_128 = 12,
    hmac_sha2_384_192 = 13,
    hmac_sha2_512_256 = 14,
};
enum class Group : std::uint16_t {
    none = 0,
    modp2048 = 14,
    modp3072 = 15,
    modp4096 = 16,
    ecp256 = 19,
    ecp384 = 20,
    ecp521 = 21,
    curve25519 = 31,
    curve448 = 32,
};

// Everything that the rest needs to know about an encryption transform. Sizes in bytes.
struct EncrInfo {
    Encr id;
    std::string_view name;      // IANA-like, as strongSwan prints it: "AES_GCM_16"
    bool aead;                  // brings its own ICV; no integrity transform beside it
    bool key_length_attribute;  // the attribute is mandatory on the wire (AES); absent where the key is fixed
    std::uint8_t salt;          // tail of the keying material (RFC 4106 8.1): 4 for GCM and ChaCha20, 3 for CCM
    std::uint8_t iv;            // explicit IV on the wire
    std::uint8_t block;         // plaintext is padded to a multiple of it, 4 at least in ESP
    std::uint8_t icv;           // 0 where not AEAD
};
struct IntegInfo {
    Integ id;
    std::string_view name;
    std::uint8_t key;
    std::uint8_t icv;
};
struct PrfInfo {
    Prf id;
    std::string_view name;
    std::uint8_t key;     // preferred key size, bytes (RFC 7296 2.13)
    std::uint8_t output;  // bytes
};
struct GroupInfo {
    Group id;
    std::string_view name;
    std::uint16_t public_value;  // length on the wire, bytes (RFC 7296 3.4, RFC 5903 7)
};

// Null where the id is unknown or nothing here implements it.
const EncrInfo* find_encr(Encr id);
const IntegInfo* find_integ(Integ id);
const PrfInfo* find_prf(Prf id);
const GroupInfo* find_group(Group id);

// Key sizes in bits that a transform takes: 128, 192, 256 for AES, 256 for ChaCha20, 0 for null.
bool key_bits_valid(Encr id, std::uint16_t key_bits);
// Keying material of one direction in bytes, salt included (RFC 4106 8.1).
std::size_t keymat_size(Encr id, std::uint16_t key_bits);

}  // namespace sluice::crypto
