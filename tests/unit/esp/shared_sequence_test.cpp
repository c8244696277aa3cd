// SPDX-License-Identifier: Apache-2.0
#include "lib/esp/shared_sequence.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <random>
#include <thread>
#include <vector>

using namespace sluice;
using esp::SeqRange;
using esp::SharedIvSource;
using esp::SharedSequence;

namespace {
constexpr std::uint64_t k2p32 = std::uint64_t{1} << 32;

bool is(const SeqRange& range, std::uint64_t first, std::uint64_t count) {
    return range.first == Seq(first) && range.count == count;
}
}  // namespace

TEST_CASE("TRAPS 33, 44: shared numbers start at 1, and fall into blocks that end with a run of 16") {
    SharedSequence seq(false);
    CHECK(seq.take(16).count == 0);  // nothing is reserved yet
    CHECK_FALSE(seq.exhausted());
    seq.reserve(Seq(1000));
    CHECK(is(seq.take(64), 1, 64));
    CHECK(is(seq.take(5), 65, 5));
    CHECK(is(seq.take(1), 70, 1));
    CHECK(seq.last() == Seq(70));
    CHECK(is(esp::first_run({Seq(1), 64}), 1, 15));
    CHECK(is(esp::first_run({Seq(16), 49}), 16, 16));
    CHECK(is(esp::first_run({Seq(64), 1}), 64, 1));
    CHECK(is(esp::first_run({Seq(65), 5}), 65, 5));
    CHECK(is(esp::first_run({Seq(79), 3}), 79, 1));
    CHECK(is(esp::first_run({Seq(UINT64_MAX), 1}), UINT64_MAX, 1));
}

TEST_CASE("TRAPS 47: shared numbers end at the ceiling, which never goes down") {
    SharedSequence seq(true, Seq(100));
    seq.reserve(Seq(105));
    seq.reserve(Seq(7));
    CHECK(seq.ceiling() == Seq(105));
    CHECK(is(seq.take(16), 101, 5));
    CHECK(seq.take(16).count == 0);
    CHECK_FALSE(seq.exhausted());
    seq.reserve(Seq(200));
    CHECK(is(seq.take(16), 106, 16));
}

TEST_CASE("TRAPS 35: a shared counter never wraps, with ESN and without") {
    SharedSequence plain(false, Seq(UINT32_MAX - 2));
    plain.reserve(Seq(UINT64_MAX));
    CHECK(plain.ceiling() == Seq(UINT32_MAX));
    CHECK(is(plain.take(16), UINT32_MAX - 1, 2));
    for (int i = 0; i < 3; ++i) CHECK(plain.take(16).count == 0);
    CHECK(plain.exhausted());
    CHECK(plain.last() == Seq(UINT32_MAX));
    SharedSequence extended(true, Seq(k2p32 - 2));
    extended.reserve(Seq(UINT64_MAX));
    CHECK(is(extended.take(16), k2p32 - 1, 16));
    CHECK(is(extended.take(16), k2p32 + 15, 16));
    SharedSequence end(true, Seq(UINT64_MAX - 1));
    end.reserve(Seq(UINT64_MAX));
    CHECK(is(end.take(16), UINT64_MAX, 1));
    CHECK(end.take(16).count == 0);
    CHECK(end.exhausted());
}

TEST_CASE("Half of the shared space asks for a rekey") {
    CHECK_FALSE(SharedSequence(false, Seq(0x7fffffff)).rekey_due());
    CHECK(SharedSequence(false, Seq(0x80000000)).rekey_due());
    CHECK_FALSE(SharedSequence(true, Seq(0x80000000)).rekey_due());
}

TEST_CASE("TRAPS 44: threads that take at once get every number up to the ceiling once") {
    constexpr std::uint64_t kCeiling = 3'000'000;  // enough for the threads to run at once
    constexpr unsigned kThreads = 3;
    SharedSequence seq(false);
    seq.reserve(Seq(kCeiling));
    std::vector<std::vector<SeqRange>> taken(kThreads);
    std::vector<std::thread> threads;
    std::atomic<unsigned> ready{0};
    for (unsigned t = 0; t < kThreads; ++t) {
        threads.emplace_back([&seq, &ready, &mine = taken[t], t] {
            std::mt19937 random(t);
            ++ready;
            while (ready < kThreads) std::this_thread::yield();
            for (;;) {
                const SeqRange range = seq.take(1 + random() % 20);
                if (range.count == 0) return;
                mine.push_back(range);
                if (random() % 4096 == 0) std::this_thread::yield();
            }
        });
    }
    for (std::thread& t : threads) t.join();
    std::vector<std::uint8_t> times(kCeiling + 1);
    for (const auto& mine : taken) {
        for (const SeqRange& r : mine) {
            for (std::uint64_t n = 0; n < r.count; ++n) ++times.at(r.first.value + n);
        }
    }
    CHECK(times[0] == 0);
    for (std::uint64_t n = 1; n <= kCeiling; ++n) {
        if (times[n] != 1) FAIL("number " << n << " was given " << unsigned{times[n]} << " times");
    }
}

TEST_CASE("TRAPS 35, 44: IV ranges of workers do not overlap and end at the hard limit") {
    SharedIvSource source(esp::kIvHardLimit - 100);
    esp::IvRange a = source.allocate(64);
    esp::IvRange b = source.allocate(64);
    CHECK(a.left() == 64);
    CHECK(b.left() == 36);
    CHECK(a.take() == esp::kIvHardLimit - 100);
    CHECK(b.take() == esp::kIvHardLimit - 36);
    CHECK(source.allocate(64).left() == 0);
    CHECK(source.rekey_due());
    CHECK_FALSE(SharedIvSource().rekey_due());

    SharedIvSource shared;
    std::vector<unsigned> times(40'000);
    std::array<std::vector<std::uint64_t>, 2> got;
    const auto use = [&shared](std::vector<std::uint64_t>& mine) {
        while (mine.size() < 20'000) {
            esp::IvRange range = shared.allocate(8);
            while (const auto iv = range.take()) mine.push_back(*iv);
        }
    };
    std::thread other([&] { use(got[1]); });
    use(got[0]);
    other.join();
    for (const auto& mine : got) {
        for (const std::uint64_t iv : mine) ++times.at(iv);
    }
    CHECK(std::all_of(times.begin(), times.end(), [](unsigned n) { return n == 1; }));
}
