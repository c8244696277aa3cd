// SPDX-License-Identifier: Apache-2.0
// One outbound SA over several workers: its numbers, and the order in which they reach the wire.
#include <rte_cycles.h>
#include <rte_lcore.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <iostream>
#include <random>
#include <set>
#include <thread>

#include "dataplane/shared_sa.hpp"
#include "lib/esp/iv.hpp"
#include "tests/unit/dataplane/drop_fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using namespace sluice::dataplane;

namespace {

const ChildOptions kSpread{.workers = ipsec::Workers::spread};
const Shape kTwo{.workers = 2};

std::uint64_t seq_of(const ByteVec& frame) {
    Be32 seq;
    std::memcpy(&seq, frame.data() + 14 + 20 + 4, sizeof(seq));
    return seq.host();
}

SharedNumbers& numbers(Bench& b) { return b.gw.outbound(b.child).shared->numbers; }

// As if the numbers up to last had been used.
void set_last(Bench& b, bool esn, std::uint64_t last) {
    SharedNumbers& shared = numbers(b);
    std::destroy_at(&shared);
    std::construct_at(&shared, esn, Seq(last));
    shared.sequence.reserve(Seq(~std::uint64_t{0}));
}

// count packets arrive at a worker in one burst; nothing is flushed.
void arrive(Bench& b, unsigned worker, unsigned count, std::uint64_t now) {
    std::vector<rte_mbuf*> burst;
    for (unsigned i = 0; i < count; ++i) burst.push_back(b.gw.make(lan_frame(kOut)));
    b.gw.path(worker).begin(now);
    b.gw.path(worker).receive_from_port(kLan, burst);
}

std::vector<std::uint64_t> sent(Bench& b, unsigned worker) {
    std::vector<std::uint64_t> out;
    PacketList& list = b.gw.path(worker).port_output(kWan);
    for (rte_mbuf* m : list) {
        out.push_back(seq_of(ByteVec(data(m), data(m) + m->data_len)));
        rte_pktmbuf_free(m);
    }
    list.clear();
    return out;
}

}  // namespace

TEST_CASE("TRAPS 44: two workers seal for one SA: each number once, each packet right, each IV once") {
    for (const bool esn : {false, true}) {
        Bench b(kTwo, {.esn = esn, .workers = ipsec::Workers::spread});
        std::vector<ByteVec> frames;
        std::uint64_t now = rte_rdtsc();
        for (unsigned round = 0; round < 200; ++round) {
            arrive(b, round % 2, 1 + round % 40, ++now);
            b.gw.path(round % 2).flush();
            for (ByteVec& f : b.gw.take_port(kWan)) frames.push_back(std::move(f));
        }
        REQUIRE(b.gw.all_drops() == 0);
        std::set<std::uint64_t> ivs;
        for (std::size_t i = 0; i < frames.size(); ++i) {
            REQUIRE(seq_of(frames[i]) == i + 1);
            REQUIRE(b.peer.open(frames[i], i + 1).has_value());
            Be64 iv;
            std::memcpy(&iv, frames[i].data() + 14 + 20 + 8, sizeof(iv));
            CHECK(esp::iv_node(iv) == NodeId{3});
            REQUIRE(ivs.insert(iv.host()).second);
        }
        for (unsigned w = 0; w < 2; ++w) CHECK(b.gw.path(w).counters().esp_out_packets.get() > 1000);
        const auto counters = b.gw.backend().query(b.child.id);
        REQUIRE(counters);
        CHECK(counters->outbound.packets == frames.size());
        CHECK(counters->outbound.highest == Seq(frames.size()));
        CHECK(b.gw.counter(&WorkerCounters::handed_over) == 0);
    }
}

TEST_CASE("TRAPS 44: what is sealed waits for lower numbers that another worker has not sent, one run ahead at most") {
    Bench b(kTwo, kSpread);
    const std::uint64_t now = rte_rdtsc();
    arrive(b, 0, 15, now);  // 1..15, not sent yet
    arrive(b, 1, 48, now);  // 16..63
    CHECK(sent(b, 1) == std::vector<std::uint64_t>{16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31});
    CHECK(b.gw.path(1).waits());
    b.gw.path(1).flush();
    b.gw.path(1).begin(now + 1);
    CHECK(sent(b, 1).empty());
    CHECK(sent(b, 0).size() == 15);
    b.gw.path(0).flush();
    b.gw.path(1).begin(now + 2);
    CHECK(sent(b, 1).size() == 32);
    CHECK_FALSE(b.gw.path(1).waits());
    CHECK(b.gw.path(1).counters().emission_waits.get() == 2);
}

