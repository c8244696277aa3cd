// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>

#include "lib/base/bytes.hpp"
#include "lib/base/secret.hpp"
#include "lib/crypto/algorithms.hpp"

namespace sluice::crypto {

// prf(key, parts concatenated). The key may have any length: the fixed-key PRFs fold it as RFC 4434 2 and RFC 4615 3
// say.
SecretBytes prf(Prf id, Bytes key, std::initializer_list<Bytes> parts);

// prf+ (RFC 7296 2.13): the first size bytes of T1 | T2 | ...; size is at most 255 outputs (asserted).
SecretBytes prf_plus(Prf id, Bytes key, Bytes seed, std::size_t size);

// Plain hashes: SHA-1 for NAT detection (RFC 7296 2.23) and SHA-256 for cookies.
std::array<Byte, 20> sha1(std::initializer_list<Bytes> parts);
std::array<Byte, 32> sha256(std::initializer_list<Bytes> parts);

}  // namespace sluice::crypto
