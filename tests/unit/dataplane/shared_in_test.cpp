// SPDX-License-Identifier: Apache-2.0
// One inbound SA over several workers: slices of the replay window, and slices that move.
#include <rte_cycles.h>
#include <rte_lcore.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <iostream>
#include <random>
#include <thread>
#include <unordered_set>

#include "dataplane/shared_sa.hpp"
#include "tests/unit/dataplane/drop_fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using namespace sluice::dataplane;

namespace {

constexpr std::uint64_t kWrap = std::uint64_t{1} << 32;

ChildOptions spread(std::uint32_t window, bool esn) {
    return {.esn = esn, .replay_window = window, .workers = ipsec::Workers::spread};
}

struct Slices : Bench {
    Slices(unsigned workers, std::uint32_t window, bool esn, unsigned queues = 0)
        : Bench({.workers = workers, .queues = queues}, spread(window, esn)) {}
    std::size_t count() { return gw.inbound(child).shared == nullptr ? 1 : gw.inbound(child).shared->slices.size(); }
    InboundSa& slice(std::uint64_t seq) {
        InboundSa& head = gw.inbound(child);
        return head.shared == nullptr ? head : head.shared->slice(static_cast<std::uint32_t>(seq));
    }
    // Every slice as if numbers up to edge had been seen.
    void mark_all(std::uint64_t edge) {
        InboundSa& head = gw.inbound(child);
        head.window.mark_all_seen(Seq(edge));
        for_each_slice(head, [&](InboundSa& s) { s.window.mark_all_seen(Seq(edge)); });
    }
    // The map gives each part to the next worker.
    void turn_map() {
        SegmentMap& map = gw.tables().segments;
        for (std::uint16_t p = 0; p < map.parts(); ++p) {
            const unsigned next = (map.worker_of(p).value + 1U) % gw.tables().worker_count;
            map.give(p, WorkerId(static_cast<std::uint16_t>(next)));
        }
    }
    bool arrives(std::uint64_t seq) {
        gw.from_port(kWan, peer.seal(udp_packet(kIn, 1, 2, 3), seq));
        return gw.take_port(kLan).size() == 1;
    }
};

}  // namespace

TEST_CASE("H11: runs of numbers go to the worker of their slice, and a number is taken once") {
    Slices b(2, 64, false);
    REQUIRE(b.count() == 2);
    for (std::uint64_t seq = 1; seq <= 400; ++seq) {
        const unsigned owner = WorkerId(b.slice(seq).owner).value;
        const std::uint64_t before = b.gw.path(owner).counters().esp_in_packets.get();
        REQUIRE(b.arrives(seq));
        CHECK(b.gw.path(owner).counters().esp_in_packets.get() == before + 1);
        CHECK_FALSE(b.arrives(seq));
    }
    for (unsigned w = 0; w < 2; ++w) CHECK(b.gw.path(w).counters().esp_in_packets.get() > 100);
    CHECK(b.gw.drops(Drop::replay) == 400);
    CHECK(b.gw.all_drops() == 400);
    const auto counters = b.gw.backend().query(b.child.id);
    REQUIRE(counters);
    CHECK(counters->inbound.packets == 400);
    CHECK(counters->inbound.highest == Seq(400));
}

TEST_CASE("a number cannot be taken again by way of another address of ours, which would hash to another slice") {
    Slices b(2, 64, false);
    for (std::uint64_t seq = 1; seq <= 64; ++seq) {
        ByteVec frame = b.peer.seal(udp_packet(kIn, 1, 2, 3), seq);
        b.gw.from_port(kWan, frame);
        REQUIRE(b.gw.take_port(kLan).size() == 1);
        const ByteVec moved = ethernet(
            kWanMac, kPeerMac, ip_packet({.source = "192.0.2.2", .destination = "10.1.0.1"}, 50, b.peer.esp_of(frame)));
        b.gw.from_port(kWan, moved);
        REQUIRE(b.gw.take_port(kLan).empty());
    }
    CHECK(b.gw.drops(Drop::replay) == 64);
}

TEST_CASE("ESP too short for a number is dropped before its slice is looked for") {
    Slices b(2, 64, false);
    const ByteVec frame = b.peer.seal(udp_packet(kIn, 1, 2, 3), 1);
    for (std::size_t size = 4; size < 8; ++size) {
        b.gw.from_port(kWan, ethernet(kWanMac, kPeerMac,
                                      ip_packet({.source = "192.0.2.2", .destination = "192.0.2.1"}, 50,
                                                b.peer.esp_of(frame).first(size))));
    }
    CHECK(b.gw.drops(Drop::esp_malformed) == 4);
    CHECK(b.gw.all_drops() == 4);
}