TEST_CASE("A port with fewer queues than there are workers has its bursts shared out, and sends through one of them") {
    Bench b({.workers = 2, .queues = 1}, kSpread);
    std::vector<ByteVec> burst(64, lan_frame(kOut));
    // Port 0 is worker 0's, port 1 worker 1's.
    b.gw.from_port(kLan, burst);
    const auto frames = b.gw.take_port(kWan);
    REQUIRE(frames.size() == 64);
    std::uint64_t highest = 0;
    std::set<std::uint64_t> all;
    for (const ByteVec& f : frames) {
        const std::uint64_t seq = seq_of(f);
        CHECK(all.insert(seq).second);
        CHECK(highest < seq + 32);
        highest = std::max(highest, seq);
        CHECK(b.peer.open(f, seq).has_value());
    }
    CHECK(b.gw.path(0).counters().esp_out_packets.get() == 32);
    CHECK(b.gw.path(1).counters().esp_out_packets.get() == 32);
    // Little traffic stays where it arrives.
    for (unsigned i = 0; i < 50; ++i) b.gw.from_port(kLan, lan_frame(kOut));
    CHECK(b.gw.path(0).counters().esp_out_packets.get() == 82);
    CHECK(b.gw.all_drops() == 0);
}

TEST_CASE("TRAPS 34, 35: shared numbers go over 2^32 with ESN, and end without") {
    constexpr std::uint64_t kWrap = std::uint64_t{1} << 32;
    Bench b(kTwo, {.esn = true, .workers = ipsec::Workers::spread});
    set_last(b, true, kWrap - 21);
    const std::uint64_t now = rte_rdtsc();
    for (unsigned round = 0; round < 8; ++round) {
        arrive(b, round % 2, 5, now + round);
        b.gw.path(round % 2).flush();
    }
    const auto frames = b.gw.take_port(kWan);
    REQUIRE(frames.size() == 40);
    for (const ByteVec& f : frames) {
        const std::uint64_t low = seq_of(f);
        const std::uint64_t seq = low < 1000 ? low + kWrap : low;
        CHECK(b.peer.open(f, seq).has_value());
        CHECK_FALSE(b.peer.open(f, seq ^ kWrap).has_value());
    }

    Bench end(kTwo, kSpread);
    set_last(end, false, UINT32_MAX - 2);
    arrive(end, 0, 1, now);
    arrive(end, 1, 3, now);
    CHECK(end.gw.drops(Drop::seq_overflow) == 2);
    CHECK(end.gw.all_drops() == 2);
    end.gw.settle();
    CHECK(end.gw.take_port(kWan).size() == 2);
    bool hard = false;
    for (const auto& event : end.gw.backend().poll_events()) {
        if (const auto* expire = std::get_if<ipsec::Expire>(&event)) hard = hard || expire->hard;
    }
    CHECK(hard);
}

TEST_CASE("TRAPS 35: workers take IVs from one source, and there is none after the last") {
    Bench b(kTwo, kSpread);
    numbers(b).ivs.allocate(esp::kIvHardLimit - 3);
    const std::uint64_t now = rte_rdtsc();
    arrive(b, 0, 2, now);
    b.gw.path(0).flush();
    arrive(b, 1, 2, now);
    b.gw.settle();
    // Worker 0 took all three that there were.
    CHECK(b.gw.take_port(kWan).size() == 2);
    CHECK(b.gw.drops(Drop::iv_exhausted) == 2);
    CHECK(b.gw.all_drops() == 2);
}

TEST_CASE("TRAPS 37: a lifetime in packets holds over all workers together") {
    Bench b(kTwo, kSpread);
    b.child.lifetime.soft_packets = 50;
    b.child.lifetime.hard_packets = 100;
    b.reinstall();
    const std::uint64_t now = rte_rdtsc();
    std::size_t out = 0;
    for (unsigned round = 0; round < 300; ++round) {
        arrive(b, round % 2, 1, now + round);
        b.gw.settle();
        out += b.gw.take_port(kWan).size();
    }
    CHECK(out == 100);
    CHECK(b.gw.drops(Drop::lifetime) == 200);
    unsigned soft = 0;
    unsigned hard = 0;
    for (const auto& event : b.gw.backend().poll_events()) {
        if (const auto* expire = std::get_if<ipsec::Expire>(&event)) ++(expire->hard ? hard : soft);
    }
    CHECK(soft == 1);
    CHECK(hard == 1);
}

