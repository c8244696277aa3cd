// SPDX-License-Identifier: Apache-2.0
// What could get out in clear, or past the inbound check, while policies change or packets take side ways.
#include <algorithm>
#include <catch2/catch.hpp>

#include "lib/net/packet.hpp"
#include "tests/unit/dataplane/drop_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

ipsec::Spd protect_to(const char* prefix) {
    ipsec::Spd spd = make_spd();
    spd.policies[0].remote = {{.range = net::AddressRange::of(*net::Prefix::parse(prefix))}};
    return spd;
}

void resolve(Gateway& gw, const char* address) {
    const dataplane::Neighbour found{*net::IpAddress::parse(address), kAliceMac, kWan};
    REQUIRE(gw.tables().neighbours.set(found));
    gw.backend().release_neighbour(found);
    gw.settle();
}

ByteVec tagged(const net::MacAddress& to, const net::MacAddress& from, const ByteVec& ip) {
    ByteVec behind = {0x00, 0x07, 0x88, 0xa8, 0x00, 0x09, 0x08, 0x00};  // VLAN 7 over VLAN 9 over IPv4
    behind.insert(behind.end(), ip.begin(), ip.end());
    return ethernet(to, from, net::kEtherVlan, behind);
}

const net::MacAddress kBroadcast{{255, 255, 255, 255, 255, 255}};

std::vector<Fixture> way_in_fixtures() {
    return {
        {Drop::clear_in_protected, "TRAPS 43: to ourselves, in a frame to all",
         [](Bench& b) {
             const Ip ip{.source = "10.2.0.20", .destination = "10.1.0.1"};
             b.gw.from_port(kWan, ethernet(kBroadcast, kPeerMac, udp_packet(ip, 1, 2, 3)));
         }},
        {Drop::clear_in_protected, "TRAPS 43: to ourselves, behind VLAN tags",
         [](Bench& b) {
             const Ip ip{.source = "10.2.0.20", .destination = "10.1.0.1"};
             b.gw.from_port(kWan, tagged(kWanMac, kPeerMac, udp_packet(ip, 1, 2, 3)));
         }},
        {Drop::malformed, "a tag with half of an IP header",
         [](Bench& b) {
             b.gw.from_port(kWan, tagged(kWanMac, kPeerMac, ByteVec{0x45, 0, 0, 20, 0, 0}));
         }},
        {Drop::tagged, "TRAPS 59: what a policy protects, sent by the kernel through a VLAN",
         [](Bench& b) {
             const Ip ip{.source = "10.1.0.1", .destination = "10.2.0.20"};
             b.gw.from_host(kWan, tagged(kPeerMac, kWanMac, udp_packet(ip, 1, 2, 3)));
         }},
        {Drop::ports_unseen, "TRAPS 59: a later fragment, sent by the kernel through a VLAN",
         [](Bench& b) {
             protect_port_80(b);
             Ip ip{.source = "10.1.0.1", .destination = "10.2.0.20"};
             ip.fragment_field = 0x0040;
             b.gw.from_host(kWan, tagged(kPeerMac, kWanMac, ip_packet(ip, net::kProtocolTcp, ByteVec(64, 1))));
         }},
    };
}

// The middle of an IPv6 packet whose fragmented part begins with destination options: what is behind them, TCP say,
// stands in the first fragment only.
ByteVec v6_later_fragment(const net::MacAddress& to, const net::MacAddress& from, const Ip& ip) {
    ByteVec piece = {net::kProtocolDestinationOptions, 0, 0x02, 0x00, 0, 0, 0, 9};
    piece.resize(8 + 64, 0x55);
    return ethernet(to, from, ip_packet(ip, net::kProtocolFragment, piece));
}

std::vector<Fixture> v6_fragment_fixtures() {
    return {
        {Drop::ports_unseen, "TRAPS 41: a later IPv6 fragment that does not tell its protocol, outbound",
         [](Bench& b) {
             protect_port_80(b);
             b.gw.from_port(kLan,
                            v6_later_fragment(kLanMac, kAliceMac, {.source = "fd01::10", .destination = "fd02::20"}));
         }},
        {Drop::ports_unseen, "TRAPS 41: the same inbound",
         [](Bench& b) {
             protect_port_80(b);
             b.gw.from_port(kWan,
                            v6_later_fragment(kWanMac, kPeerMac, {.source = "fd02::20", .destination = "fd01::10"}));
         }},
        {Drop::ports_unseen, "TRAPS 41: the same, where TCP with any port is protected",
         [](Bench& b) {
             ipsec::Spd spd = make_spd();
             for (ipsec::TrafficSelectors* list : {&spd.policies[0].local, &spd.policies[0].remote}) {
                 for (ipsec::TrafficSelector& s : *list) s.protocol = net::kProtocolTcp;
             }
             REQUIRE(b.gw.backend().set_policies(spd));
             b.gw.from_port(kLan,
                            v6_later_fragment(kLanMac, kAliceMac, {.source = "fd01::10", .destination = "fd02::20"}));
         }},
    };
}

