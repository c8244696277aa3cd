// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/runner.hpp"

#include <rte_launch.h>
#include <rte_lcore.h>

#include <algorithm>
#include <array>

#include "apps/bench/clock.hpp"
#include "dataplane/eal.hpp"

namespace sluice::bench {

namespace {
constexpr WorkerId kWorker{0};
}

Result<void> Runner::start() {
    stop_.store(false);
    if (rte_eal_remote_launch(run, this, dataplane::worker_lcore(kWorker)) != 0) {
        return fail(ErrorCode::io, "the worker does not start");
    }
    running_ = true;
    return {};
}

void Runner::stop() {
    if (!running_) return;
    stop_.store(true);
    rte_eal_wait_lcore(dataplane::worker_lcore(kWorker));
    running_ = false;
}

// Both numbers of one moment (a sequence lock; the worker never waits).
Runner::Work Runner::work() const {
    for (;;) {
        const std::uint64_t before = version_.load(std::memory_order_acquire);
        const Work w{cycles_.load(std::memory_order_acquire), packets_.load(std::memory_order_acquire)};
        if (before % 2 == 0 && version_.load(std::memory_order_acquire) == before) return w;
    }
}

int Runner::run(void* self) {
    static_cast<Runner*>(self)->loop();
    return 0;
}

void Runner::loop() {
    dataplane::Reclaimer& reclaimer = traffic_.gateway().tables().reclaimer;
    dataplane::Path& path = traffic_.gateway().path(kWorker.value);
    reclaimer.join(kWorker);
    while (!stop_.load(std::memory_order_relaxed)) {
        traffic_.restore(kWorker.value);
        const auto all = traffic_.lane(kWorker.value);
        for (std::size_t at = 0; at < all.size(); at += burst_) {
            dataplane::Command command;
            while (traffic_.gateway().rings(kWorker.value).commands.take(command)) path.run(command);
            receive(all.subspan(at, std::min<std::size_t>(burst_, all.size() - at)));
            reclaimer.quiescent(kWorker);
        }
    }
    reclaimer.leave(kWorker);
}

void Runner::receive(std::span<rte_mbuf* const> burst) {
    std::array<rte_mbuf*, dataplane::kMaxBurst> received{};
    dataplane::Path& path = traffic_.gateway().path(kWorker.value);
    std::ranges::copy(burst, received.begin());
    traffic_.arrive(burst);
    const std::uint64_t start = clock_start();
    path.begin(start);
    path.receive_from_port(kLan, {received.data(), burst.size()});
    const std::uint64_t cycles = clock_stop() - start;
    dataplane::PacketList& sent = path.port_output(kWan);
    version_.store(version_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    cycles_.store(cycles_.load(std::memory_order_relaxed) + cycles, std::memory_order_release);
    packets_.store(packets_.load(std::memory_order_relaxed) + sent.count, std::memory_order_release);
    version_.store(version_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    sent.clear();
}

}  // namespace sluice::bench
