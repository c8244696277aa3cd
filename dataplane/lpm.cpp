// SPDX-License-Identifier: Apache-2.0
#include "dataplane/lpm.hpp"

#include <algorithm>
#include <cassert>

namespace sluice::dataplane {

std::uint32_t Lpm::child_of(std::size_t entry) {
    const std::uint32_t now = nodes_[entry];
    if ((now & kChild) != 0) return now & ~kChild;
    const auto child = static_cast<std::uint32_t>(nodes_.size() / 256);
    nodes_.resize(nodes_.size() + 256, now);
    nodes_[entry] = kChild | child;
    return child;
}

// No longer prefix has come yet, so none of these entries has a child.
void Lpm::fill(std::size_t first, std::size_t count, Value value) {
    for (std::size_t i = first; i < first + count; ++i) {
        assert((nodes_[i] & kChild) == 0);
        nodes_[i] = leaf(value);
    }
}

void Lpm::add(Bytes prefix, unsigned length, Value value) {
    assert(value <= kNone && length <= prefix.size() * 8);
    std::size_t entry = std::size_t{prefix[0]} << 8 | prefix[1];
    if (length <= 16) {
        const std::size_t count = std::size_t{1} << (16 - length);
        return fill(entry & ~(count - 1), count, value);
    }
    unsigned depth = 2;
    for (; length - depth * 8 > 8; ++depth) entry = child_of(entry) * std::size_t{256} + prefix[depth];
    const std::size_t count = std::size_t{1} << (8 - (length - depth * 8));
    fill(child_of(entry) * std::size_t{256} + (prefix[depth] & ~(count - 1)), count, value);
}

}  // namespace sluice::dataplane
