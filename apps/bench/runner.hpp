// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "apps/bench/traffic.hpp"

namespace sluice::bench {

// A worker that carries the same packets over and over on an lcore of its own, as its loop does: commands, packets,
// quiescent state. Outbound, since sequence numbers then go on by themselves.
class Runner {
  public:
    explicit Runner(Traffic& traffic, unsigned burst) : traffic_(traffic), burst_(burst) {}
    ~Runner() { stop(); }
    Runner(const Runner&) = delete;
    Runner& operator=(const Runner&) = delete;

    // Control thread. The traffic has been drawn.
    Result<void> start();
    void stop();

    // What the worker has done so far. Any thread.
    struct Work {
        std::uint64_t cycles = 0;   // in receive_from_port()
        std::uint64_t packets = 0;  // that came out
    };
    Work work() const;

  private:
    static int run(void* self);
    void loop();
    void receive(std::span<rte_mbuf* const> burst);

    Traffic& traffic_;
    const unsigned burst_;
    bool running_ = false;                               // control
    std::atomic<bool> stop_{false};                      // control writes
    alignas(64) std::atomic<std::uint64_t> version_{0};  // worker writes: odd while it writes the two below
    std::atomic<std::uint64_t> cycles_{0};
    std::atomic<std::uint64_t> packets_{0};
};

}  // namespace sluice::bench
