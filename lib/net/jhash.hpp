// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lib/base/bytes.hpp"

namespace sluice::net {

// Bob Jenkins' lookup3 as Linux has it since 4.1 (include/linux/jhash.h): over bytes read as little-endian words. For 4
// and 8 bytes it equals jhash_1word() and jhash_2words() of the words as they lie in memory, and DPDK's rte_jhash().
std::uint32_t jhash(Bytes key, std::uint32_t seed);

// jhash() of keys that differ in their last four bytes only, at the cost of its final round. Immutable.
class JhashTail {
  public:
    // head: all but the last four bytes; its size plus four is a whole number of 12-byte blocks.
    JhashTail(Bytes head, std::uint32_t seed);
    // last: the four bytes, read as a little-endian word.
    std::uint32_t operator()(std::uint32_t last) const;

  private:
    std::uint32_t a_, b_, c_;
};

// Maps a hash onto 0..n-1 without a division: (hash * n) >> 32, as Linux' reciprocal_scale().
constexpr std::uint32_t reciprocal_scale(std::uint32_t hash, std::uint32_t n) {
    return static_cast<std::uint32_t>((std::uint64_t{hash} * n) >> 32);
}

}  // namespace sluice::net
