// SPDX-License-Identifier: Apache-2.0
// Two workers' whole paths over shared tables while control changes all that they read. What is asserted holds on any
// machine; a build with ThreadSanitizer looks for races in it.
#include <rte_cycles.h>
#include <rte_lcore.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <thread>

#include "lib/net/wire.hpp"
#include "tests/unit/dataplane/gateway.hpp"

using namespace sluice;
using namespace sluice::test;
using namespace sluice::dataplane;

namespace {

constexpr unsigned kWorkers = 2;
constexpr std::uint32_t kRounds = 300;
constexpr unsigned kLeastTurns = 50;
constexpr unsigned kBurst = 16;

// SPI and sequence number.
using Number = std::pair<std::uint32_t, std::uint32_t>;

// What one worker saw; its thread writes, the test reads after join().
struct Seen {
    std::vector<Number> sealed;
    std::uint64_t clear_out = 0;
    std::uint64_t opened = 0;
};

struct Scene {
    Gateway gw{Shape{.workers = kWorkers}};
    const ipsec::ChildSa owned = make_child({.replay_window = 1024, .id = 1});
    const ipsec::ChildSa spread =
        make_child({.esn = true, .replay_window = 1024, .id = 2, .workers = ipsec::Workers::spread});
    std::atomic<std::uint64_t> next_seq[2]{1, 1};  // of what the peers of the two seal
    std::atomic<bool> stop{false};
    std::atomic<unsigned> turns[kWorkers]{};
    Seen seen[kWorkers];

    Scene() {
        REQUIRE(gw.backend().set_policies(make_spd()));
        REQUIRE(gw.backend().install(owned));
        REQUIRE(gw.backend().install(spread));
    }
    void receive(unsigned w);
    void take_sent(unsigned w);
    void work(unsigned w);
};

// A burst of each kind: clear text to seal, IPv6 in clear that nobody protects, ESP for both SAs.
void Scene::receive(unsigned w) {
    Path& path = gw.path(w);
    static const ByteVec to_seal = ethernet(kLanMac, kAliceMac, udp_packet({}, 1000, 2000, 64));
    static const ByteVec to_pass =
        ethernet(kLanMac, kAliceMac, udp_packet({.source = "10.1.0.10", .destination = "198.51.100.7"}, 1, 2, 3));
    std::array<rte_mbuf*, kBurst> burst{};
    for (unsigned i = 0; i < kBurst; ++i) burst[i] = gw.make(i % 4 == 0 ? to_pass : to_seal);
    path.receive_from_port(kLan, burst);
    const ByteVec inner = udp_packet({.source = "10.2.0.20", .destination = "10.1.0.10"}, 1, 2, 3);
    for (unsigned i = 0; i < kBurst; ++i) {
        const unsigned which = i % 2;
        Peer peer(which == 0 ? owned : spread);
        burst[i] = gw.make(peer.seal(inner, next_seq[which].fetch_add(1)));
    }
    path.receive_from_port(kWan, burst);
}

void Scene::take_sent(unsigned w) {
    for (rte_mbuf* m : gw.path(w).port_output(kWan)) {
        const auto* ip = header<net::Ipv4Header>(m, kEthernetSize);
        if (ip->protocol == net::kProtocolEsp) {
            const auto* esp = header<net::EspHeader>(m, kEthernetSize + sizeof(net::Ipv4Header));
            seen[w].sealed.emplace_back(esp->spi.host(), esp->sequence.host());
        } else if (ip->destination[0] == 10) {
            ++seen[w].clear_out;
        }
        rte_pktmbuf_free(m);
    }
    gw.path(w).port_output(kWan).clear();
    for (rte_mbuf* m : gw.path(w).port_output(kLan)) {
        ++seen[w].opened;
        rte_pktmbuf_free(m);
    }
    gw.path(w).port_output(kLan).clear();
}

// A worker's loop, as Worker::run() has it.
void Scene::work(unsigned w) {
    rte_thread_register();
    const WorkerId id{static_cast<std::uint16_t>(w)};
    gw.tables().reclaimer.join(id);
    while (!stop.load()) {
        gw.path(w).begin(rte_rdtsc());
        gw.run_commands(w);
        if (!gw.path(w).crowded()) receive(w);
        while (gw.take_handed_over(w) == kMaxBurst) take_sent(w);
        gw.path(w).run_deferred();
        gw.path(w).flush();
        take_sent(w);
        gw.tables().reclaimer.quiescent(id);
        turns[w].fetch_add(1);
    }
    gw.tables().reclaimer.leave(id);
    rte_thread_unregister();
}

// Control's part in a round: SAs of both kinds come and go, the newest of the policy's takes over (a rekey), and
// everything else that workers read is replaced.
void change_everything(Gateway& gw, std::uint32_t round) {
    WorkersBackend& backend = gw.backend();
    const std::uint32_t id = 10 + round % 50;
    const auto workers = round % 3 == 0 ? ipsec::Workers::spread : ipsec::Workers::one;
    REQUIRE(backend.reserve(Spi{0x1000 + id}));
    REQUIRE(backend.install(make_child({.esn = round % 2 == 0, .id = id, .workers = workers})));
    ipsec::Spd spd = make_spd();
    spd.policies.push_back(spd.policies[0]);
    spd.policies[1].id = PolicyId{2 + round % 5};
    if (round % 4 == 0) REQUIRE(backend.set_policies(spd));
    if (round % 4 == 1) gw.tables().set_host_view(host_view());
    const Neighbour router{*net::IpAddress::parse("192.0.2.2"), kPeerMac, kWan};
    if (round % 4 == 2) gw.tables().neighbours.remove(router.address, router.port);
    const net::Endpoint local{*net::IpAddress::parse("192.0.2.1"), 4500};
    REQUIRE(backend.update_endpoints(ChildSaId{id}, local, {router.address, 4500}, false));
    std::this_thread::yield();
    if (round % 4 == 2 && gw.tables().neighbours.set(router)) backend.release_neighbour(router);
    SegmentMap& map = gw.tables().segments;
    map.give(static_cast<std::uint16_t>(round % map.parts()),
             WorkerId{static_cast<std::uint16_t>(round / 2 % kWorkers)});
    REQUIRE(backend.query(ChildSaId{2}));
    REQUIRE(backend.remove(ChildSaId{id}));
    static_cast<void>(backend.poll_events());
    static_cast<void>(backend.poll_neighbours());
    backend.retry_commands();
    gw.tables().reclaimer.collect();
}

}  // namespace

