// SPDX-License-Identifier: Apache-2.0
// TRAPS 37: limits in bytes and packets, of either half, in either mode: told once each, and then nothing passes.
#include <catch2/catch.hpp>
#include <utility>

#include "tests/unit/dataplane/drop_fixture.hpp"
#include "tests/unit/dataplane/transport_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// (packet, hard) of every expiry of the child since the last call.
using Told = std::vector<std::pair<int, bool>>;
void listen(Gateway& gw, ChildSaId child, int packet, Told& told) {
    for (const auto& e : gw.backend().poll_events()) {
        if (const auto* expire = std::get_if<ipsec::Expire>(&e); expire != nullptr && expire->child == child) {
            told.emplace_back(packet, expire->hard);
        }
    }
}

constexpr std::size_t kInner = 20 + 8 + 64;

ipsec::Lifetime limits(bool by_bytes) {
    if (by_bytes) return {.soft_bytes = 3 * kInner, .hard_bytes = 5 * kInner};
    return {.soft_packets = 3, .hard_packets = 5};
}

enum class Way { out, in, both };

}  // namespace

TEST_CASE("TRAPS 37: soft and hard limits of each half, by packets and by bytes") {
    for (const bool by_bytes : {false, true}) {
        for (const Way way : {Way::out, Way::in, Way::both}) {
            CAPTURE(by_bytes, static_cast<int>(way));
            Bench b;
            b.child.lifetime = limits(by_bytes);
            b.reinstall();
            Told told;
            for (int i = 1; i <= 8; ++i) {
                if (way != Way::in) b.gw.from_port(kLan, lan_frame(kOut, 64));
                if (way != Way::out) b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 64)));
                listen(b.gw, b.child.id, i, told);
            }
            // Each half counts for itself; who is told of the SA hears of it once, whichever half was first.
            CHECK(told == Told{{3, false}, {5, true}});
            CHECK(b.gw.take_port(kWan).size() == (way == Way::in ? 0 : 5));
            CHECK(b.gw.take_port(kLan).size() == (way == Way::out ? 0 : 5));
            CHECK(b.gw.drops(Drop::lifetime) == (way == Way::both ? 6 : 3));
        }
    }
}

TEST_CASE("TRAPS 37: a limit that is reached in one step over both is told as both") {
    Bench b;
    b.child.lifetime = {.soft_bytes = 10, .hard_bytes = 20};
    b.reinstall();
    Told told;
    b.gw.from_port(kLan, lan_frame(kOut, 64));
    listen(b.gw, b.child.id, 1, told);
    CHECK(told == Told{{1, false}, {1, true}});
    b.gw.from_port(kLan, lan_frame(kOut, 64));
    listen(b.gw, b.child.id, 2, told);
    CHECK(told.size() == 2);
    CHECK(b.gw.drops(Drop::lifetime) == 1);
}

TEST_CASE("TRAPS 37: limits in transport mode count whole packets, either way") {
    for (const bool inbound : {false, true}) {
        TransportBench b;
        b.child.lifetime = limits(true);
        REQUIRE(b.gw.backend().remove(b.child.id));
        REQUIRE(b.gw.backend().install(b.child));
        Told told;
        for (int i = 1; i <= 7; ++i) {
            if (inbound) {
                b.gw.from_port(kWan, b.seal(udp_packet(peer_to_ours(false), 1, 2, 64), 20));
            } else {
                b.send(udp_packet(ours_to_peer(false), 1, 2, 64));
            }
            listen(b.gw, b.child.id, i, told);
        }
        CHECK(told == Told{{3, false}, {5, true}});
        CHECK(b.gw.drops(Drop::lifetime) == 2);
    }
}