TEST_CASE("a slice moves with its window and its high half: between two bursts, to the worker that the map names") {
    Slices b(2, 64, true);
    b.mark_all(5 * kWrap + 1000);
    for (std::uint64_t seq = 5 * kWrap + 1001; seq < 5 * kWrap + 1200; ++seq) REQUIRE(b.arrives(seq));
    std::vector<unsigned> owners;
    for (const auto& s : b.gw.inbound(b.child).shared->slices) owners.push_back(WorkerId(s->owner).value);
    b.turn_map();
    CHECK(b.gw.counter(&WorkerCounters::slices_passed) == 0);
    for (std::uint64_t seq = 5 * kWrap + 1160; seq < 5 * kWrap + 1200; ++seq) CHECK_FALSE(b.arrives(seq));
    CHECK(b.gw.counter(&WorkerCounters::slices_passed) == 2);
    for (std::size_t i = 0; i < owners.size(); ++i) {
        CHECK(WorkerId(b.gw.inbound(b.child).shared->slices[i]->owner).value == 1 - owners[i]);
    }
    for (std::uint64_t seq = 5 * kWrap + 1200; seq < 5 * kWrap + 1300; ++seq) CHECK(b.arrives(seq));
    CHECK(b.gw.all_drops() == 40);
}

TEST_CASE("an owner gives a slice on once, however many packets of it are in the burst") {
    Slices b(2, 64, false);
    b.turn_map();
    std::uint64_t first = 16;
    while (b.slice(first).owner != WorkerId{0}) first += 16;
    std::vector<ByteVec> burst;
    for (std::uint64_t seq = first; seq < first + 8; ++seq) burst.push_back(b.peer.seal(udp_packet(kIn, 1, 2, 3), seq));
    b.gw.from_port(kWan, burst);
    CHECK(b.gw.take_port(kLan).size() == 8);
    CHECK(b.gw.counter(&WorkerCounters::slices_passed) == 1);
    CHECK(b.slice(first).owner == WorkerId{1});
}

TEST_CASE("TRAPS 34: ESN over 2^32 with 1, 2 and 4 slices that stay or move, at every position of the window") {
    for (const unsigned workers : {1U, 2U, 4U}) {
        for (const bool moves : {false, true}) {
            for (std::uint64_t offset = 0; offset <= 64; offset += moves ? 3 : 1) {
                CAPTURE(workers, moves, offset);
                Slices b(workers, 64, true);
                const std::uint64_t top = kWrap + offset - 32;
                b.mark_all(top - 65);
                REQUIRE(b.arrives(top));
                if (moves) b.turn_map();
                CHECK(b.arrives(top - 40));
                CHECK(b.arrives(top - 24));
                CHECK_FALSE(b.arrives(top));
                CHECK(b.slice(top).window.top() == Seq{top});
                if (moves) b.turn_map();
                CHECK_FALSE(b.arrives(top - 24));
                CHECK(b.arrives(top + 1000));
                CHECK_FALSE(b.arrives(top + 1000));
                CHECK(b.slice(top + 1000).window.top() == Seq{top + 1000});
            }
        }
    }
}

TEST_CASE("TRAPS 33: slices that move, against a set, over steps of loss, repetition and reordering") {
    const unsigned seed = std::random_device{}();
    std::cout << "moving slices: seed " << seed << "\n";
    std::mt19937_64 random(seed);
    for (const unsigned workers : {2U, 4U}) {
        Slices b(workers, 128, true);
        std::unordered_set<std::uint64_t> taken;
        std::uint64_t edge = kWrap - 3000;
        b.mark_all(edge);
        for (int step = 0; step < 6000; ++step) {
            if (random() % 50 == 0) b.turn_map();
            const std::uint64_t seq = random() % 2 == 0 ? edge + 1 + random() % 3 : edge - random() % 200;
            InboundSa& slice = b.slice(seq);
            const std::uint64_t top = slice.window.top().value;
            const bool fresh = seq > kWrap - 3000 && seq + 128 > top && !taken.contains(seq);
            if (b.arrives(seq) != fresh) FAIL("step " << step << " number " << seq << " top " << top);
            if (fresh) taken.insert(seq);
            edge = std::max(edge, seq);
        }
        CHECK(edge > kWrap);
        CHECK(b.gw.counter(&WorkerCounters::slices_passed) > 100);
        CHECK(b.gw.drops(Drop::icv) + b.gw.drops(Drop::replay) == b.gw.all_drops());
    }
}

