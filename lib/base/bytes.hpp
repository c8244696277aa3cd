// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"

namespace sluice {

using Byte = std::uint8_t;
using Bytes = std::span<const Byte>;  // borrowed, read only
using MutBytes = std::span<Byte>;     // borrowed, written by the callee
using ByteVec = std::vector<Byte>;    // owned

inline Bytes as_bytes(std::string_view text) { return {reinterpret_cast<const Byte*>(text.data()), text.size()}; }
inline std::string_view as_text(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline ByteVec to_vec(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

// Lower case, two digits a byte, no separators.
std::string to_hex(Bytes bytes);
// Takes an optional 0x and an even number of digits; invalid otherwise.
Result<ByteVec> from_hex(std::string_view hex);

bool equal(Bytes a, Bytes b);
// Time depends on the lengths only (RFC 7296 leaves ICV compares to the implementer; TRAPS 13).
bool constant_time_equal(Bytes a, Bytes b);

}  // namespace sluice
