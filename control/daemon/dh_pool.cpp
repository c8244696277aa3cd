// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/dh_pool.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/crypto/random.hpp"

namespace sluice::control {

ike::DhOutcome compute_dh(const ike::StartDh& job) {
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

Result<std::unique_ptr<DhPool>> DhPool::create(Reactor& reactor, unsigned threads, Done done, Compute compute) {
    const int event_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (event_fd < 0) return fail(ErrorCode::io, std::string("eventfd: ") + std::strerror(errno));
    if (!compute) compute = compute_dh;
    std::unique_ptr<DhPool> pool(new DhPool(reactor, event_fd, std::move(done), std::move(compute)));
    for (unsigned i = 0; i < std::max(threads, 1U); ++i) pool->threads_.emplace_back([p = pool.get()] { p->work(); });
    return pool;
}

DhPool::DhPool(Reactor& reactor, int event_fd, Done done, Compute compute)
    : reactor_(reactor), event_fd_(event_fd), done_(std::move(done)), compute_(std::move(compute)) {
    reactor_.watch(event_fd_, EPOLLIN, [this](Reactor::Events) { deliver(); });
}

DhPool::~DhPool() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
    reactor_.unwatch(event_fd_);
    ::close(event_fd_);
}

bool DhPool::submit(ike::StartDh job) {
    {
        const std::lock_guard lock(mutex_);
        if (jobs_.size() >= kMaxQueued) return false;
        jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
    return true;
}

std::size_t DhPool::queued() const {
    const std::lock_guard lock(mutex_);
    return jobs_.size();
}

void DhPool::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (stopping_) return;
        const ike::StartDh job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        ike::DhOutcome outcome = compute_(job);
        lock.lock();
        outcomes_.push_back(std::move(outcome));
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(event_fd_, &one, sizeof one);
    }
}

void DhPool::deliver() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto got = ::read(event_fd_, &count, sizeof count);
    std::vector<ike::DhOutcome> outcomes;
    {
        const std::lock_guard lock(mutex_);
        outcomes.swap(outcomes_);
    }
    for (auto& outcome : outcomes) done_(std::move(outcome));
}

}  // namespace sluice::control
