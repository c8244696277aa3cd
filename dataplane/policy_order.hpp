// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace sluice::dataplane {

// Ranks for a new list of policies in place of an old one, so that as few as possible get another: those that are in
// both and still in order keep theirs, the rest are put into the gaps between them.
class PolicyOrder {
  public:
    static constexpr std::uint64_t kGap = std::uint64_t{1} << 32;

    explicit PolicyOrder(std::size_t count) : entries_(count) {}
    // The policy at place i of the new list stands unchanged in the old one, with this rank, which no other has.
    void match(std::size_t i, std::size_t old_place, std::uint64_t rank) { entries_[i] = {old_place, rank}; }
    // After all matches.
    void settle();
    // Where policy i stands in the old list, if it keeps its rank.
    std::optional<std::size_t> kept(std::size_t i) const {
        return entries_[i].old_place == kNew ? std::nullopt : std::optional{entries_[i].old_place};
    }
    std::uint64_t rank(std::size_t i) const { return entries_[i].rank; }

  private:
    static constexpr std::size_t kNew = ~std::size_t{0};
    struct Entry {
        std::size_t old_place = kNew;
        std::uint64_t rank = 0;
    };
    void keep_longest_in_order();
    bool fill_gaps();
    std::vector<Entry> entries_;
};

}  // namespace sluice::dataplane
