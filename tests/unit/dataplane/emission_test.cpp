// SPDX-License-Identifier: Apache-2.0
// The numbers and the waiting of a worker's packets of shared SAs. The packets are pointers that nobody follows.
#include "dataplane/emission.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <vector>

using namespace sluice;
using namespace sluice::dataplane;

namespace {

constexpr ChildSaId kOne{1};
constexpr ChildSaId kTwo{2};

rte_mbuf* packet(ChildSaId child, std::uint64_t seq) {
    return reinterpret_cast<rte_mbuf*>(std::uintptr_t{child.value} << 32 | seq);
}
std::uint64_t seq_of(rte_mbuf* m) { return reinterpret_cast<std::uintptr_t>(m) & 0xffffffff; }
ChildSaId child_of(rte_mbuf* m) {
    return ChildSaId(static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(m) >> 32));
}

struct Shared {
    SharedNumbers numbers{false};
    Shared() { numbers.sequence.reserve(Seq(1'000'000)); }
};

// One worker with its wire.
struct Side {
    Side(std::uint16_t id, unsigned workers) : emission(WorkerId(id), workers), worker(id) {}
    void seal(ChildSaId child, Shared& sa, unsigned count) {
        for (unsigned left = count; left > 0; --left) {
            const auto numbered = emission.number(child, sa.numbers, [&] { return left; });
            REQUIRE(numbered.refusal == Emission::Refusal::none);
            emission.add(packet(child, numbered.seq.value), child, numbered.seq);
        }
        emission.end_burst();
    }
    std::size_t release(std::uint64_t lost = 0) {
        const std::size_t before = sent.size();
        emission.release(lost, [&](rte_mbuf* m) { sent.push_back(m); });
        return sent.size() - before;
    }
    Emission emission;
    std::uint16_t worker;
    std::vector<rte_mbuf*> sent;
};

}  // namespace

TEST_CASE("TRAPS 44: a worker alone sends its numbers at once and in order") {
    Shared sa;
    Side a(0, 2);
    a.seal(kOne, sa, 64);
    CHECK(a.release() == 64);
    for (std::uint64_t i = 0; i < 64; ++i) CHECK(seq_of(a.sent[i]) == i + 1);
    CHECK(sa.numbers.gate.held(0) == 1);  // until the port has them
    a.emission.publish();
    CHECK(sa.numbers.gate.held(0) == esp::EmissionGate::kNothing);
    CHECK(a.emission.empty());
}

TEST_CASE("TRAPS 44: what would leave the others' numbers 32 behind waits until those have gone") {
    Shared sa;
    Side a(0, 2);
    Side b(1, 2);
    a.seal(kOne, sa, 31);  // 1..15, 16..31
    b.seal(kOne, sa, 64);  // 32..95
    CHECK(b.release() == 0);
    CHECK(b.emission.waiting() == 4);
    CHECK(a.release() == 31);
    CHECK(b.release() == 0);  // a has not published
    a.emission.publish();
    b.emission.publish();
    CHECK(sa.numbers.gate.held(1) == 32);
    a.seal(kOne, sa, 16);  // 96..111
    CHECK(a.release() == 0);
    CHECK(b.release() == 64);
    b.emission.publish();
    CHECK(a.release() == 16);
    a.emission.publish();
    CHECK(a.emission.empty());
    CHECK(b.emission.empty());
}

TEST_CASE("TRAPS 44: the next run may go while one is still held, and no more") {
    Shared sa;
    Side a(0, 2);
    Side b(1, 2);
    a.seal(kOne, sa, 15);
    a.release();
    a.emission.publish();
    a.seal(kOne, sa, 16);  // 16..31
    b.seal(kOne, sa, 32);  // 32..63
    CHECK(b.release() == 16);
    CHECK(seq_of(b.sent.back()) == 47);
    b.emission.publish();
    CHECK(sa.numbers.gate.held(1) == 48);
}

TEST_CASE("Two SAs in one burst do not wait for each other") {
    Shared one;
    Shared two;
    Side a(0, 2);
    Side b(1, 2);
    b.seal(kOne, one, 15);
    std::vector<std::pair<ChildSaId, Seq>> burst;
    for (unsigned i = 0; i < 4; ++i) {
        const auto first = a.emission.number(kOne, one.numbers, [&] { return 4 - i; });
        const auto second = a.emission.number(kTwo, two.numbers, [&] { return 4 - i; });
        burst.emplace_back(kOne, first.seq);
        burst.emplace_back(kTwo, second.seq);
    }
    for (const auto& [child, seq] : burst) a.emission.add(packet(child, seq.value), child, seq);
    b.seal(kOne, one, 12);
    b.seal(kOne, one, 16);
    a.emission.end_burst();
    CHECK(a.release() == 8);
    a.emission.publish();
    CHECK(b.release() == 43);
    std::map<std::uint32_t, std::vector<std::uint64_t>> by_child;
    for (rte_mbuf* m : a.sent) by_child[child_of(m).value].push_back(seq_of(m));
    CHECK(by_child[1] == std::vector<std::uint64_t>{16, 17, 18, 19});
    CHECK(by_child[2] == std::vector<std::uint64_t>{1, 2, 3, 4});
}

TEST_CASE("Numbers of packets that were let go are skipped and hold nobody up") {
    Shared sa;
    Side a(0, 2);
    for (unsigned left = 5; left > 0; --left) {
        const auto numbered = a.emission.number(kOne, sa.numbers, [&] { return left; });
        if (left > 3) a.emission.add(packet(kOne, numbered.seq.value), kOne, numbered.seq);
        if (left == 3) break;
    }
    a.emission.end_burst();
    CHECK(a.release() == 2);
    a.emission.publish();
    CHECK(sa.numbers.gate.held(0) == esp::EmissionGate::kNothing);
    a.seal(kOne, sa, 1);
    CHECK(a.release() == 1);
    CHECK(seq_of(a.sent.back()) == 6);
}

