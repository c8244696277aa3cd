// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/bytes.hpp"

namespace sluice::crypto {

// The MACs below both PRFs and integrity transforms; inside lib/crypto only.
enum class Mac { hmac_sha1, hmac_sha2_256, hmac_sha2_384, hmac_sha2_512, aes128_xcbc, aes128_cmac };

// Bytes before truncation: 20, 32, 48, 64, 16, 16.
std::size_t mac_size(Mac id);
inline constexpr std::size_t kMaxMac = 64;

// Writes the first out.size() bytes of the MAC of the parts, concatenated; out is at most mac_size(id) long. The AES
// MACs take a key of exactly 16 bytes (RFC 3566 4, RFC 4493 2.4), HMAC any (RFC 2104).
void mac(Mac id, Bytes key, std::span<const Bytes> parts, MutBytes out);

}  // namespace sluice::crypto
