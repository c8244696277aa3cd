// SPDX-License-Identifier: Apache-2.0
#include "lib/esp/replay.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <unordered_set>
#include <vector>

using namespace sluice;
using esp::ReplayVerdict;

namespace {

constexpr std::uint64_t k2p32 = std::uint64_t{1} << 32;

// A window with its bitmap. start: everything up to it counts as seen.
struct Window {
    std::vector<std::uint64_t> bitmap;
    esp::ReplayWindow window;
    Window(std::uint32_t size, bool esn, std::uint64_t start = 0)
        : bitmap(esp::ReplayWindow::words_needed(size), 0xdeadbeef), window(bitmap, size, esn) {
        if (start != 0) window.mark_all_seen(Seq(start));
    }
    ReplayVerdict accept(std::uint64_t seq) { return window.accept(Seq(seq)); }
    ReplayVerdict check(std::uint64_t seq) const { return window.check(Seq(seq)); }
};

// The definition, kept slow: every number ever accepted, in a set.
struct SlowWindow {
    std::uint32_t size;
    std::uint64_t top = 0;
    std::uint64_t marked = 0;  // everything up to here counts as seen
    std::unordered_set<std::uint64_t> seen;
    ReplayVerdict accept(std::uint64_t seq) {
        if (seq == 0) return ReplayVerdict::invalid;
        if (seq + size <= top) return ReplayVerdict::too_old;
        if (seq <= marked || !seen.insert(seq).second) return ReplayVerdict::duplicate;
        top = std::max(top, seq);
        return ReplayVerdict::fresh;
    }
};

// The definition of the inferred number: the one of its residue in the 2^32 numbers from the window's left edge on.
std::optional<std::uint64_t> slow_infer(std::uint64_t top, std::uint32_t size, std::uint32_t low) {
    const auto left = static_cast<std::int64_t>(top) - static_cast<std::int64_t>(size) + 1;
    for (std::int64_t high = static_cast<std::int64_t>(top >> 32) - 1;; ++high) {
        const std::int64_t candidate = high * static_cast<std::int64_t>(k2p32) + low;
        if (candidate < left) continue;
        if (candidate < 0) return std::nullopt;
        return static_cast<std::uint64_t>(candidate);
    }
}

std::optional<std::uint64_t> inferred(const Window& w, std::uint32_t low) {
    const auto seq = w.window.infer(low);
    return seq ? std::optional(seq->value) : std::nullopt;
}

}  // namespace

TEST_CASE("TRAPS 33: truth table of a window of 64") {
    Window w(64, false);
    struct Row {
        std::uint64_t seq;
        ReplayVerdict verdict;
    };
    const Row rows[] = {
        {0, ReplayVerdict::invalid},
        {1, ReplayVerdict::fresh},
        {1, ReplayVerdict::duplicate},
        {9, ReplayVerdict::fresh},
        {8, ReplayVerdict::fresh},
        {7, ReplayVerdict::fresh},
        {7, ReplayVerdict::duplicate},
        {1, ReplayVerdict::duplicate},
        {100, ReplayVerdict::fresh},
        {36, ReplayVerdict::too_old},
        {37, ReplayVerdict::fresh},
        {37, ReplayVerdict::duplicate},
        {99, ReplayVerdict::fresh},
        {100, ReplayVerdict::duplicate},
        {0, ReplayVerdict::invalid},
        {9, ReplayVerdict::too_old},
        {164, ReplayVerdict::fresh},
        {100, ReplayVerdict::too_old},
        {101, ReplayVerdict::fresh},
        {UINT32_MAX, ReplayVerdict::fresh},
        {UINT32_MAX, ReplayVerdict::duplicate},
        {UINT32_MAX - 63, ReplayVerdict::fresh},
        {UINT32_MAX - 64, ReplayVerdict::too_old},
        {k2p32, ReplayVerdict::invalid},
    };
    for (const Row& row : rows) {
        INFO("sequence number " << row.seq);
        CHECK(w.accept(row.seq) == row.verdict);
    }
    CHECK(w.window.top() == Seq(UINT32_MAX));
}

TEST_CASE("TRAPS 31: check changes nothing; only accept does, and it catches the twin in the same burst") {
    Window w(64, false);
    for (int i = 0; i < 3; ++i) CHECK(w.check(5) == ReplayVerdict::fresh);
    CHECK(w.window.top() == Seq(0));
    CHECK(w.check(5) == ReplayVerdict::fresh);  // both copies pass the check before either is accepted
    CHECK(w.accept(5) == ReplayVerdict::fresh);
    CHECK(w.accept(5) == ReplayVerdict::duplicate);
    // A forged number far ahead that is never accepted moves nothing.
    CHECK(w.check(4000000000) == ReplayVerdict::fresh);
    CHECK(w.accept(6) == ReplayVerdict::fresh);
    CHECK(w.check(4) == ReplayVerdict::fresh);
}

