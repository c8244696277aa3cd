// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/job_pool.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "lib/crypto/random.hpp"

namespace sluice::control {

ike::DhOutcome compute_job(const ike::StartDh& job) {
    ike::DhOutcome outcome;
    outcome.job = job.job;
    const SecretBytes* private_key = &job.private_key;
    if (job.private_key.empty()) {
        crypto::SystemRandom random;
        auto pair = crypto::dh_generate(job.group, random);
        if (!pair) {
            outcome.error = pair.error();
            return outcome;
        }
        outcome.pair = std::move(*pair);
        private_key = &outcome.pair.private_key;
    }
    if (job.peer_public.empty()) return outcome;
    auto shared = crypto::dh_shared(job.group, *private_key, job.peer_public);
    if (shared) {
        outcome.shared = std::move(*shared);
    } else {
        outcome.error = shared.error();
    }
    return outcome;
}

ike::AuthOutcome compute_job(const ike::StartAuth& job) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return ike::compute_auth(job, std::chrono::duration_cast<std::chrono::seconds>(now).count());
}

template <class Job, class Outcome>
Result<std::unique_ptr<JobPool<Job, Outcome>>> JobPool<Job, Outcome>::create(Reactor& reactor, unsigned threads,
                                                                             Done done, Compute compute) {
    const int event_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd < 0) return fail(ErrorCode::io, std::string("eventfd: ") + std::strerror(errno));
    if (!compute) compute = [](const Job& job) { return compute_job(job); };
    std::unique_ptr<JobPool> pool(new JobPool(reactor, event_fd, std::move(done), std::move(compute)));
    for (unsigned i = 0; i < std::max(threads, 1U); ++i) pool->threads_.emplace_back([p = pool.get()] { p->work(); });
    return pool;
}

template <class Job, class Outcome>
JobPool<Job, Outcome>::JobPool(Reactor& reactor, int event_fd, Done done, Compute compute)
    : reactor_(reactor), event_fd_(event_fd), done_(std::move(done)), compute_(std::move(compute)) {
    reactor_.watch(event_fd_, EPOLLIN, [this](Reactor::Events) { deliver(); });
}

template <class Job, class Outcome>
JobPool<Job, Outcome>::~JobPool() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
    reactor_.unwatch(event_fd_);
    ::close(event_fd_);
}

template <class Job, class Outcome>
bool JobPool<Job, Outcome>::submit(Job job) {
    {
        const std::lock_guard lock(mutex_);
        if (jobs_.size() >= kMaxQueued) return false;
        jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
    return true;
}

template <class Job, class Outcome>
std::size_t JobPool<Job, Outcome>::queued() const {
    const std::lock_guard lock(mutex_);
    return jobs_.size();
}

template <class Job, class Outcome>
void JobPool<Job, Outcome>::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (stopping_) return;
        const Job job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        Outcome outcome = compute_(job);
        lock.lock();
        outcomes_.push_back(std::move(outcome));
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(event_fd_, &one, sizeof one);
    }
}

template <class Job, class Outcome>
void JobPool<Job, Outcome>::deliver() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(event_fd_, &count, sizeof count);
    std::vector<Outcome> outcomes;
    {
        const std::lock_guard lock(mutex_);
        outcomes.swap(outcomes_);
    }
    for (auto& outcome : outcomes) done_(std::move(outcome));
}

template class JobPool<ike::StartDh, ike::DhOutcome>;
template class JobPool<ike::StartAuth, ike::AuthOutcome>;

}  // namespace sluice::control