// Covers 10.1.0.10 alone, so no address of ours is inside its selectors.
void narrow_to_alice(Bench& b) {
    b.child.local_ts = {{.range = net::AddressRange::of(*net::Prefix::parse("10.1.0.10/32"))},
                        {.range = net::AddressRange::of(*net::Prefix::parse("172.16.0.0/12"))}};
    ipsec::Spd spd = make_spd();
    spd.policies[0].local = b.child.local_ts;
    REQUIRE(b.gw.backend().set_policies(spd));
    b.reinstall();
}

std::vector<Fixture> report_fixtures() {
    return {
        {Drop::no_route, "an error that would quote what was decrypted, with no SA to carry it, is not sent",
         [](Bench& b) {
             narrow_to_alice(b);
             b.gw.from_port(kWan,
                            b.peer.seal(udp_packet({.source = "10.2.0.20", .destination = "172.16.0.1"}, 1, 2, 3)));
         }},
        {Drop::ttl, "the same where the hop limit ran out",
         [](Bench& b) {
             narrow_to_alice(b);
             b.gw.from_port(
                 kWan, b.peer.seal(udp_packet({.source = "10.2.0.20", .destination = "10.1.0.10", .ttl = 1}, 1, 2, 3)));
         }},
    };
}

}  // namespace

TEST_CASE("side ways in and out meet the policies like any other, and cost one drop") {
    for (const auto& list : {way_in_fixtures(), v6_fragment_fixtures(), report_fixtures()}) {
        for (const Fixture& f : list) run_fixture(f);
    }
}

TEST_CASE("an error about a decrypted packet goes with the SA that it was meant for") {
    Bench b;
    rte_mbuf* m =
        b.gw.make(b.peer.seal(udp_packet({.source = "10.2.0.20", .destination = "10.1.0.10", .ttl = 1}, 1, 2, 3)));
    b.gw.path().receive_from_port(kWan, {&m, 1});
    CHECK(b.gw.drops(Drop::ttl) == 1);
    REQUIRE(b.gw.backend().set_policies({}));
    b.gw.settle();
    CHECK(b.gw.drops(Drop::error_in_clear) == 1);
    CHECK(b.gw.all_drops() == 2);
    CHECK(b.gw.take_port(kWan).empty());
}

TEST_CASE("TRAPS 43: a clear packet that waited for a neighbour does not leave once a policy protects it") {
    Gateway gw;
    gw.from_port(kLan, lan_frame({.source = "10.1.0.10", .destination = "192.0.2.77"}));
    REQUIRE(gw.backend().set_policies(protect_to("192.0.2.77/32")));
    resolve(gw, "192.0.2.77");
    CHECK(gw.take_port(kWan).empty());
    CHECK(gw.drops(Drop::no_sa) == 1);
    CHECK(gw.all_drops() == 1);
}

TEST_CASE("a sealed packet that waited for a neighbour leaves, whatever the policies say by then") {
    Gateway gw;
    ipsec::ChildSa child = make_child();
    child.remote.address = *net::IpAddress::parse("192.0.2.77");
    REQUIRE(gw.backend().set_policies(make_spd()));
    REQUIRE(gw.backend().install(child));
    gw.from_port(kLan, lan_frame(kOut));
    CHECK(gw.take_port(kWan).empty());
    REQUIRE(gw.backend().remove(child.id));
    resolve(gw, "192.0.2.77");
    const auto out = gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    CHECK(Peer(child).open(out[0], 1).has_value());
}

TEST_CASE("an error about a decrypted packet goes back through the SA, from an address that it covers") {
    Bench b;
    b.gw.from_port(kWan,
                   b.peer.seal(udp_packet({.source = "10.2.0.20", .destination = "10.1.0.10", .ttl = 1}, 1, 2, 3)));
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    const auto inner = b.peer.open(out[0], 1);
    REQUIRE(inner.has_value());
    const net::Packet p = net::parse_packet(*inner);
    CHECK(net::source_address(p, *inner).to_string() == "10.1.0.1");
    CHECK(net::destination_address(p, *inner).to_string() == "10.2.0.20");
    CHECK((*inner)[p.header_size] == 11);
}

