// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/bytes.hpp"

namespace sluice::dataplane {

// Longest prefix match over bytes in network order: a trie whose root looks at two bytes and whose other nodes look at
// one, with answers pushed to the leaves, so a lookup of an IPv4 address is three loads at most. Memory grows with the
// routes (256 KiB for the root, 1 KiB a node), where DPDK's DIR-24-8 takes 32 MiB and more from the first route on and
// twice that while a new one is built. Built once by control, then read only.
class Lpm {
  public:
    using Value = std::uint32_t;  // below 2^31
    static constexpr Value kNone = 0x7fffffff;

    Lpm() : nodes_(kRoot, leaf(kNone)) {}
    // Prefixes must come in the order of their lengths, shortest first; the later of two equal ones wins.
    void add(Bytes prefix, unsigned length, Value value);
    Value find(const Byte* address) const {
        std::uint32_t entry = nodes_[std::size_t{address[0]} << 8 | address[1]];
        for (unsigned depth = 2; (entry & kChild) != 0; ++depth) {
            entry = nodes_[(entry & ~kChild) * std::size_t{256} + address[depth]];
        }
        return entry;
    }
    std::size_t memory() const { return nodes_.size() * sizeof(nodes_[0]); }

  private:
    static constexpr std::uint32_t kChild = 0x80000000;
    static constexpr std::size_t kRoot = 65536;  // entries; those of other nodes come behind it, 256 each
    static constexpr std::uint32_t leaf(Value v) { return v; }
    std::uint32_t child_of(std::size_t entry);
    void fill(std::size_t first, std::size_t count, Value value);
    std::vector<std::uint32_t> nodes_;  // a leaf's value, or kChild | index of the next node in units of 256 entries
};

}  // namespace sluice::dataplane