TEST_CASE("TRAPS 43, 44, 54: two workers carry on while control changes SAs, policies, routes and neighbours") {
    Scene scene;
    std::thread threads[kWorkers];
    for (unsigned w = 0; w < kWorkers; ++w) threads[w] = std::thread([&scene, w] { scene.work(w); });
    const auto all_turned = [&](unsigned n) { return scene.turns[0] >= n && scene.turns[1] >= n; };
    while (!all_turned(1)) std::this_thread::yield();
    for (std::uint32_t round = 0; round < kRounds; ++round) change_everything(scene.gw, round);
    while (!all_turned(kLeastTurns)) std::this_thread::yield();
    scene.stop.store(true);
    for (std::thread& t : threads) t.join();

    std::vector<Number> sealed;
    for (const Seen& s : scene.seen) {
        CHECK(s.clear_out == 0);
        CHECK(s.opened > 0);
        CHECK_FALSE(s.sealed.empty());
        sealed.insert(sealed.end(), s.sealed.begin(), s.sealed.end());
    }
    // Also under SPIs that came more than once, each time a new SA, no two packets in a row repeat a number.
    const std::uint32_t steady[] = {scene.owned.outbound.spi.value, scene.spread.outbound.spi.value};
    std::erase_if(sealed, [&](const Number& n) { return std::ranges::find(steady, n.first) == std::end(steady); });
    std::ranges::sort(sealed);
    CHECK(std::ranges::adjacent_find(sealed) == sealed.end());
    scene.gw.tables().reclaimer.collect();
    CHECK(scene.gw.tables().reclaimer.pending() == 0);
    CHECK(scene.gw.drops(Drop::clear_in_protected) == 0);
}
