// SPDX-License-Identifier: Apache-2.0
// Threads: SAs that come and go under a running worker, and one SA reached by two workers.
#include <rte_cycles.h>
#include <rte_lcore.h>

#include <catch2/catch.hpp>
#include <thread>

#include "tests/unit/dataplane/live_worker.hpp"

using namespace sluice;
using namespace sluice::test;
using namespace sluice::dataplane;

namespace {

const Ip kOut{.source = "10.1.0.10", .destination = "10.2.0.20"};
const Ip kIn{.source = "10.2.0.20", .destination = "10.1.0.10"};

ByteVec lan_frame() { return ethernet(kLanMac, kAliceMac, udp_packet(kOut, 1000, 2000, 64)); }

// A path's loop on a thread of its own, as Worker::run() has it.
void run_path(Gateway& gw, std::atomic<bool>& stop, std::uint64_t& out, std::uint64_t& in, Peer& peer) {
    rte_thread_register();
    Path& path = gw.path();
    Reclaimer& reclaimer = gw.tables().reclaimer;
    reclaimer.join(WorkerId{0});
    const ByteVec clear = lan_frame();
    const auto count_and_free = [](PacketList& list) {
        for (rte_mbuf* m : list) rte_pktmbuf_free(m);
        const unsigned n = list.count;
        list.clear();
        return n;
    };
    while (!stop.load()) {
        path.begin(rte_rdtsc());
        std::array<rte_mbuf*, 32> burst{};
        for (rte_mbuf*& m : burst) m = gw.make(clear);
        path.receive_from_port(kLan, burst);
        for (rte_mbuf*& m : burst) m = gw.make(peer.seal(udp_packet(kIn, 1, 2, 3)));
        path.receive_from_port(kWan, burst);
        path.run_deferred();
        out += count_and_free(path.port_output(kWan));
        in += count_and_free(path.port_output(kLan));
        reclaimer.quiescent(WorkerId{0});
    }
    reclaimer.leave(WorkerId{0});
    rte_thread_unregister();
}

}  // namespace

TEST_CASE("SAs are installed and removed by the thousand while a worker runs, and none of its packets goes in clear") {
    Gateway gw;
    const ipsec::ChildSa steady = make_child({.id = 1});
    REQUIRE(gw.backend().set_policies(make_spd()));
    REQUIRE(gw.backend().install(steady));
    Peer peer(steady);
    std::atomic<bool> stop{false};
    std::uint64_t out = 0;
    std::uint64_t in = 0;
    std::thread worker([&] { run_path(gw, stop, out, in, peer); });
    while (gw.counter(&WorkerCounters::esp_in_packets) == 0) std::this_thread::yield();
    for (unsigned round = 0; round < 10000; ++round) {
        const unsigned id = 2 + round % 40;
        REQUIRE(gw.backend().install(make_child({.id = id})));
        if (round % 10 == 0) REQUIRE(gw.backend().set_policies(make_spd()));
        if (round % 10 == 5) gw.tables().set_host_view(host_view());
        REQUIRE(gw.backend().remove(ChildSaId{id}));
        gw.tables().reclaimer.collect();
    }
    stop.store(true);
    worker.join();
    gw.tables().reclaimer.collect();
    CHECK(gw.tables().reclaimer.pending() == 0);
    CHECK(out > 0);
    CHECK(in > 0);
    CHECK(gw.counter(&WorkerCounters::esp_out_packets) == out);
    CHECK(gw.counter(&WorkerCounters::forwarded_packets) == in);
    CHECK(gw.all_drops() == 0);
}

TEST_CASE("TRAPS 44: with two workers an SA has one owner; packets that reach the other are handed over, in order") {
    Gateway gw(Shape{.workers = 2});
    REQUIRE(gw.backend().set_policies(make_spd()));
    std::array<unsigned, 2> owners{};
    for (unsigned id = 1; id <= 40; ++id) {
        ipsec::ChildSa child = make_child({.id = id});
        REQUIRE(gw.backend().install(child));
        const unsigned owner = gw.outbound(child).owner.value;
        ++owners[owner];
        Peer peer(child);
        // Everything arrives at worker 0.
        for (int i = 0; i < 3; ++i) gw.from_port(kLan, lan_frame());
        const auto sealed = gw.take_port(kWan);
        REQUIRE(sealed.size() == 3);
        for (std::uint64_t seq = 1; seq <= 3; ++seq) CHECK(peer.open(sealed[seq - 1], seq).has_value());
        CHECK((gw.path(owner).counters().esp_out_packets.get() > 0));
        const ByteVec packet = peer.seal(udp_packet(kIn, 1, 2, 3));
        gw.from_port(kWan, packet);
        gw.from_port(kWan, packet);
        CHECK(gw.take_port(kLan).size() == 1);
        REQUIRE(gw.backend().remove(child.id));
    }
    CHECK(owners[0] > 5);
    CHECK(owners[1] > 5);
    CHECK(gw.drops(Drop::replay) == 40);
    CHECK(gw.counter(&WorkerCounters::handed_over) > 0);
    CHECK(gw.all_drops() == 40);
}

TEST_CASE("TRAPS 44: fragments and frames for the kernel reach the worker that serves them") {
    Gateway gw(Shape{.workers = 2});
    // Port 1's host interface is worker 1's.
    const ByteVec local =
        ethernet(kWanMac, kPeerMac, udp_packet({.source = "192.0.2.2", .destination = "192.0.2.1"}, 1, 2, 3));
    gw.from_port(kWan, local);
    CHECK(gw.path(0).host_output(kWan).count == 0);
    CHECK(gw.path(1).host_output(kWan).count == 1);
    CHECK(gw.take_host(kWan) == std::vector<ByteVec>{local});
}

TEST_CASE("TRAPS 58: a worker sleeps, offline to reclaim, and commands wake it") {
    Gateway gw;
    LiveWorker live(gw);
    Worker& worker = live.worker();
    while (worker.sleeps() == 0) std::this_thread::yield();
    int freed = 0;
    gw.tables().reclaimer.retire([&] { ++freed; });
    while (freed == 0) gw.tables().reclaimer.collect();  // the worker need not wake up for it
    Command command;
    command.kind = CommandKind::release_spi;
    for (std::uint64_t n = 1; n <= 20; ++n) {
        REQUIRE(live.rings().commands.put(command));
        worker.wake();
        while (worker.path().counters().commands.get() < n) std::this_thread::yield();
    }
}