TEST_CASE("pieces of what the kernel sent are whole frames, also where their policy goes before they do") {
    Bench b;
    REQUIRE(b.gw.backend().remove(b.child.id));
    b.child.df = ipsec::CopyDf::set;
    REQUIRE(b.gw.backend().install(b.child));
    rte_mbuf* m = b.gw.make(
        ethernet(kPeerMac, kWanMac, udp_packet({.source = "10.1.0.1", .destination = "10.2.0.20"}, 7, 8, 1470)));
    b.gw.path().receive_from_host(kWan, {&m, 1});
    REQUIRE(b.gw.backend().set_policies({}));
    b.gw.settle();
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 2);
    for (const ByteVec& frame : out) {
        CHECK(std::equal(kPeerMac.bytes.begin(), kPeerMac.bytes.end(), frame.begin()));
        CHECK(std::equal(kWanMac.bytes.begin(), kWanMac.bytes.end(), frame.begin() + 6));
        CHECK(net::parse_packet(Bytes(frame).subspan(14)).ok());
        CHECK(frame[14 + 8] == 64);  // the kernel's own: its TTL stays
    }
}

TEST_CASE("a bypass policy before a protect policy holds for packets without ports, and one behind it does not") {
    Bench b;
    ipsec::Spd spd = make_spd();
    ipsec::Policy bypass = spd.policies[0];
    bypass.id = PolicyId{2};
    bypass.action = ipsec::PolicyAction::bypass;
    for (ipsec::TrafficSelectors* list : {&bypass.local, &bypass.remote}) {
        for (ipsec::TrafficSelector& s : *list) s.protocol = 47;
    }
    const ByteVec gre = ethernet(kLanMac, kAliceMac, ip_packet(kOut, 47, ByteVec(40, 1)));
    const ByteVec back =
        ethernet(kWanMac, kPeerMac, ip_packet({.source = "10.2.0.20", .destination = "10.1.0.10"}, 47, ByteVec(40, 1)));
    spd.policies.insert(spd.policies.begin(), bypass);
    REQUIRE(b.gw.backend().set_policies(spd));
    b.gw.from_port(kLan, gre);
    auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    CHECK(out[0][14 + 9] == 47);
    b.gw.from_port(kWan, back);
    CHECK(b.gw.take_port(kLan).size() == 1);
    std::swap(spd.policies[0], spd.policies[1]);
    REQUIRE(b.gw.backend().set_policies(spd));
    b.gw.from_port(kLan, gre);
    out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    CHECK(out[0][14 + 9] == 50);
    b.gw.from_port(kWan, back);
    CHECK(b.gw.drops(Drop::clear_in_protected) == 1);
}

TEST_CASE("tagged frames that no policy is about pass both ways as they are") {
    Bench b;
    ByteVec behind = {0x00, 0x07, 0x08, 0x00};
    const ByteVec ip = udp_packet({.source = "192.0.2.1", .destination = "192.0.2.2"}, 1, 2, 3);
    behind.insert(behind.end(), ip.begin(), ip.end());
    const ByteVec out = ethernet(kPeerMac, kWanMac, net::kEtherVlan, behind);
    b.gw.from_host(kWan, out);
    CHECK(b.gw.take_port(kWan) == std::vector<ByteVec>{out});
    const ByteVec in = ethernet(kWanMac, kPeerMac, net::kEtherVlan, behind);
    b.gw.from_port(kWan, in);
    CHECK(b.gw.take_host(kWan) == std::vector<ByteVec>{in});
    const ByteVec runt = ethernet(kWanMac, kPeerMac, net::kEtherVlan, ByteVec{0, 7});
    b.gw.from_port(kWan, runt);
    CHECK(b.gw.take_host(kWan) == std::vector<ByteVec>{runt});
    CHECK(b.gw.all_drops() == 0);
}

TEST_CASE("TRAPS 37: an expiry that found the event ring full is told once there is room") {
    Bench b;
    REQUIRE(b.gw.backend().remove(b.child.id));
    b.child.lifetime.soft_packets = 2;
    b.child.lifetime.hard_packets = 5;
    REQUIRE(b.gw.backend().install(b.child));
    std::vector<bool> told;
    const auto send = [&] {
        b.gw.from_port(kLan, lan_frame(kOut));
        for (const auto& e : b.gw.backend().poll_events()) told.push_back(std::get<ipsec::Expire>(e).hard);
    };
    send();
    b.gw.fill_events();
    b.gw.from_port(kLan, lan_frame(kOut));
    static_cast<void>(b.gw.backend().poll_events());
    CHECK(b.gw.counter(&dataplane::WorkerCounters::events_lost) == 1);
    send();
    CHECK(told == std::vector<bool>{false});
    send();
    b.gw.fill_events();
    b.gw.from_port(kLan, lan_frame(kOut));
    static_cast<void>(b.gw.backend().poll_events());
    CHECK(b.gw.counter(&dataplane::WorkerCounters::events_lost) == 2);
    send();
    send();
    CHECK(told == std::vector<bool>{false, true});
    CHECK(b.gw.drops(Drop::lifetime) == 2);
}
