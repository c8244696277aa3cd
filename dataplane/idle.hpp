// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "lib/base/result.hpp"

namespace sluice::dataplane {

// What a worker waits for when it has nothing to do.
struct IdleSources {
    std::vector<int> fds;  // Port::receive_fds() of its queues, HostTap::fd() of its host interfaces; borrowed
    // A source has no descriptor (net_ring, net_null, PCI): look again after kBlindBound instead of kBound.
    bool blind = false;
};

// Adaptive idling of one worker: after kEmptyPolls rounds without work it sleeps in poll() until a descriptor is
// readable, wake() is called, or the bound is over. Level-triggered, so packets that arrive before the sleep end it.
//
// What other threads put into a ring of the worker has no descriptor, so they call wake() after it. No wakeup is lost:
//   worker: asleep_ = true; fence; is the ring empty? then poll()
//   other:  enqueue;        fence; if asleep_ then write the eventfd
// One of the two sees what the other did. asleep_ is written by the worker (true, false) and by wake() (false).
//
//   if (idle.due(packets)) {
//       idle.sleep([&] { return !rings_empty(); },
//                  [&] { rte_rcu_qsbr_thread_offline(qsbr, id); },
//                  [&] { rte_rcu_qsbr_thread_online(qsbr, id); });
//   }
//
// How long a worker takes from wake() until it runs is measured: wakeups().
//
// A worker that sleeps must be offline to QSBR (TRAPS 58), which is what the last two arguments are for.
class IdleWait {
  public:
    // From wake() of another thread to the worker's first step.
    struct Wakeups {
        std::uint64_t count = 0;
        std::chrono::nanoseconds total{};
        std::chrono::nanoseconds longest{};
        std::uint64_t slow = 0;  // took longer than kSlowWakeup
    };
    static constexpr std::chrono::milliseconds kSlowWakeup{1};

    static constexpr unsigned kEmptyPolls = 200;
    static constexpr std::chrono::microseconds kBound{100'000};
    static constexpr std::chrono::microseconds kBlindBound{200};

    // io: no eventfd.
    static Result<std::unique_ptr<IdleWait>> make(Idle mode, const IdleSources& sources);
    IdleWait(const IdleWait&) = delete;
    IdleWait& operator=(const IdleWait&) = delete;
    ~IdleWait();

    // Worker: once a round, with how much was done in it. true: time to sleep(). Never with Idle::poll.
    bool due(unsigned work) {
        if (work != 0 || mode_ == Idle::poll) {
            empty_ = 0;
            return false;
        }
        return ++empty_ >= kEmptyPolls;
    }

    // Worker: sleeps unless `pending` says that a ring has something. `offline` runs before and `online` after a sleep;
    // neither where none takes place.
    template <class Pending, class Offline, class Online>
    void sleep(const Pending& pending, const Offline& offline, const Online& online) {
        announce();
        if (pending()) {
            retract();
            return;
        }
        offline();
        wait();
        online();
    }

    // Any thread, after it enqueued something for the worker, or told it to stop. A system call only where the worker
    // sleeps.
    void wake();

    // Any thread: how often it has slept.
    std::uint64_t sleeps() const { return sleeps_.load(std::memory_order_relaxed); }
    Wakeups wakeups() const;

  private:
    IdleWait(Idle mode, const IdleSources& sources, int event);
    void announce();
    void retract();
    void wait();
    void note_wakeup();
    void clear_errors();

    Idle mode_;
    unsigned empty_ = 0;
    std::chrono::microseconds bound_;
    int event_;
    std::vector<pollfd> polled_;            // event_ first
    std::atomic<std::uint64_t> sleeps_{0};  // written by the worker, as are the next four
    std::atomic<std::uint64_t> wakeups_{0};
    std::atomic<std::uint64_t> slow_wakeups_{0};
    std::atomic<std::int64_t> wakeup_total_{0};    // nanoseconds
    std::atomic<std::int64_t> wakeup_longest_{0};  // nanoseconds
    alignas(64) std::atomic<bool> asleep_{false};
    std::atomic<std::int64_t> woken_{0};  // steady clock, nanoseconds; written by whose wake() ends the sleep
};

}  // namespace sluice::dataplane
