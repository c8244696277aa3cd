// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/esp/shared_sequence.hpp"

namespace sluice::esp {

// When a worker may hand numbers of a shared SA to its port, so that a receiver with a replay window of kReach takes
// all of them, and so that an aligned run of kRun numbers leaves in order.
//
// Each worker publishes, on a line that it alone writes, the lowest number that it may still hold. What it takes at
// once it deals with as blocks, of one run each (first_run()), in the order of the numbers. A block [s, s + c) may go
// once every number below s + c - kReach has been handed over (all of those below s, where s is not the first of its
// run): then whatever goes later is less than kReach behind the highest that went before. Whoever holds the lowest
// number of all may always go, so the workers cannot wait for each other in a ring.
//
// Protocol. A worker that holds nothing of the SA
//   1. holds() a number not above what it will get: last() + 1 of the SharedSequence, whatever others take meanwhile;
//   2. takes from the SharedSequence;
//   3. holds() the first of what it took, seals all of it, and waits until open() says yes to lowest_elsewhere(), block
//      by block: none goes before the one in front of it;
//   4. hands it to the port: it is in the driver's transmit call, or in the ring to who serves the port, behind all
//      that went before it;
//   5. holds() the lowest of what it still has, or releases().
// Who takes s sees step 1 of everybody who took a number below s, since each take is an acquire-release operation on
// one counter: a line that says "nothing" or a higher number was then written after step 4 of what was held before. The
// stores are releases and the loads acquires, so the ports see the order as well.
//
// A worker that hangs holds its numbers for ever, so lowest_elsewhere() leaves out the workers that control has
// declared lost. They are told, and let go of what they hold before they take again.
class EmissionGate {
  public:
    static constexpr std::uint64_t kReach = 32;
    static constexpr std::size_t kMaxWorkers = 16;
    static constexpr std::uint64_t kNothing = ~0ULL;

    // Worker w alone. Numbers from lowest on may be held; a line never says more than the truth.
    void hold(std::size_t w, Seq lowest) { lines_[w].lowest.store(lowest.value, std::memory_order_release); }
    // Worker w alone: it holds nothing any more.
    void release(std::size_t w) { lines_[w].lowest.store(kNothing, std::memory_order_release); }
    // Any thread. kNothing, or a number at or below all that worker w holds.
    std::uint64_t held(std::size_t w) const { return lines_[w].lowest.load(std::memory_order_acquire); }

    // Worker w, about numbers that it holds: all below the answer have been handed over, but for its own and those of
    // `lost` workers (bit v: worker v).
    std::uint64_t lowest_elsewhere(std::size_t w, std::size_t workers, std::uint64_t lost) const {
        std::uint64_t lowest = kNothing;
        for (std::size_t v = 0; v < workers; ++v) {
            if (v != w && (lost >> v & 1) == 0) lowest = std::min(lowest, held(v));
        }
        return lowest;
    }

    // All numbers below this must have gone before the block may.
    static constexpr std::uint64_t threshold(SeqRange block) {
        const std::uint64_t first = block.first.value;
        if (first % kRun != 0) return first;
        const std::uint64_t end = first + block.count;
        return end > kReach ? end - kReach : 0;
    }
    static constexpr bool open(SeqRange block, std::uint64_t lowest_elsewhere) {
        return threshold(block) <= lowest_elsewhere;
    }

  private:
    struct alignas(64) Line {
        std::atomic<std::uint64_t> lowest{kNothing};
    };
    std::array<Line, kMaxWorkers> lines_;
};

}  // namespace sluice::esp