TEST_CASE("TRAPS 58: what hangs is not waited for once it is lost, and its numbers are given up when it comes back") {
    Shared sa;
    Side hung(0, 2);
    Side b(1, 2);
    hung.seal(kOne, sa, 15);
    b.seal(kOne, sa, 48);
    CHECK(b.release() == 16 * 1);
    CHECK(b.release(0b01) == 32);
    unsigned dropped = 0;
    hung.emission.give_up([&](rte_mbuf*) { ++dropped; });
    CHECK(dropped == 15);
    CHECK(hung.emission.empty());
    CHECK(sa.numbers.gate.held(0) == esp::EmissionGate::kNothing);
}

TEST_CASE("A worker runs ahead by so many blocks and gets no number then; nobody is stuck") {
    Shared sa;
    Side slow(0, 2);
    Side fast(1, 2);
    slow.seal(kOne, sa, 1);
    unsigned taken = 0;
    while (fast.emission.number(kOne, sa.numbers, [&] { return 1U; }).refusal == Emission::Refusal::none) {
        ++taken;
        fast.emission.end_burst();
    }
    CHECK(taken == Emission::kBlocks);
    CHECK(fast.emission.number(kOne, sa.numbers, [&] { return 1U; }).refusal == Emission::Refusal::no_room);
    CHECK(fast.emission.crowded());
    slow.release();
    slow.emission.publish();
    fast.release();
    fast.emission.publish();
    CHECK_FALSE(fast.emission.crowded());
    CHECK(fast.emission.number(kOne, sa.numbers, [&] { return 1U; }).refusal == Emission::Refusal::none);
}

TEST_CASE("What a burst needs is taken at once, over several runs; and no more than there is room for") {
    Shared sa;
    Side slow(0, 2);
    Side fast(1, 2);
    slow.seal(kOne, sa, 5);
    CHECK(fast.emission.number(kOne, sa.numbers, [] { return 64U; }).seq == Seq(6));
    CHECK(sa.numbers.sequence.last() == Seq(69));
    fast.emission.add(packet(kOne, 6), kOne, Seq(6));
    std::uint64_t given = 6;
    for (;;) {
        const auto numbered = fast.emission.number(kOne, sa.numbers, [] { return 64U; });
        if (numbered.refusal == Emission::Refusal::no_room) break;
        REQUIRE(numbered.seq == Seq(++given));
        fast.emission.add(packet(kOne, given), kOne, numbered.seq);
    }
    CHECK(fast.emission.waiting() == Emission::kBlocks);
    CHECK(given > 12 * Emission::kBlocks);
    CHECK(sa.numbers.sequence.last() == Seq(given));  // none is lost
    slow.release();
    slow.emission.publish();
    CHECK(fast.release() == given - 5);
    for (std::size_t i = 0; i < fast.sent.size(); ++i) REQUIRE(seq_of(fast.sent[i]) == i + 6);
}

TEST_CASE("At the ceiling there is no number, and nothing is held") {
    Shared sa;
    SharedNumbers numbers(false);
    Side a(0, 2);
    CHECK(a.emission.number(kOne, numbers, [&] { return 4U; }).refusal == Emission::Refusal::no_number);
    CHECK(numbers.gate.held(0) == esp::EmissionGate::kNothing);
}

TEST_CASE("An SA that is gone takes with it what waited, and leaves the others alone") {
    Shared one;
    Shared two;
    Side a(0, 2);
    Side b(1, 2);
    b.seal(kOne, one, 40);
    b.seal(kTwo, two, 40);
    a.seal(kOne, one, 20);
    a.seal(kTwo, two, 20);
    CHECK(a.release() == 0);
    std::vector<rte_mbuf*> dropped;
    a.emission.begin([&](ChildSaId child) { return child == kTwo ? &two.numbers : nullptr; },
                     [&](rte_mbuf* m) { dropped.push_back(m); });
    CHECK(dropped.size() == 20);
    for (rte_mbuf* m : dropped) CHECK(child_of(m) == kOne);
    b.release();
    b.emission.publish();
    CHECK(a.release() == 20);
    for (rte_mbuf* m : a.sent) CHECK(child_of(m) == kTwo);
    a.emission.publish();
    CHECK(a.emission.empty());
}

TEST_CASE("TRAPS 44: the gate hears of a bound before numbers are taken, and of the number itself after it") {
    Shared sa;
    Side a(0, 2);
    Side b(1, 2);
    b.seal(kOne, sa, 15);
    std::uint64_t bound = 0;
    const auto numbered = a.emission.number(kOne, sa.numbers, [&] {
        bound = sa.numbers.gate.held(0);
        b.seal(kOne, sa, 3);  // somebody is faster
        return 16U;
    });
    CHECK(bound == 16);
    CHECK(numbered.seq == Seq(19));
    CHECK(sa.numbers.gate.held(0) == 19);
}

TEST_CASE("blocks of one SA leave one behind the other, also where the second could go before the first") {
    Shared sa;
    Side a(0, 2);
    Side b(1, 2);
    b.seal(kOne, sa, 15);
    b.release();
    b.emission.publish();
    b.seal(kOne, sa, 1);   // 16
    a.seal(kOne, sa, 31);  // 17..31, which waits for 16, and 32..47, which would not have to
    CHECK(a.release() == 0);
    b.release();
    b.emission.publish();
    CHECK(a.release() == 31);
    CHECK(seq_of(a.sent.front()) == 17);
}
