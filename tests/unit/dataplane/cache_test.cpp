// SPDX-License-Identifier: Apache-2.0
// What the path remembers from packet to packet is forgotten when control changes what it came from.
#include <catch2/catch.hpp>

#include "lib/net/wire.hpp"
#include "tests/unit/dataplane/gateway.hpp"

using namespace sluice;
using namespace sluice::test;
using dataplane::Drop;

namespace {

ByteVec lan_frame(const std::string& destination) {
    return ethernet(kLanMac, kAliceMac,
                    udp_packet({.source = "10.1.0.10", .destination = destination}, 1000, 2000, 64));
}

net::MacAddress destination_mac(const ByteVec& frame) { return {net::load<net::EthernetHeader>(frame).destination}; }

}  // namespace

TEST_CASE("An SA's outer packets follow a route that changes") {
    Gateway gw;
    const ipsec::ChildSa child = make_child();
    REQUIRE(gw.backend().set_policies(make_spd()));
    REQUIRE(gw.backend().install(child));
    gw.from_port(kLan, lan_frame("10.2.0.20"));
    auto sealed = gw.take_port(kWan);
    REQUIRE(sealed.size() == 1);
    CHECK(destination_mac(sealed[0]) == kPeerMac);

    // The peer moves behind another neighbour of the same port.
    const net::MacAddress other{{2, 0, 0, 0, 0x53, 9}};
    dataplane::HostView view = host_view();
    const net::IpAddress gateway = *net::IpAddress::parse("192.0.2.9");
    view.routes.push_back({net::Prefix::host(child.remote.address), gateway, kWan, 0, false});
    view.neighbours.push_back({gateway, other, kWan});
    gw.tables().set_host_view(view);
    gw.from_port(kLan, lan_frame("10.2.0.20"));
    sealed = gw.take_port(kWan);
    REQUIRE(sealed.size() == 1);
    CHECK(destination_mac(sealed[0]) == other);

    // And then nowhere.
    view.routes.back().blackhole = true;
    gw.tables().set_host_view(view);
    gw.from_port(kLan, lan_frame("10.2.0.20"));
    CHECK(gw.take_port(kWan).empty());
    CHECK(gw.drops(Drop::blackhole) == 1);
}

TEST_CASE("TRAPS 43: a flow that was admitted in clear is asked about again when the policies have changed") {
    Gateway gw;
    ipsec::Spd spd = make_spd();
    REQUIRE(gw.backend().set_policies(spd));
    gw.from_port(kLan, lan_frame("198.51.100.7"));
    CHECK(gw.take_port(kWan).size() == 1);

    ipsec::Policy protect = spd.policies[0];
    protect.id = PolicyId{77};
    protect.local = {{.range = net::AddressRange::all(net::Family::v4)}};
    protect.remote = {{.range = net::AddressRange::all(net::Family::v4)}};
    spd.policies = {protect};
    REQUIRE(gw.backend().set_policies(spd));
    gw.from_port(kLan, lan_frame("198.51.100.7"));
    CHECK(gw.take_port(kWan).empty());
    CHECK(gw.drops(Drop::clear_in_protected) == 1);
}

TEST_CASE("TRAPS 43: in a burst of two flows each meets the policies by itself") {
    Gateway gw;
    REQUIRE(gw.backend().set_policies(make_spd()));
    REQUIRE(gw.backend().install(make_child()));
    const ByteVec clear = lan_frame("198.51.100.7");
    const ByteVec secret = lan_frame("10.2.0.20");
    gw.from_port(kLan, {clear, secret, secret, clear});
    const auto sent = gw.take_port(kWan);
    REQUIRE(sent.size() == 4);
    CHECK(gw.path().counters().esp_out_packets.get() == 2);
    CHECK(gw.path().counters().forwarded_packets.get() == 2);
}
