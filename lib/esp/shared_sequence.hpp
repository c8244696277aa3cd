// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "lib/base/strong.hpp"
#include "lib/esp/iv.hpp"
#include "lib/esp/sequence.hpp"

// The numbers of one outbound SA that several workers seal for: what OutboundSequence and IvSource are to one thread.
//
// Protocol: a number belongs to whoever moved the counter over it, and the counter only goes up, so none is given twice
// and none wraps. Every move is one acquire-release operation on the counter: who takes a number sees all that its
// takers of lower numbers wrote before they took them. EmissionGate stands on that.
namespace sluice::esp {

// Consecutive numbers that stay in order whichever workers seal them: the d of the segment hash (H14).
inline constexpr std::uint64_t kRun = 16;

// What of some numbers in a row lies within their first run. The gate deals with such blocks (EmissionGate).
inline constexpr SeqRange first_run(SeqRange numbers) {
    return {numbers.first, std::min(numbers.count, kRun - numbers.first.value % kRun)};
}

// Outbound sequence numbers (RFC 4303 3.3.3; TRAPS 33, 35, 44): the first is 1. Any thread takes; control reserves.
class SharedSequence {
  public:
    // As OutboundSequence: nothing may be sent before reserve().
    explicit SharedSequence(bool esn, Seq last = Seq(0)) : limit_(OutboundSequence::last_number(esn).value) {
        const std::uint64_t used = std::min(last.value, limit_);
        ceiling_.store(used, std::memory_order_relaxed);
        last_.store(used, std::memory_order_relaxed);
    }
    SharedSequence(const SharedSequence&) = delete;
    SharedSequence& operator=(const SharedSequence&) = delete;

    // Control. Allows numbers up to ceiling, cut to the space. It never goes down.
    void reserve(Seq ceiling) {
        const std::uint64_t wanted = std::min(ceiling.value, limit_);
        if (wanted > ceiling_.load(std::memory_order_relaxed)) ceiling_.store(wanted, std::memory_order_release);
    }

    // Any thread. Up to count numbers in a row; count 0 at the ceiling, where exhausted() tells whether waiting for a
    // reservation can help.
    SeqRange take(std::uint64_t count) {
        std::uint64_t last = last_.load(std::memory_order_relaxed);
        const std::uint64_t ceiling = ceiling_.load(std::memory_order_acquire);
        for (;;) {
            if (last >= ceiling) return {Seq(last), 0};
            const std::uint64_t granted = std::min(count, ceiling - last);
            if (last_.compare_exchange_weak(last, last + granted, std::memory_order_acq_rel,
                                            std::memory_order_relaxed)) {
                return {Seq(last + 1), granted};
            }
        }
    }

    // Whoever is about to take: brings the counter here to be written, so that the first look at it is the only wait.
    void prefetch() const { __builtin_prefetch(&last_, 1); }
    // Any thread. The highest number that somebody has taken, a moment ago.
    Seq last() const { return Seq(last_.load(std::memory_order_relaxed)); }
    Seq ceiling() const { return Seq(ceiling_.load(std::memory_order_acquire)); }
    bool exhausted() const { return last().value == limit_; }
    bool rekey_due() const { return last().value > limit_ / 2; }

  private:
    alignas(64) std::atomic<std::uint64_t> last_;     // whoever takes
    alignas(64) std::atomic<std::uint64_t> ceiling_;  // control; last_ <= ceiling_ <= limit_
    const std::uint64_t limit_;
};

// IV counters, dealt in ranges: a worker uses up its IvRange and comes back for another. Any thread.
class SharedIvSource {
  public:
    // used: as IvSource.
    explicit SharedIvSource(std::uint64_t used = 0) : next_(std::min(used, kIvHardLimit)) {}
    SharedIvSource(const SharedIvSource&) = delete;
    SharedIvSource& operator=(const SharedIvSource&) = delete;

    // Up to size counters; fewer, at last none, as the hard limit comes near.
    IvRange allocate(std::uint64_t size) {
        std::uint64_t next = next_.load(std::memory_order_relaxed);
        for (;;) {
            const std::uint64_t granted = std::min(size, kIvHardLimit - next);
            if (next_.compare_exchange_weak(next, next + granted, std::memory_order_relaxed)) {
                return {next, next + granted};
            }
        }
    }
    std::uint64_t used() const { return next_.load(std::memory_order_relaxed); }
    bool rekey_due() const { return used() >= kIvSoftLimit; }

  private:
    alignas(64) std::atomic<std::uint64_t> next_;  // never above kIvHardLimit
};

}  // namespace sluice::esp
