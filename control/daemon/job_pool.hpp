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

// Helper threads for Diffie-Hellman or for signatures, so that no arithmetic runs on the event loop (TRAPS 56). Jobs
// start in the order of submit(); outcomes are handed to done on the reactor's thread, in any order.
//
// jobs_ and outcomes_ are shared by the reactor's thread and the helpers, under mutex_; the eventfd tells the reactor
// that outcomes_ has something.
template <class Job, class Outcome>
class JobPool {
  public:
    using Compute = std::function<Outcome(const Job&)>;
    using Done = std::function<void(Outcome)>;

    // compute runs on the helpers; the default is compute_job(). threads is at least 1.
    static Result<std::unique_ptr<JobPool>> create(Reactor& reactor, unsigned threads, Done done, Compute compute = {});
    // Waits for the jobs that run and forgets the others.
    ~JobPool();
    JobPool(const JobPool&) = delete;
    JobPool& operator=(const JobPool&) = delete;

    // False where kMaxQueued jobs wait already: the exchange then lives by its retransmissions.
    bool submit(Job job);
    std::size_t queued() const;

    static constexpr std::size_t kMaxQueued = 4096;

  private:
    JobPool(Reactor& reactor, int event_fd, Done done, Compute compute);
    void work();
    void deliver();

    Reactor& reactor_;
    int event_fd_;
    Done done_;
    Compute compute_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;          // under mutex_
    std::deque<Job> jobs_;           // under mutex_
    std::vector<Outcome> outcomes_;  // under mutex_
    std::vector<std::thread> threads_;
};

using DhPool = JobPool<ike::StartDh, ike::DhOutcome>;
using AuthPool = JobPool<ike::StartAuth, ike::AuthOutcome>;

// What the helpers do: a key pair, a shared secret, or both, as StartDh asks; signatures, with the system's clock for
// certificates. Any thread.
ike::DhOutcome compute_job(const ike::StartDh& job);
ike::AuthOutcome compute_job(const ike::StartAuth& job);

}  // namespace sluice::control