TEST_CASE("a worker that may run no further ahead drops what comes next") {
    Bench b(kTwo, kSpread);
    const unsigned before = b.gw.in_use();
    numbers(b).gate.hold(1, Seq(1));  // worker 1 has taken the first run and stands still
    numbers(b).sequence.take(15);
    const std::uint64_t now = rte_rdtsc();
    for (unsigned i = 0; i < 1 + Emission::kBlocks; ++i) arrive(b, 0, 1, now + i);
    CHECK(b.gw.all_drops() == 0);
    CHECK(b.gw.path(0).crowded());
    CHECK(sent(b, 0) == std::vector<std::uint64_t>{16});
    arrive(b, 0, 1, now + 100);
    CHECK(b.gw.drops(Drop::emission_full) == 1);
    CHECK(b.gw.all_drops() == 1);
    b.gw.path(0).begin(now + rte_get_tsc_hz());
    CHECK_FALSE(b.gw.path(0).crowded());  // others do not wait for this SA longer than that
    numbers(b).gate.release(1);
    b.gw.settle();
    CHECK(b.gw.take_port(kWan).size() == Emission::kBlocks);
    CHECK(b.gw.in_use() == before);
}

TEST_CASE(
    "TRAPS 58: a worker that hangs holds the SA up until it is declared lost; it gives its numbers up, then goes on") {
    Bench b(kTwo, kSpread);
    const unsigned before = b.gw.in_use();
    std::uint64_t now = rte_rdtsc();
    arrive(b, 1, 15, ++now);  // 1..15, sent at once, but the turn ends
    sent(b, 1);
    b.gw.path(1).flush();
    arrive(b, 0, 16, ++now);  // 16..31, sealed and in hand
    arrive(b, 1, 64, ++now);  // 32..95
    CHECK(sent(b, 1).size() == 16);
    b.gw.path(1).flush();
    arrive(b, 0, 32, ++now);  // worker 0: 96..127 wait as well, and then it hangs
    b.gw.path(1).begin(++now);
    CHECK(sent(b, 1).empty());

    LostWorkers& lost = b.gw.tables().lost;
    lost.declare(WorkerId{0});
    b.gw.path(1).begin(++now);
    CHECK(sent(b, 1).size() == 48);
    b.gw.path(1).flush();
    arrive(b, 1, 64, ++now);
    CHECK(sent(b, 1).size() == 64);
    b.gw.path(1).flush();
    CHECK_FALSE(lost.readmit(WorkerId{0}));

    // It comes back: what waits with it is let go, and what arrives until it is readmitted too.
    for (rte_mbuf* m : b.gw.path(0).port_output(kWan)) rte_pktmbuf_free(m);
    b.gw.path(0).port_output(kWan).clear();
    b.gw.path(0).begin(++now);
    CHECK(b.gw.drops(Drop::emission_lost) == 32);
    arrive(b, 0, 3, ++now);
    CHECK(b.gw.drops(Drop::emission_lost) == 35);
    CHECK(lost.readmit(WorkerId{0}));
    arrive(b, 0, 3, ++now);
    // Nor has it taken numbers meanwhile: these follow the other worker's.
    CHECK(sent(b, 0) == std::vector<std::uint64_t>{192, 193, 194});
    b.gw.settle();
    CHECK(b.gw.all_drops() == 35);
    CHECK(b.gw.in_use() == before);
}

TEST_CASE("a missing neighbour is asked for, but packets in order do not wait for it") {
    Bench b(kTwo, kSpread);
    ipsec::ChildSa child = b.child;
    REQUIRE(b.gw.backend().remove(child.id));
    b.child.remote.address = *net::IpAddress::parse("192.0.2.77");
    REQUIRE(b.gw.backend().install(b.child));
    arrive(b, 0, 20, rte_rdtsc());
    b.gw.settle();
    CHECK(b.gw.drops(Drop::neighbour_missing) == 20);
    const auto wanted = b.gw.backend().poll_neighbours();
    REQUIRE(wanted.size() == 1);
    CHECK(wanted[0].address == b.child.remote.address);
}

TEST_CASE("an SA that is removed takes with it what waited to leave") {
    Bench b(kTwo, kSpread);
    const unsigned before = b.gw.in_use();
    const std::uint64_t now = rte_rdtsc();
    arrive(b, 0, 15, now);
    arrive(b, 1, 64, now);
    sent(b, 1);
    REQUIRE(b.gw.backend().remove(b.child.id));
    b.gw.settle();
    CHECK(b.gw.drops(Drop::no_sa) == 48);
    CHECK(sent(b, 0).size() == 15);
    CHECK(b.gw.in_use() == before);
}

TEST_CASE("new endpoints reach every worker's half") {
    Bench b(kTwo, kSpread);
    REQUIRE(b.gw.backend().update_endpoints(b.child.id, {*net::IpAddress::parse("192.0.2.1"), 4500},
                                            {*net::IpAddress::parse("192.0.2.2"), 4501}, true));
    b.gw.settle();
    const std::uint64_t now = rte_rdtsc();
    for (unsigned w = 0; w < 2; ++w) {
        arrive(b, w, 1, now);
        b.gw.settle();
        const auto frames = b.gw.take_port(kWan);
        REQUIRE(frames.size() == 1);
        CHECK(frames[0][14 + 9] == 17);
        CHECK((frames[0][14 + 22] == 4501 / 256 && frames[0][14 + 23] == 4501 % 256));
    }
}

