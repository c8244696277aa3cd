// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "dataplane/host_tap.hpp"
#include "dataplane/idle.hpp"
#include "dataplane/path.hpp"
#include "dataplane/port.hpp"

namespace sluice::dataplane {

// One port as a worker's loop serves it.
struct WorkerPort {
    PortId id;
    std::uint16_t ethdev = 0;
    int queue = -1;           // received from and sent through; -1: none of this worker
    HostTap* host = nullptr;  // where this worker serves the host interface
};

// One worker: a thread of EAL's that runs the Path to completion over its queues. Control makes it, starts it and stops
// it; while it runs, control touches only what says so.
class Worker final : public Path::Output {
  public:
    struct Parts {
        Tables& tables;
        rte_mempool& pool;
        std::unique_ptr<Path> path;
        std::unique_ptr<IdleWait> idle;
        WorkerRings& rings;
        std::vector<WorkerPort> ports;
        const std::vector<std::unique_ptr<Worker>>* peers = nullptr;  // all workers, by id, to wake
        int event_fd = -1;                                            // what tells control
    };
    explicit Worker(Parts parts);

    // Worker thread: runs until stop().
    void run();
    // One turn; the packets that were seen. What run() repeats, and what a test steps through.
    unsigned turn();

    // Any thread.
    void stop();
    void wake() { parts_.idle->wake(); }
    bool asleep() const { return asleep_.load(std::memory_order_relaxed); }
    std::uint64_t sleeps() const { return parts_.idle->sleeps(); }
    IdleWait::Wakeups wakeups() const { return parts_.idle->wakeups(); }
    const Path& path() const { return *parts_.path; }

    void send_to_port(PortId port, PacketList& list) override;
    void send_to_host(PortId port, PacketList& list) override;

  private:
    unsigned run_commands();
    unsigned receive();
    unsigned receive_host();
    unsigned receive_rings();
    void finish_turn(unsigned work);
    bool rings_empty() const { return parts_.rings.commands.empty() && parts_.rings.handover.empty(); }

    Parts parts_;
    Path& path_;
    WorkerCounters& counters_;
    std::uint64_t next_deferred_ = 0;  // cycles
    std::uint64_t deferred_interval_;
    unsigned turns_since_host_ = 0;
    std::atomic<bool> stop_{false};
    std::atomic<bool> asleep_{false};  // worker writes
};

}  // namespace sluice::dataplane
