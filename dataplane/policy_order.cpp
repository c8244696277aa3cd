// SPDX-License-Identifier: Apache-2.0
#include "dataplane/policy_order.hpp"

#include <algorithm>

namespace sluice::dataplane {

// The longest subsequence of increasing ranks, by the least last rank for each length; all others become new.
void PolicyOrder::keep_longest_in_order() {
    std::vector<std::size_t> last;  // of the best subsequence of each length, its last place
    std::vector<std::size_t> before(entries_.size(), kNew);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        if (entries_[i].old_place == kNew) continue;
        const auto at = std::ranges::lower_bound(last, entries_[i].rank, {}, [&](std::size_t k) { return rank(k); });
        if (at != last.begin()) before[i] = *(at - 1);
        at == last.end() ? last.push_back(i) : static_cast<void>(*at = i);
    }
    std::size_t keep = last.empty() ? kNew : last.back();
    for (std::size_t i = entries_.size(); i-- > 0;) {
        if (i == keep) {
            keep = before[i];
        } else {
            entries_[i] = {};
        }
    }
}

// False where a gap is too small.
bool PolicyOrder::fill_gaps() {
    std::uint64_t previous = 0;
    for (std::size_t i = 0; i < entries_.size();) {
        std::size_t end = i;
        while (end < entries_.size() && entries_[end].old_place == kNew) ++end;
        const std::uint64_t fresh = end - i;
        const bool open = end == entries_.size();
        const std::uint64_t step = open ? kGap : (entries_[end].rank - previous) / (fresh + 1);
        if (step == 0) return false;
        for (; i < end; ++i) entries_[i].rank = previous += step;
        if (!open) previous = entries_[i++].rank;
    }
    return true;
}

void PolicyOrder::settle() {
    keep_longest_in_order();
    if (fill_gaps()) return;
    for (Entry& e : entries_) e = {};
    fill_gaps();
}

}  // namespace sluice::dataplane