TEST_CASE("TRAPS 33: every size accepts its whole width once, in any order, and not one number more") {
    for (const std::uint32_t size :
         {1U, 31U, 32U, 63U, 64U, 65U, 127U, 128U, 129U, 1000U, 1024U, 4096U, 65535U, 65536U}) {
        for (const std::uint64_t edge : {std::uint64_t{70000}, std::uint64_t{70001}, std::uint64_t{70080}, k2p32 - 1}) {
            INFO("size " << size << " edge " << edge);
            Window w(size, false);
            REQUIRE(w.accept(edge) == ReplayVerdict::fresh);
            REQUIRE(w.check(edge - size) == ReplayVerdict::too_old);
            std::uint32_t fresh = 0;
            for (std::uint64_t seq = edge - size + 1; seq < edge; ++seq) fresh += w.accept(seq) == ReplayVerdict::fresh;
            REQUIRE(fresh == size - 1);
            for (std::uint64_t seq = edge - size + 1; seq <= edge; ++seq) {
                if (w.accept(seq) != ReplayVerdict::duplicate) FAIL("accepted twice: " << seq);
            }
        }
    }
}

TEST_CASE("Replay protection turned off accepts everything but zero, and still knows the highest") {
    Window w(0, false);
    CHECK(w.accept(10) == ReplayVerdict::fresh);
    CHECK(w.accept(10) == ReplayVerdict::fresh);
    CHECK(w.accept(3) == ReplayVerdict::fresh);
    CHECK(w.accept(0) == ReplayVerdict::invalid);
    CHECK(w.window.top() == Seq(10));
}

TEST_CASE("TRAPS 33: ESN without replay protection infers the nearest number") {
    Window w(0, true, 5 * k2p32 + 100);
    CHECK(inferred(w, 101) == 5 * k2p32 + 101);
    CHECK(inferred(w, 99) == 5 * k2p32 + 99);
    CHECK(inferred(w, 0xffffffff) == 5 * k2p32 - 1);
    CHECK(inferred(w, 0x7fffff00) == 5 * k2p32 + 0x7fffff00);
    Window late(0, true, 6 * k2p32 - 100);
    CHECK(inferred(late, 5) == 6 * k2p32 + 5);
    CHECK(inferred(late, 0xf0000000) == 5 * k2p32 + 0xf0000000);
}

TEST_CASE("The fast window agrees with the slow one over millions of random steps") {
    const unsigned seed = 0x6479;
    std::mt19937_64 random(seed);
    INFO("seed " << seed);
    for (const std::uint32_t size : {32U, 64U, 100U, 1024U, 65536U}) {
        for (const bool esn : {false, true}) {
            Window fast(size, esn);
            SlowWindow slow{.size = size, .seen = {}};
            for (int step = 0; step < 300000; ++step) {
                // Mostly near the edge, now and then a jump; without ESN the space must not end.
                const std::uint64_t reach = random() % 1000 == 0 ? size * 8ULL : size / 8 + 2;
                const std::uint64_t back = random() % (size + size / 4 + 2);
                const std::uint64_t ahead = slow.top + 1 + random() % reach;
                const std::uint64_t seq = random() % 4 == 0 ? ahead : slow.top - std::min(slow.top, back);
                const ReplayVerdict checked = fast.check(seq);
                const ReplayVerdict expected = slow.accept(seq);
                if (checked != expected || fast.accept(seq) != expected) {
                    FAIL("step " << step << " size " << size << " seq " << seq << " top " << slow.top);
                }
                if (step % 50000 == 49999) {
                    slow.marked = slow.top + random() % (2 * size);
                    slow.top = slow.marked;
                    fast.window.mark_all_seen(Seq(slow.marked));
                }
            }
            CHECK(fast.window.top() == Seq(slow.top));
        }
    }
}

TEST_CASE("TRAPS 34: the high half is inferred right at every window position around 2^32") {
    for (const std::uint32_t size : {32U, 64U, 1024U}) {
        for (const std::uint64_t wrap : {k2p32, 2 * k2p32, 7 * k2p32}) {
            for (std::uint64_t top = wrap - size - 2; top <= wrap + size + 2; ++top) {
                const Window w(size, true, top);
                for (std::uint64_t seq = top - size + 1; seq <= top + size + 2; ++seq) {
                    if (inferred(w, static_cast<std::uint32_t>(seq)) != seq) {
                        FAIL("size " << size << " top " << top << " seq " << seq);
                    }
                }
                // One left of the window is taken for 2^32 later, as RFC 4303 A2 has it: the ICV refuses it.
                if (inferred(w, static_cast<std::uint32_t>(top - size)) != top - size + k2p32) FAIL("left of " << top);
            }
        }
    }
}

