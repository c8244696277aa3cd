// SPDX-License-Identifier: Apache-2.0
#include "dataplane/idle.hpp"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace sluice::dataplane {

namespace {

std::int64_t steady_now() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

template <class T>
void add(std::atomic<T>& to, T value) {
    to.store(to.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

}  // namespace

Result<std::unique_ptr<IdleWait>> IdleWait::make(Idle mode, const IdleSources& sources) {
    const int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (event < 0) return fail(ErrorCode::io, std::string("eventfd: ") + std::strerror(errno));
    return std::unique_ptr<IdleWait>(new IdleWait(mode, sources, event));
}

IdleWait::IdleWait(Idle mode, const IdleSources& sources, int event)
    : mode_(mode), bound_(sources.blind ? kBlindBound : kBound), event_(event) {
    polled_.push_back({event, POLLIN, 0});
    for (const int fd : sources.fds) polled_.push_back({fd, POLLIN, 0});
}

IdleWait::~IdleWait() { ::close(event_); }

void IdleWait::announce() {
    asleep_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

void IdleWait::retract() {
    asleep_.store(false, std::memory_order_relaxed);
    empty_ = 0;
}

void IdleWait::wait() {
    const auto nanoseconds = std::chrono::nanoseconds(bound_).count();
    const timespec timeout{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
    const int ready = ::ppoll(polled_.data(), polled_.size(), &timeout, nullptr);
    asleep_.store(false, std::memory_order_relaxed);
    add<std::uint64_t>(sleeps_, 1);
    // Where nothing came, one empty round is enough to sleep again; after a wakeup the count starts anew.
    empty_ = ready > 0 ? 0 : kEmptyPolls - 1;
    std::uint64_t count = 0;
    if (ready > 0 && (polled_[0].revents & POLLIN) != 0) {
        (void)!::read(event_, &count, sizeof count);  // after this, what wake() wrote before its write() is seen
        note_wakeup();
    }
    if (ready > 0) clear_errors();
}

void IdleWait::note_wakeup() {
    const std::int64_t took = steady_now() - woken_.load(std::memory_order_acquire);
    add<std::uint64_t>(wakeups_, 1);
    add(wakeup_total_, took);
    if (took > std::chrono::nanoseconds(kSlowWakeup).count()) add<std::uint64_t>(slow_wakeups_, 1);
    if (took > wakeup_longest_.load(std::memory_order_relaxed)) wakeup_longest_.store(took, std::memory_order_relaxed);
}

IdleWait::Wakeups IdleWait::wakeups() const {
    return {.count = wakeups_.load(std::memory_order_relaxed),
            .total = std::chrono::nanoseconds(wakeup_total_.load(std::memory_order_relaxed)),
            .longest = std::chrono::nanoseconds(wakeup_longest_.load(std::memory_order_relaxed)),
            .slow = slow_wakeups_.load(std::memory_order_relaxed)};
}

// A socket whose interface went down reports that error until it is read. What stays in error without being one would
// turn the sleep into a spin: leave it out, and look at its queue from time to time instead.
void IdleWait::clear_errors() {
    for (std::size_t i = 1; i < polled_.size(); ++i) {
        if ((polled_[i].revents & (POLLERR | POLLHUP | POLLNVAL)) == 0) continue;
        int error = 0;
        socklen_t size = sizeof error;
        if (::getsockopt(polled_[i].fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0) continue;
        polled_[i].fd = -1;
        bound_ = std::chrono::milliseconds(1);
    }
}

void IdleWait::wake() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!asleep_.exchange(false, std::memory_order_acq_rel)) return;
    woken_.store(steady_now(), std::memory_order_release);
    const std::uint64_t one = 1;
    (void)!::write(event_, &one, sizeof one);
}

}  // namespace sluice::dataplane
