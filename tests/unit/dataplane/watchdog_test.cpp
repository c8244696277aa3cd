// SPDX-License-Identifier: Apache-2.0
#include "dataplane/watchdog.hpp"

#include <pthread.h>
#include <rte_cycles.h>
#include <sched.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <csignal>

#include "tests/unit/dataplane/live_worker.hpp"

using namespace sluice;
using namespace sluice::test;
using namespace sluice::dataplane;
using News = WorkerWatch::News;

TEST_CASE("TRAPS 58: a worker that stands still is told of once, and once when it turns again") {
    WorkerWatch watch(100);
    CHECK(watch.look({.loops = 1, .now = 1000}) == News::none);
    CHECK(watch.look({.loops = 1, .now = 1050}) == News::none);
    CHECK(watch.look({.loops = 1, .now = 1099}) == News::none);
    CHECK_FALSE(watch.stuck());
    CHECK(watch.look({.loops = 1, .now = 1100}) == News::stuck);
    CHECK(watch.stuck());
    CHECK(watch.look({.loops = 1, .now = 1300}) == News::none);
    CHECK(watch.stuck());
    CHECK(watch.look({.loops = 2, .now = 1400}) == News::recovered);
    CHECK_FALSE(watch.stuck());
    CHECK(watch.look({.loops = 2, .now = 1499}) == News::none);
    // One that sleeps does not turn, and is well.
    CHECK(watch.look({.loops = 2, .asleep = true, .now = 5000}) == News::none);
    CHECK(watch.look({.loops = 2, .asleep = false, .now = 5050}) == News::none);
    CHECK(watch.look({.loops = 2, .asleep = false, .now = 5099}) == News::none);
    CHECK(watch.look({.loops = 2, .asleep = false, .now = 5100}) == News::stuck);
}

TEST_CASE("TRAPS 58: a machine that was suspended has no workers that hang") {
    WorkerWatch watch(100);
    CHECK(watch.look({.loops = 1, .now = 1000}) == News::none);
    CHECK(watch.look({.loops = 1, .now = 1040}) == News::none);
    CHECK(watch.look({.loops = 1, .now = 900'000}) == News::none);
    CHECK(watch.look({.loops = 1, .now = 900'009}) == News::none);
    CHECK(watch.look({.loops = 1, .now = 900'010}) == News::stuck);
}

TEST_CASE("TRAPS 58: a lost worker is readmitted once it has let go, not because it let go the last time") {
    LostWorkers lost;
    const WorkerId worker{3};
    CHECK(lost.mask() == 0);
    CHECK(lost.readmit(worker));
    lost.declare(worker);
    CHECK(lost.mask() == 8);
    CHECK(lost.is_lost(worker));
    CHECK_FALSE(lost.is_lost(WorkerId{2}));
    CHECK_FALSE(lost.readmit(worker));
    lost.has_let_go(worker);
    CHECK(lost.readmit(worker));
    CHECK(lost.mask() == 0);
    lost.declare(worker);
    CHECK_FALSE(lost.readmit(worker));
}

namespace {

std::atomic<bool> hang{false};
std::atomic<bool> hanging{false};

// Runs on the worker's thread, wherever it is.
void stand_still(int) {
    hanging.store(true);
    while (hang.load()) sched_yield();
    hanging.store(false);
}

News look(WorkerWatch& watch, LiveWorker& live, std::uint64_t now) {
    return watch.look({.loops = live.loops(), .asleep = live.worker().asleep(), .now = now});
}

}  // namespace

TEST_CASE(
    "TRAPS 58: a worker that hangs stops reclaim, which is bounded and alarmed, and goes on when it turns again") {
    Gateway gw;
    LiveWorker live(gw, Idle::poll);
    Reclaimer& reclaimer = gw.tables().reclaimer;
    while (live.loops() == 0) std::this_thread::yield();
    struct sigaction action {};
    action.sa_handler = stand_still;
    struct sigaction before {};
    REQUIRE(sigaction(SIGUSR1, &action, &before) == 0);
    hang.store(true);
    REQUIRE(pthread_kill(live.thread().native_handle(), SIGUSR1) == 0);
    while (!hanging.load()) std::this_thread::yield();

    WorkerWatch watch(rte_get_tsc_hz());
    const std::uint64_t now = rte_rdtsc();
    CHECK(look(watch, live, now) == News::none);
    CHECK(look(watch, live, now + rte_get_tsc_hz() / 2) == News::none);
    CHECK(look(watch, live, now + rte_get_tsc_hz()) == News::stuck);
    std::size_t freed = 0;
    reclaimer.collect();  // what was given back before the worker began
    while (!reclaimer.over_limit()) reclaimer.retire([&freed] { ++freed; });
    reclaimer.collect();
    CHECK(freed == 0);
    const auto refused = gw.backend().install(make_child());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::exhausted);
    CHECK(reclaimer.pending() == Reclaimer::kLimit);

    hang.store(false);
    const std::uint64_t stood_at = live.loops();
    while (live.loops() < stood_at + 2) std::this_thread::yield();
    CHECK(look(watch, live, now + 2 * rte_get_tsc_hz()) == News::recovered);
    while (reclaimer.pending() != 0) reclaimer.collect();
    CHECK(freed == Reclaimer::kLimit);
    CHECK(gw.backend().install(make_child()));
    REQUIRE(sigaction(SIGUSR1, &before, nullptr) == 0);
}
