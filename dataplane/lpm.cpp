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

void Lpm::add(Bytes prefix, unsigned length, Value value) {
    assert(value <= kNone && length <= prefix.size() * 8);
    std::size_t node = 0;
    unsigned depth = 0;
    for (; length - depth * 8 > 8; ++depth) node = child_of(node * 256 + prefix[depth]);
    const unsigned bits = length - depth * 8;
    const unsigned count = 1U << (8 - bits);
    const unsigned first = bits == 0 ? 0 : prefix[depth] & ~(count - 1);
    // No longer prefix has come yet, so none of these entries has a child.
    for (unsigned i = first; i < first + count; ++i) {
        assert((nodes_[node * 256 + i] & kChild) == 0);
        nodes_[node * 256 + i] = leaf(value);
    }
}

}  // namespace sluice::dataplane
