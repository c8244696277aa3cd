// SPDX-License-Identifier: Apache-2.0
#include "dataplane/idle.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <thread>

using namespace sluice;
using namespace sluice::dataplane;

namespace {

std::unique_ptr<IdleWait> idle_on(const IdleSources& sources, Idle mode = Idle::adaptive) {
    auto made = IdleWait::make(mode, sources);
    REQUIRE(made);
    return std::move(*made);
}

const auto nothing = [] {};
const auto empty = [] { return false; };

std::chrono::milliseconds time_of_sleep(IdleWait& idle) {
    const auto start = std::chrono::steady_clock::now();
    idle.sleep(empty, nothing, nothing);
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
}

}  // namespace

TEST_CASE("a worker sleeps after 200 empty rounds in a row, and never when it shall poll") {
    const auto idle = idle_on({});
    for (unsigned i = 1; i < IdleWait::kEmptyPolls; ++i) REQUIRE_FALSE(idle->due(0));
    CHECK_FALSE(idle->due(1));
    for (unsigned i = 1; i < IdleWait::kEmptyPolls; ++i) REQUIRE_FALSE(idle->due(0));
    CHECK(idle->due(0));
    const auto spinning = idle_on({}, Idle::poll);
    for (unsigned i = 0; i < 1000; ++i) REQUIRE_FALSE(spinning->due(0));
}

TEST_CASE("TRAPS 58: a sleep is framed by offline and online; where something is pending none takes place") {
    const auto idle = idle_on({{}, true});
    std::string order;
    idle->sleep([&] { return order += "p", false; }, [&] { order += "off "; }, [&] { order += "on"; });
    CHECK(order == "poff on");
    CHECK(idle->sleeps() == 1);
    order.clear();
    idle->sleep([&] { return order += "p", true; }, [&] { order += "off "; }, [&] { order += "on"; });
    CHECK(order == "p");
    CHECK(idle->sleeps() == 1);
}

TEST_CASE("a sleep ends at its bound, or at once where a descriptor has something") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const auto idle = idle_on({{ends[0]}, false});
    CHECK(time_of_sleep(*idle) >= std::chrono::milliseconds(99));
    REQUIRE(::write(ends[1], "x", 1) == 1);
    // Level-triggered: what came before the sleep ends it. An hour's bound would show as one.
    CHECK(time_of_sleep(*idle) < std::chrono::milliseconds(99));
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_CASE("a descriptor in error is left out and does not turn the sleep into a spin") {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const auto idle = idle_on({{ends[0]}, false});
    ::close(ends[1]);  // POLLHUP for ever
    for (int i = 0; i < 3; ++i) idle->sleep(empty, nothing, nothing);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 10; ++i) idle->sleep(empty, nothing, nothing);
    CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(9));
    ::close(ends[0]);
}

TEST_CASE("no wakeup is lost between the look at the ring and the sleep") {
    // The ring is a counter. Each round the other thread adds one and wakes; the worker sleeps only when it has seen
    // all of them. A lost wakeup costs the whole bound of 100 ms, so 2,000 rounds tell: two seconds or two hundred.
    const auto idle = idle_on({});
    constexpr std::uint64_t kRounds = 2000;
    std::atomic<std::uint64_t> produced{0};
    std::atomic<std::uint64_t> consumed{0};
    std::thread other([&] {
        for (std::uint64_t round = 1; round <= kRounds; ++round) {
            produced.store(round, std::memory_order_release);
            idle->wake();
            while (consumed.load(std::memory_order_acquire) < round) std::this_thread::yield();
        }
    });
    unsigned bounds_reached = 0;
    std::uint64_t seen = 0;
    while (seen < kRounds) {
        const auto start = std::chrono::steady_clock::now();
        idle->sleep([&] { return produced.load(std::memory_order_acquire) != seen; }, nothing, nothing);
        const std::uint64_t now = produced.load(std::memory_order_acquire);
        if (now != seen && std::chrono::steady_clock::now() - start >= IdleWait::kBound) ++bounds_reached;
        seen = now;
        consumed.store(seen, std::memory_order_release);
    }
    other.join();
    // A machine under load may hold a thread for 100 ms now and then; lost wakeups come by the hundred.
    CHECK(bounds_reached < kRounds / 50);
    CHECK(idle->sleeps() > 0);
}

TEST_CASE("how long a woken worker takes to run is measured, and sleeps that end by themselves are not") {
    const auto idle = idle_on({});
    idle->sleep(empty, nothing, nothing);
    CHECK(idle->wakeups().count == 0);
    std::atomic<bool> asleep{false};
    for (std::uint64_t round = 1; round <= 5; ++round) {
        asleep.store(false);
        std::thread other([&] {
            while (!asleep.load()) std::this_thread::yield();
            idle->wake();
        });
        idle->sleep(
            empty, [&] { asleep.store(true); }, nothing);
        other.join();
        const IdleWait::Wakeups w = idle->wakeups();
        // Where the machine held the other thread for the whole bound, the wakeup is seen in the next round.
        REQUIRE(w.count <= round);
        if (w.count == 0) continue;
        CHECK(w.total > std::chrono::nanoseconds(0));
        CHECK(w.longest <= w.total);
        CHECK(w.longest * w.count >= w.total);
        CHECK((w.slow > 0) == (w.longest > IdleWait::kSlowWakeup));
    }
    CHECK(idle->wakeups().count > 0);
}
