// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace sluice::dataplane {

// The packets, or the bytes, that one half of an SA may carry when several workers carry it: each takes a share, uses
// it up and comes back. What has been taken is never above the hard limit, so the SA may end early by what others have
// not used, never late (TRAPS 37). Any thread.
class Allowance {
  public:
    static constexpr std::uint64_t kUnlimited = ~0ULL;

    // 0 is no limit, as in ipsec::Lifetime.
    Allowance(std::uint64_t soft, std::uint64_t hard, unsigned workers)
        : soft_(soft), hard_(hard), divisor_(4ULL * workers) {}

    // The next share: a small part of what is left until the next limit, 1 at least; kUnlimited where there is no limit
    // ahead; 0 where the hard limit is reached.
    std::uint64_t take() {
        std::uint64_t taken = taken_.load(std::memory_order_relaxed);
        for (;;) {
            const bool before_soft = taken < soft_ && (hard_ == 0 || soft_ < hard_);
            const std::uint64_t end = before_soft ? soft_ : hard_;
            if (end == 0) return kUnlimited;
            if (taken >= end) return 0;
            const std::uint64_t share = std::max<std::uint64_t>((end - taken) / divisor_, 1);
            if (taken_.compare_exchange_weak(taken, taken + share, std::memory_order_relaxed)) return share;
        }
    }
    bool soft_reached() const { return soft_ != 0 && taken_.load(std::memory_order_relaxed) >= soft_; }

  private:
    const std::uint64_t soft_;
    const std::uint64_t hard_;
    const std::uint64_t divisor_;
    alignas(64) std::atomic<std::uint64_t> taken_{0};
};

}  // namespace sluice::dataplane
