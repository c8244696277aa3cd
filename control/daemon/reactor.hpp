// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "lib/base/result.hpp"
#include "lib/base/time.hpp"

namespace sluice::control {

// The control thread's event loop: descriptors and timers. Everything runs on the thread that calls run(); only
// stop() may be called from elsewhere (a signal handler, another thread). Callbacks must not block (TRAPS 56); the
// longest one is kept for the metrics.
class Reactor {
  public:
    using Events = std::uint32_t;  // EPOLLIN, EPOLLOUT, EPOLLHUP, ...
    using FdCallback = std::function<void(Events)>;
    using TimerId = std::uint64_t;

    static Result<std::unique_ptr<Reactor>> create();
    ~Reactor();
    Reactor(const Reactor&) = delete;
    Reactor& operator=(const Reactor&) = delete;

    // Level-triggered. Watching a descriptor again changes its events and callback. The reactor does not own it: call
    // unwatch() before closing. A callback may watch and unwatch any descriptor, its own included.
    void watch(int fd, Events events, FdCallback callback);
    void unwatch(int fd);

    // Runs the callback once at or after when. 0 is never a valid id; cancelling a timer that ran is harmless.
    TimerId post_at(Instant when, std::function<void()> callback);
    TimerId post_after(Duration delay, std::function<void()> callback) {
        return post_at(now() + delay, std::move(callback));
    }
    void cancel(TimerId id);

    // Monotonic; the only clock of the control side.
    Instant now() const;

    void run();
    void stop();

    // The longest single callback since the last call of this function.
    Duration take_longest_callback();

  private:
    Reactor(int epoll_fd, int wake_fd);
    void run_timers();
    int wait_milliseconds() const;
    void dispatch(int fd, Events events);
    template <class F>
    void measured(F&& callback);

    struct Timer {
        TimerId id;
        std::function<void()> callback;
    };
    int epoll_fd_;
    int wake_fd_;
    bool running_ = true;
    TimerId next_timer_ = 1;
    std::multimap<Instant, Timer> timers_;
    std::map<int, std::shared_ptr<FdCallback>> watches_;
    Duration longest_{};
};

}  // namespace sluice::control
