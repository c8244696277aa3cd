// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "lib/base/strong.hpp"

namespace sluice::esp {

// A run of consecutive numbers: first .. first + count - 1.
struct SeqRange {
    Seq first;
    std::uint64_t count = 0;
};

// Outbound sequence numbers of one SA (RFC 4303 3.3.3): the first is 1, none is used twice, none wraps. Numbers are
// reserved before they are used: take() goes up to a ceiling that whoever owns the SA for the cluster has made safe,
// and a node that takes the SA over starts above that ceiling (TRAPS 35, 47). Owned by one thread.
class OutboundSequence {
  public:
    // last: the highest number that can have been used, 0 for a new SA. The ceiling starts there: nothing may be sent
    // before reserve().
    explicit OutboundSequence(bool esn, Seq last = Seq(0)) : limit_(last_number(esn).value) {
        last_ = ceiling_ = std::min(last.value, limit_);
    }

    // The last number of the space: 2^32 - 1, with ESN 2^64 - 1.
    static constexpr Seq last_number(bool esn) { return Seq(esn ? UINT64_MAX : UINT32_MAX); }

    // Allows numbers up to ceiling, cut to the space. It never goes down.
    void reserve(Seq ceiling) { ceiling_ = std::max(ceiling_, std::min(ceiling.value, limit_)); }

    // Nothing at the ceiling: exhausted() tells whether waiting for a reservation can help.
    std::optional<Seq> take() {
        if (last_ == ceiling_) return std::nullopt;
        return Seq(++last_);
    }
    // Up to count numbers in one go; count 0 at the ceiling.
    SeqRange take(std::uint64_t count) {
        const std::uint64_t granted = std::min(count, ceiling_ - last_);
        last_ += granted;
        return {Seq(last_ - granted + 1), granted};
    }

    Seq last() const { return Seq(last_); }
    Seq ceiling() const { return Seq(ceiling_); }
    std::uint64_t reserved() const { return ceiling_ - last_; }
    // The space is used up: only a rekey helps.
    bool exhausted() const { return last_ == limit_; }
    // Half of the space is used: rekey before it ends.
    bool rekey_due() const { return last_ > limit_ / 2; }

  private:
    std::uint64_t limit_;
    std::uint64_t last_;
    std::uint64_t ceiling_;  // last_ <= ceiling_ <= limit_
};

}  // namespace sluice::esp