TEST_CASE("TRAPS 34: inference agrees with its definition everywhere") {
    const unsigned seed = 0x4303;
    std::mt19937_64 random(seed);
    INFO("seed " << seed);
    for (int step = 0; step < 2000000; ++step) {
        const std::uint32_t size = 1U << random() % 17;
        const std::uint64_t near_wrap = random() % 5 * k2p32 + random() % 0x30000;
        const std::uint64_t top = random() % 2 == 0 ? near_wrap - std::min<std::uint64_t>(near_wrap, 0x18000)
                                                    : random() >> (2 + random() % 60);
        esp::ReplayWindow::Word bitmap[2048];
        esp::ReplayWindow window({bitmap, esp::ReplayWindow::words_needed(size > 64 ? 64 : size)},
                                 size > 64 ? 64 : size, true);
        window.mark_all_seen(Seq(top));
        const auto low = static_cast<std::uint32_t>(random() % 2 == 0 ? random() : top - 0x8000 + random() % 0x10000);
        const auto seq = window.infer(low);
        const auto expected = slow_infer(top, window.size(), low);
        if (seq.has_value() != expected.has_value() || (seq && seq->value != *expected)) {
            FAIL("step " << step << " top " << top << " low " << low);
        }
    }
}

TEST_CASE("TRAPS 34: a stream with loss and reordering crosses 2^32 without losing a packet that is in the window") {
    Window w(64, true, k2p32 - 200);
    for (std::uint64_t base = k2p32 - 199; base < k2p32 + 400; base += 8) {
        for (const std::uint64_t offset : {7U, 2U, 0U, 5U, 1U, 6U, 3U}) {  // 4 is lost
            const std::uint64_t seq = base + offset;
            const auto full = w.window.infer(static_cast<std::uint32_t>(seq));
            REQUIRE(full);
            REQUIRE(full->value == seq);
            REQUIRE(w.accept(full->value) == ReplayVerdict::fresh);
        }
    }
}

TEST_CASE("The ends of the number space") {
    Window first(64, true);
    CHECK(inferred(first, 1) == 1);
    CHECK(inferred(first, 0) == 0);  // which check() refuses
    CHECK(first.check(0) == ReplayVerdict::invalid);
    CHECK_FALSE(inferred(first, 0xffffffff));  // would lie before the first number
    Window wrapped(64, true, k2p32 - 1);
    CHECK(wrapped.accept(k2p32) == ReplayVerdict::fresh);  // low half 0 is a good number with ESN
    Window last(64, true, UINT64_MAX - 10);
    CHECK(inferred(last, 0xffffffff) == UINT64_MAX);
    CHECK(last.accept(UINT64_MAX) == ReplayVerdict::fresh);
    CHECK(last.accept(UINT64_MAX) == ReplayVerdict::duplicate);
    CHECK_FALSE(inferred(last, 5));  // would lie after the last
}

TEST_CASE("After a takeover everything up to the edge counts as seen") {
    Window w(128, true);
    for (std::uint64_t seq = 1; seq < 100; seq += 2) REQUIRE(w.accept(seq) == ReplayVerdict::fresh);
    w.window.mark_all_seen(Seq(1000));
    for (std::uint64_t seq = 1; seq <= 1000; ++seq) {
        if (w.accept(seq) == ReplayVerdict::fresh) FAIL("accepted after the takeover: " << seq);
    }
    CHECK(w.check(873) == ReplayVerdict::duplicate);
    CHECK(w.check(872) == ReplayVerdict::too_old);
    CHECK(w.accept(1001) == ReplayVerdict::fresh);
    CHECK(w.accept(1001) == ReplayVerdict::duplicate);
    // An edge behind the own one does not move it back, but what was open is closed.
    REQUIRE(w.accept(1010) == ReplayVerdict::fresh);
    w.window.mark_all_seen(Seq(5));
    CHECK(w.window.top() == Seq(1010));
    CHECK(w.check(1005) == ReplayVerdict::duplicate);
    CHECK(w.accept(1011) == ReplayVerdict::fresh);
}

TEST_CASE("TRAPS 34: RFC 4303 A3: attempts after massive loss are bounded") {
    Window w(64, true, 3 * k2p32 + 500);
    CHECK(w.window.resync_candidate(600, 1) == Seq(4 * k2p32 + 600));
    CHECK(w.window.resync_candidate(400, 1) == Seq(5 * k2p32 + 400));
    CHECK(w.window.resync_candidate(600, 4) == Seq(7 * k2p32 + 600));
    CHECK_FALSE(w.window.resync_candidate(600, 0));
    CHECK_FALSE(w.window.resync_candidate(600, 5));
    CHECK_FALSE(Window(64, false).window.resync_candidate(600, 1));
    CHECK_FALSE(Window(64, true, UINT64_MAX - 3).window.resync_candidate(0xffffffff, 1));

    esp::EsnResync resync;
    std::uint32_t attempts = 0;
    for (int i = 0; i < 63; ++i) CHECK(resync.failed() == 0);
    CHECK(resync.failed() == 1);
    for (int i = 0; i < 1600; ++i) {
        const std::uint32_t attempt = resync.failed();
        CHECK(attempt <= esp::ReplayWindow::kMaxResync);
        attempts += attempt != 0;
    }
    CHECK(attempts == 100);  // one ICV more in sixteen, at most
    resync.verified();
    CHECK(resync.failed() == 0);
}
