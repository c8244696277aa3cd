// SPDX-License-Identifier: Apache-2.0
// `[policy] default = "discard"`: what it stops, and what a policy or an SA lets in all the same.
#include <catch2/catch.hpp>

#include "lib/net/packet.hpp"
#include "tests/unit/dataplane/drop_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

const Ip kToServer{.source = "10.1.0.10", .destination = "198.51.100.7"};
const Ip kFromServer{.source = "198.51.100.7", .destination = "10.1.0.10"};

// The tunnel of Bench, a pass or discard policy between the LAN and 198.51.100.0/24, and nothing else.
ipsec::Spd closed_spd(ipsec::PolicyAction to_servers) {
    ipsec::Spd spd = make_spd();
    spd.default_action = ipsec::PolicyAction::discard;
    ipsec::Policy servers = spd.policies[0];
    servers.id = PolicyId{2};
    servers.name = "servers";
    servers.action = to_servers;
    servers.remote = {{.range = net::AddressRange::of(*net::Prefix::parse("198.51.100.0/24"))}};
    spd.policies.insert(spd.policies.begin(), servers);
    return spd;
}

void close_gateway(Bench& b, ipsec::PolicyAction to_servers = ipsec::PolicyAction::bypass) {
    REQUIRE(b.gw.backend().set_policies(closed_spd(to_servers)));
}

}  // namespace

TEST_CASE("default discard: a tunnel carries both ways, and what it brings reaches the LAN (RFC 4301 5.2)") {
    Bench b;
    close_gateway(b);
    b.gw.from_port(kLan, lan_frame(kOut));
    CHECK(b.gw.take_port(kWan).size() == 1);
    b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 3)));
    CHECK(b.gw.take_port(kLan).size() == 1);
    CHECK(b.gw.all_drops() == 0);

    // Also after it has waited for its neighbour.
    b.gw.from_port(kWan, b.peer.seal(udp_packet({.source = "10.2.0.20", .destination = "10.1.0.77"}, 1, 2, 3)));
    CHECK(b.gw.take_port(kLan).empty());
    const dataplane::Neighbour found{*net::IpAddress::parse("10.1.0.77"), kAliceMac, kLan};
    REQUIRE(b.gw.tables().neighbours.set(found));
    b.gw.backend().release_neighbour(found);
    b.gw.settle();
    CHECK(b.gw.take_port(kLan).size() == 1);
    CHECK(b.gw.all_drops() == 0);
}

TEST_CASE("default discard: what a pass policy lets out has its replies let in, and nothing else is routed") {
    Bench b;
    close_gateway(b);
    b.gw.from_port(kLan, lan_frame(kToServer));
    CHECK(b.gw.take_port(kWan).size() == 1);
    b.gw.from_port(kWan, {wan_frame(kFromServer), wan_frame(kFromServer)});
    CHECK(b.gw.take_port(kLan).size() == 2);
    CHECK(b.gw.all_drops() == 0);

    const Ip stray{.source = "192.0.2.2", .destination = "10.1.0.10"};
    // Neither from a stranger, nor between two networks of ours, nor in the wake of what may.
    b.gw.from_port(kWan, {wan_frame(kFromServer), wan_frame(stray), wan_frame(kFromServer)});
    CHECK(b.gw.take_port(kLan).size() == 2);
    b.gw.from_port(kLan, lan_frame({.source = "10.1.0.10", .destination = "192.0.2.2"}));
    CHECK(b.gw.take_port(kWan).empty());
    CHECK(b.gw.drops(Drop::policy_discard) == 2);
    CHECK(b.gw.all_drops() == 2);
}

TEST_CASE("default discard: a configured discard policy stops also what a tunnel brought") {
    Bench b;
    // An SA of its own policy, from the servers' network to everywhere; routed back there it meets the discard policy.
    b.child.policy = PolicyId{};
    b.child.local_ts = b.child.remote_ts = {{.range = net::AddressRange::all(net::Family::v4)}};
    b.reinstall();
    close_gateway(b, ipsec::PolicyAction::discard);
    b.gw.from_port(kWan, b.peer.seal(udp_packet({.source = "10.1.0.77", .destination = "198.51.100.7"}, 1, 2, 3)));
    CHECK(b.gw.drops(Drop::policy_discard) == 1);
    CHECK(b.gw.all_drops() == 1);
    CHECK(b.gw.take_port(kWan).empty());
}

TEST_CASE("TRAPS 43: a reply that waits for its neighbour is asked about again when the pass policy goes meanwhile") {
    Bench b;
    close_gateway(b);
    b.gw.from_port(kWan, wan_frame({.source = "198.51.100.7", .destination = "10.1.0.77"}));
    CHECK(b.gw.all_drops() == 0);
    ipsec::Spd spd = closed_spd(ipsec::PolicyAction::bypass);
    spd.policies.erase(spd.policies.begin());
    REQUIRE(b.gw.backend().set_policies(spd));
    const dataplane::Neighbour found{*net::IpAddress::parse("10.1.0.77"), kAliceMac, kLan};
    REQUIRE(b.gw.tables().neighbours.set(found));
    b.gw.backend().release_neighbour(found);
    b.gw.settle();
    CHECK(b.gw.take_port(kLan).empty());
    CHECK(b.gw.drops(Drop::policy_discard) == 1);
}

TEST_CASE("TRAPS 40: default discard: the gateway's own errors about what it may not send go to the inner source") {
    Bench b;
    close_gateway(b);
    Ip ip = kOut;
    ip.ttl = 1;
    b.gw.from_port(kLan, lan_frame(ip));
    CHECK(b.gw.take_port(kLan).size() == 1);  // time exceeded
    ip.ttl = 64;
    ip.fragment_field = 0x4000;  // DF
    b.gw.from_port(kLan, lan_frame(ip, 1472));
    CHECK(b.gw.take_port(kLan).size() == 1);  // too big, with what fits the tunnel
    CHECK(b.gw.drops(Drop::ttl) == 1);
    CHECK(b.gw.drops(Drop::too_big) == 1);
    CHECK(b.gw.all_drops() == 2);
}
