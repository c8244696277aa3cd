// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/reactor.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <vector>

namespace sluice::control {

Result<std::unique_ptr<Reactor>> Reactor::create() {
    const int epoll_fd = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) return fail(ErrorCode::io, std::string("epoll_create1: ") + std::strerror(errno));
    const int wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0) {
        ::close(epoll_fd);
        return fail(ErrorCode::io, std::string("eventfd: ") + std::strerror(errno));
    }
    return std::unique_ptr<Reactor>(new Reactor(epoll_fd, wake_fd));
}

Reactor::Reactor(int epoll_fd, int wake_fd) : epoll_fd_(epoll_fd), wake_fd_(wake_fd) {
    watch(wake_fd_, EPOLLIN, [this](Events) { running_ = false; });
}

Reactor::~Reactor() {
    ::close(wake_fd_);
    ::close(epoll_fd_);
}

void Reactor::watch(int fd, Events events, FdCallback callback) {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    const bool known = watches_.contains(fd);
    watches_[fd] = std::make_shared<FdCallback>(std::move(callback));
    ::epoll_ctl(epoll_fd_, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event);
}

void Reactor::unwatch(int fd) {
    if (watches_.erase(fd) > 0) ::epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

Reactor::TimerId Reactor::post_at(Instant when, std::function<void()> callback) {
    const TimerId id = next_timer_++;
    timers_.emplace(when, Timer{id, std::move(callback)});
    return id;
}

void Reactor::cancel(TimerId id) {
    const auto it = std::find_if(timers_.begin(), timers_.end(), [id](const auto& t) { return t.second.id == id; });
    if (it != timers_.end()) timers_.erase(it);
}

Instant Reactor::now() const {
    timespec ts{};
    ::clock_gettime(CLOCK_MONOTONIC, &ts);
    return Instant(std::chrono::seconds(ts.tv_sec) + std::chrono::nanoseconds(ts.tv_nsec));
}

template <class F>
void Reactor::measured(F&& callback) {
    const Instant begin = now();
    callback();
    longest_ = std::max(longest_, Duration(now() - begin));
}

void Reactor::run_timers() {
    // Only what was due on entry runs, so that a timer which posts itself anew cannot starve the descriptors.
    const Instant deadline = now();
    while (!timers_.empty() && timers_.begin()->first <= deadline && running_) {
        auto node = timers_.extract(timers_.begin());
        measured(node.mapped().callback);
    }
}

int Reactor::wait_milliseconds() const {
    if (timers_.empty()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

void Reactor::dispatch(int fd, Events events) {
    const auto it = watches_.find(fd);
    if (it == watches_.end()) return;  // unwatched by an earlier callback of this round
    const auto callback = it->second;  // keeps it alive while it unwatches itself
    measured([&] { (*callback)(events); });
}

void Reactor::run() {
    std::array<epoll_event, 64> ready{};
    while (running_) {
        const int n = ::epoll_wait(epoll_fd_, ready.data(), static_cast<int>(ready.size()), wait_milliseconds());
        for (int i = 0; i < n && running_; ++i) {
            const auto& event = ready[static_cast<std::size_t>(i)];
            dispatch(event.data.fd, event.events);
        }
        run_timers();
    }
}

void Reactor::stop() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
}

Duration Reactor::take_longest_callback() { return std::exchange(longest_, Duration{}); }

}  // namespace sluice::control