namespace {

// Both workers' ports: what is sent is written down in the order in which it is.
struct Wire final : Path::Output {
    std::vector<std::atomic<std::uint64_t>> numbers;
    std::atomic<std::size_t> length{0};
    explicit Wire(std::size_t room) : numbers(room) {}
    void send_to_port(PortId port, PacketList& list) override {
        for (rte_mbuf* m : list) {
            Be32 seq;
            std::memcpy(&seq, data(m) + 14 + 20 + 4, sizeof(seq));
            if (port == kWan) numbers.at(length.fetch_add(1)).store(seq.host(), std::memory_order_relaxed);
            rte_pktmbuf_free(m);
        }
        list.clear();
    }
    void send_to_host(PortId, PacketList&) override { FAIL("nothing is for the kernel"); }
};

void seal_until(Bench& b, unsigned worker, unsigned packets, Wire& wire) {
    rte_thread_register();
    Path& path = b.gw.path(worker);
    path.set_output(&wire);
    std::mt19937 random(worker + 1);
    const ByteVec frame = lan_frame(kOut);
    while (packets > 0 || path.waits()) {
        path.begin(rte_rdtsc());
        if (packets > 0 && !path.crowded()) {
            std::vector<rte_mbuf*> burst(std::min<std::size_t>(1 + random() % 64, packets));
            packets -= static_cast<unsigned>(burst.size());
            for (rte_mbuf*& m : burst) m = b.gw.make(frame);
            path.receive_from_port(kLan, burst);
        }
        path.flush();
        if (random() % 8 == 0 || path.waits()) std::this_thread::yield();
    }
    path.set_output(nullptr);
    rte_thread_unregister();
}

}  // namespace

TEST_CASE(
    "TRAPS 44: what may go is with the port, and told of, as soon as it is sealed or let go, not when the turn ends") {
    Bench b(kTwo, kSpread);
    Wire wire(100);
    const std::uint64_t now = rte_rdtsc();
    arrive(b, 0, 15, now);  // 1..15, in hand
    b.gw.path(1).set_output(&wire);
    arrive(b, 1, 40, now);  // 16..55
    CHECK(wire.length == 16);
    CHECK(numbers(b).gate.held(1) == 32);
    CHECK(sent(b, 0).size() == 15);
    b.gw.path(0).flush();
    b.gw.path(1).begin(now + 1);
    CHECK(wire.length == 40);
    CHECK(numbers(b).gate.held(1) == esp::EmissionGate::kNothing);
    // A whole burst takes its numbers at once, however many lookups it goes through together.
    arrive(b, 0, 33, now + 2);
    arrive(b, 1, 1, now + 2);
    CHECK(sent(b, 0).size() == 33);
    b.gw.path(0).flush();
    b.gw.path(1).begin(now + 3);
    REQUIRE(wire.length == 41);
    CHECK(wire.numbers[40] == 55 + 33 + 1);
    b.gw.path(1).set_output(nullptr);
}

TEST_CASE("TRAPS 44: threads that seal for one SA put each number on the wire once, less than 32 late, runs in order") {
    for (const unsigned workers : {2U, 3U}) {
        constexpr unsigned kEach = 20'000;
        Bench b({.workers = workers}, kSpread);
        Wire wire(workers * kEach);
        std::vector<std::thread> threads;
        for (unsigned w = 0; w < workers; ++w) threads.emplace_back([&, w] { seal_until(b, w, kEach, wire); });
        for (std::thread& t : threads) t.join();
        // A thread that the machine holds for long makes the others run into their bound: that drops, and counts.
        const std::uint64_t dropped = b.gw.drops(Drop::emission_full);
        CHECK(b.gw.all_drops() == dropped);
        REQUIRE(wire.length + dropped == workers * kEach);
        std::vector<bool> seen(wire.length + 1);
        std::vector<std::uint64_t> last_of_run(wire.length / 16 + 1);
        std::uint64_t highest = 0;
        for (std::size_t i = 0; i < wire.length; ++i) {
            const std::uint64_t seq = wire.numbers[i];
            if (seq == 0 || seq > wire.length || seen[seq]) FAIL("not once: " << seq);
            seen[seq] = true;
            if (highest >= seq + 32) FAIL(seq << " left after " << highest);
            highest = std::max(highest, seq);
            if (seq < last_of_run[seq / 16]) FAIL("run out of order at " << seq);
            last_of_run[seq / 16] = seq;
        }
        CHECK(b.gw.outbound(b.child).shared->numbers.sequence.last() == Seq(wire.length));
    }
}
