// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "control/daemon/reactor.hpp"
#include "ike/engine.hpp"

namespace sluice::control {

// Helper threads for Diffie-Hellman, so that no arithmetic runs on the event loop (TRAPS 56). Jobs start in the order
// of submit(); outcomes are handed to done on the reactor's thread, in any order.
//
// jobs_ and outcomes_ are shared by the reactor's thread and the helpers, under mutex_; the eventfd tells the reactor
// that outcomes_ has something.
class DhPool {
  public:
    using Compute = std::function<ike::DhOutcome(const ike::StartDh&)>;
    using Done = std::function<void(ike::DhOutcome)>;

    // compute runs on the helpers; the default is compute_dh(). threads is at least 1.
    static Result<std::unique_ptr<DhPool>> create(Reactor& reactor, unsigned threads, Done done, Compute compute = {});
    // Waits for the jobs that run and forgets the others.
    ~DhPool();
    DhPool(const DhPool&) = delete;
    DhPool& operator=(const DhPool&) = delete;

    // False where kMaxQueued jobs wait already: the exchange then lives by its retransmissions.
    bool submit(ike::StartDh job);
    std::size_t queued() const;

    static constexpr std::size_t kMaxQueued = 4096;

  private:
    DhPool(Reactor& reactor, int event_fd, Done done, Compute compute);
    void work();
    void deliver();

    Reactor& reactor_;
    int event_fd_;
    Done done_;
    Compute compute_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;                 // under mutex_
    std::deque<ike::StartDh> jobs_;         // under mutex_
    std::vector<ike::DhOutcome> outcomes_;  // under mutex_
    std::vector<std::thread> threads_;
};

// What the helpers do: a key pair, a shared secret, or both, as StartDh asks. Any thread.
ike::DhOutcome compute_dh(const ike::StartDh& job);

}  // namespace sluice::control