TEST_CASE("TRAPS 34: each slice finds its way back by itself after a loss of a whole high half") {
    Slices b(2, 64, true);
    b.mark_all(kWrap - 100);
    unsigned sent = 0;
    const auto behind = [&] {
        bool any = false;
        for_each_slice(b.gw.inbound(b.child), [&](InboundSa& s) { any = any || s.window.top().value < kWrap; });
        return any;
    };
    while (behind() && sent < 4000) b.arrives(2 * kWrap + 100 + sent++);
    CHECK(sent < 4000);
    for (std::uint64_t seq = 2 * kWrap + 100 + sent; seq < 2 * kWrap + 200 + sent; ++seq) REQUIRE(b.arrives(seq));
}

namespace {

// What was opened: the UDP source port and the last octet of the source name the packet.
struct Opened final : Path::Output {
    std::vector<std::atomic<unsigned>> times;
    explicit Opened(std::size_t packets) : times(packets) {}
    void send_to_port(PortId, PacketList& list) override {
        for (rte_mbuf* m : list) {
            const Byte* ip = data(m) + 14;
            times.at((std::size_t{ip[15]} << 16) | (std::size_t{ip[20]} << 8) | ip[21]).fetch_add(1);
            rte_pktmbuf_free(m);
        }
        list.clear();
    }
    void send_to_host(PortId, PacketList&) override { FAIL("nothing is for the kernel"); }
};

void open_until(Slices& b, unsigned worker, const std::vector<ByteVec>& frames, Opened& opened,
                std::atomic<unsigned>& fed) {
    rte_thread_register();
    Path& path = b.gw.path(worker);
    path.set_output(&opened);
    std::size_t next = 0;
    const unsigned workers = b.gw.tables().worker_count;
    for (unsigned idle = 0; idle < 200;) {
        path.begin(rte_rdtsc());
        std::vector<rte_mbuf*> burst;
        while (next < frames.size() && burst.size() < 32) burst.push_back(b.gw.make(frames[next++]));
        if (!burst.empty()) path.receive_from_port(kWan, burst);
        if (!burst.empty() && next == frames.size()) fed.fetch_add(1);
        const unsigned handed = b.gw.take_handed_over(worker);
        path.flush();
        if (worker == 0 && next < frames.size() && (next / 32) % 4 == 0) b.turn_map();
        std::this_thread::yield();
        idle = handed == 0 && fed.load() == workers ? idle + 1 : 0;
    }
    path.set_output(nullptr);
    rte_thread_unregister();
}

}  // namespace

TEST_CASE("TRAPS 44: threads that open for one SA take each packet once, while its copies and its slices go about") {
    constexpr std::uint64_t kPackets = 8000;
    Slices b(2, 65536, true);
    std::vector<ByteVec> frames;
    for (std::uint64_t seq = 1; seq <= kPackets; ++seq) {
        frames.push_back(b.peer.seal(udp_packet(kIn, static_cast<std::uint16_t>(seq), 2, 3), seq));
    }
    for (const ByteVec& f : frames) REQUIRE_FALSE(f.empty());
    Opened opened(std::size_t{256} << 16);
    std::atomic<unsigned> fed{0};
    std::vector<std::thread> threads;
    // Each packet comes to both.
    for (unsigned w = 0; w < 2; ++w) threads.emplace_back([&, w] { open_until(b, w, frames, opened, fed); });
    for (std::thread& t : threads) t.join();
    const std::size_t base = std::size_t{20} << 16;  // 10.2.0.20
    std::uint64_t missing = 0;
    for (std::uint64_t seq = 1; seq <= kPackets; ++seq) {
        const unsigned times = opened.times[base + seq];
        if (times > 1) FAIL("number " << seq << " was taken " << times << " times");
        missing += times == 0;
    }
    // Both copies of a packet can be lost where a ring is full, which is counted.
    CHECK(missing <= b.gw.drops(Drop::handover_full) / 2);
    CHECK(b.gw.drops(Drop::replay) + b.gw.drops(Drop::handover_full) == b.gw.all_drops());
    CHECK(b.gw.counter(&WorkerCounters::esp_in_packets) == kPackets - missing);
    CHECK(b.gw.counter(&WorkerCounters::slices_passed) > 0);
}
