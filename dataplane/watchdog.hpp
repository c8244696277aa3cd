// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "lib/base/strong.hpp"

namespace sluice::dataplane {

// Whether a worker still turns, as control sees it from time to time (TRAPS 58). A sleeping one is well. What stops
// control stops the workers as well (a suspended machine, SIGSTOP), so the time between two looks counts for no more
// than half of what a turn may take.
class WorkerWatch {
  public:
    enum class News : std::uint8_t { none, stuck, recovered };
    struct Sight {
        std::uint64_t loops = 0;  // turns so far
        bool asleep = false;
        std::uint64_t now = 0;  // cycles
    };
    // patience: cycles that a turn may take; at least two looks are to fall into them.
    explicit WorkerWatch(std::uint64_t patience) : patience_(patience) {}

    // stuck: once, when it is found to have stood still that long; recovered: once, when it turns again.
    News look(const Sight& sight);
    bool stuck() const { return stuck_; }

  private:
    std::uint64_t patience_;
    std::uint64_t loops_ = ~0ULL;
    std::uint64_t looked_ = 0;  // cycles
    std::uint64_t stood_ = 0;   // cycles
    bool stuck_ = false;
};

// Workers that hang, so that those which share an SA with one do not wait for its numbers for ever (esp::EmissionGate).
//
// Protocol: control declares a worker lost. The others stop waiting for what it holds; it holds some sealed packets
// still, whose numbers are given up: when it comes back it lets go of them, seals nothing for shared SAs, and says so
// (has_let_go()). Control then readmits it. So a packet of a lost worker that leaves late is one that it was about to
// send when it hung, and costs its receiver one too old packet.
class LostWorkers {
  public:
    static constexpr std::size_t kMaxWorkers = 64;

    // Control.
    void declare(WorkerId worker) {
        let_go_[worker.value].store(false, std::memory_order_relaxed);
        mask_.fetch_or(bit(worker), std::memory_order_release);
    }
    // Control, while the worker turns. False: it has not let go yet.
    bool readmit(WorkerId worker) {
        if (!is_lost(worker)) return true;
        if (!let_go_[worker.value].load(std::memory_order_acquire)) return false;
        mask_.fetch_and(~bit(worker), std::memory_order_release);
        return true;
    }
    // Any thread. Bit w: worker w.
    std::uint64_t mask() const { return mask_.load(std::memory_order_acquire); }
    bool is_lost(WorkerId worker) const { return (mask() & bit(worker)) != 0; }
    // The worker itself, when it is lost and holds nothing any more.
    void has_let_go(WorkerId worker) { let_go_[worker.value].store(true, std::memory_order_release); }

  private:
    static constexpr std::uint64_t bit(WorkerId worker) { return std::uint64_t{1} << worker.value; }
    alignas(64) std::atomic<std::uint64_t> mask_{0};                      // control
    alignas(64) std::array<std::atomic<bool>, kMaxWorkers> let_go_ = {};  // control resets, the worker sets
};

}  // namespace sluice::dataplane
