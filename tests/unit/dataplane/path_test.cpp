// SPDX-License-Identifier: Apache-2.0
// What the path does beside sealing and opening: who gets what, headers, errors, events.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "lib/net/checksum.hpp"
#include "lib/net/packet.hpp"
#include "tests/unit/dataplane/gateway.hpp"

using namespace sluice;
using namespace sluice::test;
using dataplane::Drop;

namespace {

const Ip kOut{.source = "10.1.0.10", .destination = "10.2.0.20"};
const Ip kIn{.source = "10.2.0.20", .destination = "10.1.0.10"};

ByteVec lan_frame(const Ip& ip, std::size_t size = 64) {
    return ethernet(kLanMac, kAliceMac, udp_packet(ip, 1000, 2000, size));
}

struct Bench {
    explicit Bench(const Shape& shape = {}, const ChildOptions& options = {}, bool trap = false)
        : gw(shape), child(make_child(options)) {
        REQUIRE(gw.backend().set_policies(make_spd(trap)));
        REQUIRE(gw.backend().install(child));
    }
    Gateway gw;
    ipsec::ChildSa child;
    Peer peer{child};
};

template <class E>
std::vector<E> events_of(Gateway& gw) {
    std::vector<E> out;
    for (const auto& e : gw.backend().poll_events()) {
        if (const E* event = std::get_if<E>(&e)) out.push_back(*event);
    }
    return out;
}

}  // namespace

TEST_CASE("a frame that is routed in clear has one hop less, the neighbour's MAC and a right checksum") {
    Bench b;
    b.gw.from_port(kLan, lan_frame({.source = "10.1.0.10", .destination = "198.51.100.7"}));
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    Ip expected{.source = "10.1.0.10", .destination = "198.51.100.7"};
    expected.ttl = 63;
    CHECK(out[0] == ethernet(kPeerMac, kWanMac, udp_packet(expected, 1000, 2000, 64)));
}

TEST_CASE("ARP, multicast and what is addressed to us go to the kernel as they are") {
    Bench b;
    const ByteVec arp = ethernet({{255, 255, 255, 255, 255, 255}}, kAliceMac, 0x0806, ByteVec(28, 1));
    const ByteVec multicast = ethernet({{1, 0, 0x5e, 0, 0, 1}}, kAliceMac,
                                       udp_packet({.source = "10.1.0.10", .destination = "224.0.0.1"}, 1, 2, 3));
    const ByteVec local = lan_frame({.source = "10.1.0.10", .destination = "10.1.0.1"});
    const ByteVec broadcast = lan_frame({.source = "10.1.0.10", .destination = "10.1.0.255"});
    for (const ByteVec& f : {arp, multicast, local, broadcast}) {
        b.gw.from_port(kLan, f);
        CHECK(b.gw.take_host(kLan) == std::vector<ByteVec>{f});
    }
    CHECK(b.gw.all_drops() == 0);
}

TEST_CASE("TRAPS 24, 49: IKE reaches the kernel also from addresses that a policy protects, with and without marker") {
    Bench b;
    const Ip from_protected{.source = "10.2.0.20", .destination = "192.0.2.1"};
    const ByteVec plain = ethernet(kWanMac, kPeerMac, udp_packet(from_protected, 500, 500, 40));
    ByteVec udp = {0x11, 0x94, 0x11, 0x94, 0, 20, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
    const ByteVec marked = ethernet(kWanMac, kPeerMac, ip_packet(from_protected, 17, udp));
    for (const ByteVec& f : {plain, marked}) {
        b.gw.from_port(kWan, f);
        CHECK(b.gw.take_host(kWan) == std::vector<ByteVec>{f});
    }
}

TEST_CASE("TRAPS 59: what the kernel sends passes the outbound SPD; IKE, ARP and neighbour discovery do not need it") {
    Bench b;
    const ByteVec bypass =
        ethernet(kPeerMac, kWanMac, udp_packet({.source = "192.0.2.1", .destination = "192.0.2.2"}, 7, 8, 9));
    b.gw.from_host(kWan, bypass);
    CHECK(b.gw.take_port(kWan) == std::vector<ByteVec>{bypass});

    // From our own protected address: sealed, and its TTL stays.
    const ByteVec inner = udp_packet({.source = "10.1.0.1", .destination = "10.2.0.20"}, 7, 8, 9);
    b.gw.from_host(kWan, ethernet(kPeerMac, kWanMac, inner));
    const auto sealed = b.gw.take_port(kWan);
    REQUIRE(sealed.size() == 1);
    CHECK(b.peer.open(sealed[0], 1) == inner);

    REQUIRE(b.gw.backend().remove(b.child.id));
    b.gw.from_host(kWan, ethernet(kPeerMac, kWanMac, inner));
    CHECK(b.gw.take_port(kWan).empty());
    CHECK(b.gw.drops(Drop::no_sa) == 1);

    ipsec::Spd everything = make_spd();
    everything.policies[0].local = {{.range = net::AddressRange::all(net::Family::v4)}};
    everything.policies[0].remote = {{.range = net::AddressRange::all(net::Family::v4)}};
    REQUIRE(b.gw.backend().set_policies(everything));
    const ByteVec ike =
        ethernet(kPeerMac, kWanMac, udp_packet({.source = "192.0.2.1", .destination = "192.0.2.2"}, 500, 500, 9));
    b.gw.from_host(kWan, ike);
    CHECK(b.gw.take_port(kWan) == std::vector<ByteVec>{ike});
    b.gw.from_host(kWan, bypass);
    CHECK(b.gw.take_port(kWan).empty());
}

TEST_CASE(
    "TRAPS 49: a source port of 500 opens nothing to us, and a destination port of 500 lets nothing of ours out") {
    Bench b;
    b.gw.from_port(
        kWan, ethernet(kWanMac, kPeerMac, udp_packet({.source = "10.2.0.20", .destination = "10.1.0.1"}, 500, 22, 40)));
    CHECK(b.gw.drops(Drop::clear_in_protected) == 1);
    b.gw.from_host(
        kWan, ethernet(kPeerMac, kWanMac, udp_packet({.source = "10.1.0.1", .destination = "10.2.0.20"}, 22, 500, 40)));
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    CHECK(b.peer.open(out[0], 1).has_value());
}

TEST_CASE("TRAPS 40: the kernel is told what fits, by an address that is not its own") {
    Bench b;
    Ip ip{.source = "10.1.0.1", .destination = "10.2.0.20"};
    ip.dont_fragment = true;
    b.gw.from_host(kWan, ethernet(kPeerMac, kWanMac, udp_packet(ip, 7, 8, 1470)));
    const auto told = b.gw.take_host(kWan);
    REQUIRE(told.size() == 1);
    const Bytes packet = Bytes(told[0]).subspan(14);
    const net::Packet p = net::parse_packet(packet);
    REQUIRE(p.ok());
    CHECK(net::source_address(p, packet).to_string() == "10.2.0.20");
    CHECK(net::destination_address(p, packet).to_string() == "10.1.0.1");
    CHECK(packet[p.header_size] == 3);
    CHECK(packet[p.header_size + 1] == 4);
    CHECK(b.gw.drops(Drop::too_big) == 1);
}

TEST_CASE("a decrypted packet for one of our addresses goes to the kernel behind the port that has it") {
    Bench b;
    const ByteVec inner = udp_packet({.source = "10.2.0.20", .destination = "10.1.0.1"}, 1, 2, 3);
    b.gw.from_port(kWan, b.peer.seal(inner));
    const auto host = b.gw.take_host(kLan);
    REQUIRE(host.size() == 1);
    CHECK(ip_of(host[0]) == inner);
    CHECK(std::equal(kLanMac.bytes.begin(), kLanMac.bytes.end(), host[0].begin()));
}

TEST_CASE("RFC 4301 5.2: a decrypted packet that is routed on meets the outbound SPD, so spokes reach each other") {
    Gateway gw;
    const ipsec::ChildSa one = make_child();
    ipsec::ChildSa two = make_child({.id = 2, .policy = PolicyId{2}});
    two.local_ts = {{.range = net::AddressRange::of(*net::Prefix::parse("10.2.0.0/16"))}};
    two.remote_ts = {{.range = net::AddressRange::of(*net::Prefix::parse("10.3.0.0/16"))}};
    ipsec::ChildSa hub = one;
    hub.local_ts.push_back({.range = net::AddressRange::of(*net::Prefix::parse("10.3.0.0/16"))});
    ipsec::Spd spd = make_spd();
    spd.policies.push_back(spd.policies[0]);
    spd.policies[1].id = PolicyId{2};
    spd.policies[1].local = two.local_ts;
    spd.policies[1].remote = two.remote_ts;
    REQUIRE(gw.backend().set_policies(spd));
    REQUIRE(gw.backend().install(hub));
    REQUIRE(gw.backend().install(two));
    Ip ip{.source = "10.2.0.20", .destination = "10.3.0.1"};
    gw.from_port(kWan, Peer(hub).seal(udp_packet(ip, 1, 2, 3)));
    const auto out = gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    ip.ttl = 63;
    CHECK(Peer(two).open(out[0], 1) == udp_packet(ip, 1, 2, 3));
}

TEST_CASE("TRAPS 54: a trapped policy without an SA raises one Acquire a second with the packet, and sends nothing") {
    Bench b({}, {}, true);
    REQUIRE(b.gw.backend().remove(b.child.id));
    for (int i = 0; i < 10; ++i) b.gw.from_port(kLan, lan_frame(kOut));
    auto acquires = events_of<ipsec::Acquire>(b.gw);
    REQUIRE(acquires.size() == 1);
    CHECK(acquires[0].policy == PolicyId{1});
    CHECK(acquires[0].packet.source.to_string() == "10.1.0.10");
    CHECK(acquires[0].packet.destination.to_string() == "10.2.0.20");
    CHECK(acquires[0].packet.protocol == 17);
    CHECK(acquires[0].packet.source_port == 1000);
    CHECK(acquires[0].packet.destination_port == 2000);
    b.gw.advance_seconds(2);
    b.gw.from_port(kLan, lan_frame(kOut));
    CHECK(events_of<ipsec::Acquire>(b.gw).size() == 1);
    CHECK(b.gw.take_port(kWan).empty());
    CHECK(b.gw.drops(Drop::no_sa) == 11);
}

TEST_CASE("TRAPS 17: an SA without its outbound half ready opens, and sends only once enabled") {
    Bench b;
    REQUIRE(b.gw.backend().remove(b.child.id));
    b.child.outbound_ready = false;
    REQUIRE(b.gw.backend().install(b.child));
    b.gw.from_port(kLan, lan_frame(kOut));
    CHECK(b.gw.drops(Drop::no_sa) == 1);
    b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 3)));
    CHECK(b.gw.take_port(kLan).size() == 1);
    REQUIRE(b.gw.backend().enable_outbound(b.child.id));
    b.gw.from_port(kLan, lan_frame(kOut));
    CHECK(b.gw.take_port(kWan).size() == 1);
}

TEST_CASE("the newest SA that covers a packet carries it, and an older one what the newest was not narrowed to") {
    Bench b;
    ipsec::ChildSa narrow = make_child({.id = 2});
    narrow.remote_ts = {{.range = net::AddressRange::of(*net::Prefix::parse("10.2.0.20/32"))}};
    REQUIRE(b.gw.backend().install(narrow));
    b.gw.from_port(kLan, lan_frame(kOut));
    b.gw.from_port(kLan, lan_frame({.source = "10.1.0.10", .destination = "10.2.0.21"}));
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 2);
    CHECK(Peer(narrow).open(out[0], 1).has_value());
    CHECK(b.peer.open(out[1], 1).has_value());
}

TEST_CASE("an SA of its own policy carries and protects what its selectors say, and a bypass policy goes before it") {
    Gateway gw;
    const ipsec::ChildSa road = make_child({.policy = PolicyId{0}});
    REQUIRE(gw.backend().install(road));
    gw.from_port(kLan, lan_frame(kOut));
    CHECK(gw.take_port(kWan).size() == 1);
    gw.from_port(kWan, ethernet(kWanMac, kPeerMac, udp_packet(kIn, 1, 2, 3)));
    CHECK(gw.drops(Drop::clear_in_protected) == 1);
    ipsec::Spd spd = make_spd();
    spd.policies[0].action = ipsec::PolicyAction::bypass;
    REQUIRE(gw.backend().set_policies(spd));
    gw.from_port(kLan, lan_frame(kOut));
    const auto clear = gw.take_port(kWan);
    REQUIRE(clear.size() == 1);
    CHECK(clear[0][14 + 9] == 17);
}

TEST_CASE("TRAPS 53: what came before the keys is opened, in order, once the SA is installed") {
    Bench b;
    REQUIRE(b.gw.backend().remove(b.child.id));
    REQUIRE(b.gw.backend().reserve(b.child.inbound.spi));
    for (int i = 0; i < 16; ++i)
        b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, static_cast<std::uint16_t>(i), 2, 3)));
    CHECK(b.gw.take_port(kLan).empty());
    REQUIRE(b.gw.backend().install(b.child));
    b.gw.settle();
    const auto out = b.gw.take_port(kLan);
    REQUIRE(out.size() == 16);
    for (std::size_t i = 0; i < 16; ++i) CHECK(out[i][14 + 20 + 1] == i);
    CHECK(b.gw.all_drops() == 0);
}

TEST_CASE("TRAPS 53: a released SPI lets its packets go by name") {
    Bench b;
    REQUIRE(b.gw.backend().remove(b.child.id));
    REQUIRE(b.gw.backend().reserve(b.child.inbound.spi));
    b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 3)));
    b.gw.backend().release(b.child.inbound.spi);
    b.gw.settle();
    CHECK(b.gw.drops(Drop::unknown_spi) == 1);
}

TEST_CASE("TRAPS 57: a missing neighbour is asked for once, its packets wait and go when it is there") {
    Bench b;
    const Ip ip{.source = "10.1.0.10", .destination = "192.0.2.77"};
    for (int i = 0; i < 3; ++i) b.gw.from_port(kLan, lan_frame(ip));
    const auto wanted = b.gw.backend().poll_neighbours();
    REQUIRE(wanted.size() == 1);
    CHECK(wanted[0].missing);
    CHECK(wanted[0].address.to_string() == "192.0.2.77");
    CHECK(wanted[0].port == kWan);
    const dataplane::Neighbour found{wanted[0].address, kAliceMac, kWan};
    REQUIRE(b.gw.tables().neighbours.set(found));
    b.gw.backend().release_neighbour(found);
    b.gw.settle();
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 3);
    CHECK(std::equal(kAliceMac.bytes.begin(), kAliceMac.bytes.end(), out[0].begin()));
    const auto used = b.gw.tables().neighbours.take_used();
    REQUIRE(used.size() == 1);
    CHECK_FALSE(used[0].missing);
    CHECK(b.gw.tables().neighbours.take_used().empty());
}

TEST_CASE("TRAPS 24: an encapsulated SA reports a new source once, and only from the newest packet that verified") {
    Bench b({}, {.encap = true});
    b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 3), 10));
    CHECK(events_of<ipsec::EndpointChanged>(b.gw).empty());
    ipsec::ChildSa moved = b.child;
    moved.remote = {*net::IpAddress::parse("192.0.2.99"), 61234};
    Peer other(moved);
    ByteVec forged = other.seal(udp_packet(kIn, 1, 2, 3), 20);
    forged.back() ^= 1;
    b.gw.from_port(kWan, forged);
    b.gw.from_port(kWan, other.seal(udp_packet(kIn, 1, 2, 3), 5));  // verified, but old
    CHECK(events_of<ipsec::EndpointChanged>(b.gw).empty());
    b.gw.from_port(kWan, other.seal(udp_packet(kIn, 1, 2, 3), 11));
    b.gw.from_port(kWan, other.seal(udp_packet(kIn, 1, 2, 3), 12));
    const auto changed = events_of<ipsec::EndpointChanged>(b.gw);
    REQUIRE(changed.size() == 1);
    CHECK(changed[0].child == b.child.id);
    CHECK(changed[0].remote.to_string() == "192.0.2.99[61234]");

    REQUIRE(b.gw.backend().update_endpoints(b.child.id, b.child.local, changed[0].remote, true));
    REQUIRE(b.gw.tables().neighbours.set({changed[0].remote.address, kPeerMac, kWan}));
    b.gw.settle();
    b.gw.from_port(kLan, lan_frame(kOut));
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    const auto ip = net::load<net::Ipv4Header>(Bytes(out[0]).subspan(14));
    CHECK(net::IpAddress::v4(ip.destination).to_string() == "192.0.2.99");
    CHECK(net::load<net::UdpHeader>(Bytes(out[0]).subspan(34)).destination_port.host() == 61234);
    CHECK(b.peer.open(out[0], 1).has_value());
}

TEST_CASE("RFC 7296 2.23: ESP in UDP is opened also where no NAT was detected") {
    Bench b;
    ipsec::ChildSa in_udp = b.child;
    in_udp.encap = true;
    in_udp.local.port = in_udp.remote.port = 4500;
    b.gw.from_port(kWan, Peer(in_udp).seal(udp_packet(kIn, 1, 2, 3)));
    CHECK(b.gw.take_port(kLan).size() == 1);
    CHECK(b.gw.all_drops() == 0);
}

TEST_CASE("TRAPS 14: a UDP length on the NAT port covers its header and stays inside its packet") {
    Bench b({}, {.encap = true});
    for (const Byte length : {Byte{7}, Byte{17}, Byte{255}}) {
        ByteVec udp = {0x11, 0x94, 0x11, 0x94, 0, length, 0, 0};
        udp.resize(16, 0x55);
        b.gw.from_port(
            kWan, ethernet(kWanMac, kPeerMac, ip_packet({.source = "192.0.2.2", .destination = "192.0.2.1"}, 17, udp)));
    }
    CHECK(b.gw.drops(Drop::malformed) == 3);
    CHECK(b.gw.all_drops() == 3);
}

TEST_CASE("TRAPS 37: soft and hard limits are told once each, by packets and by bytes") {
    for (const bool by_bytes : {false, true}) {
        CAPTURE(by_bytes);
        Bench b;
        REQUIRE(b.gw.backend().remove(b.child.id));
        const std::size_t inner = 20 + 8 + 64;
        (by_bytes ? b.child.lifetime.soft_bytes : b.child.lifetime.soft_packets) = by_bytes ? 3 * inner : 3;
        (by_bytes ? b.child.lifetime.hard_bytes : b.child.lifetime.hard_packets) = by_bytes ? 5 * inner : 5;
        REQUIRE(b.gw.backend().install(b.child));
        std::vector<std::pair<int, bool>> told;
        for (int i = 1; i <= 8; ++i) {
            b.gw.from_port(kLan, lan_frame(kOut));
            for (const auto& e : events_of<ipsec::Expire>(b.gw)) told.emplace_back(i, e.hard);
        }
        CHECK(told == std::vector<std::pair<int, bool>>{{3, false}, {5, true}});
        CHECK(b.gw.take_port(kWan).size() == 5);
        CHECK(b.gw.drops(Drop::lifetime) == 3);
    }
}

TEST_CASE("TRAPS 35: half of the sequence space or of the IVs asks for a rekey, the end stops the SA") {
    Bench b;
    auto& sa = b.gw.outbound(b.child);
    sa.sequence = esp::OutboundSequence(false, Seq{0x7fffffff});
    sa.sequence.reserve(Seq{0xffffffff});
    b.gw.from_port(kLan, lan_frame(kOut));
    auto told = events_of<ipsec::Expire>(b.gw);
    REQUIRE(told.size() == 1);
    CHECK_FALSE(told[0].hard);
    sa.sequence = esp::OutboundSequence(false, Seq{0xfffffffe});
    sa.sequence.reserve(Seq{0xffffffff});
    b.gw.from_port(kLan, lan_frame(kOut));
    CHECK(b.gw.take_port(kWan).size() == 2);
    b.gw.from_port(kLan, lan_frame(kOut));
    CHECK(b.gw.take_port(kWan).empty());
    told = events_of<ipsec::Expire>(b.gw);
    REQUIRE(told.size() == 1);
    CHECK(told[0].hard);
}

TEST_CASE("query() counts inner bytes, packets and the highest number of both halves") {
    Bench b;
    b.gw.from_port(kLan, lan_frame(kOut, 100));
    b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 30), 9));
    const auto c = b.gw.backend().query(b.child.id);
    REQUIRE(c);
    CHECK(c->outbound.packets == 1);
    CHECK(c->outbound.bytes == 128);
    CHECK(c->outbound.highest == Seq{1});
    CHECK(c->inbound.packets == 1);
    CHECK(c->inbound.bytes == 58);
    CHECK(c->inbound.highest == Seq{9});
    CHECK_FALSE(b.gw.backend().query(ChildSaId{99}));
}

TEST_CASE("TRAPS 45: a chained frame is sealed as one packet") {
    Bench b;
    b.gw.from_port_chained(kLan, lan_frame(kOut, 700), 5);
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    Ip expected = kOut;
    expected.ttl = 63;
    CHECK(b.peer.open(out[0], 1) == udp_packet(expected, 1000, 2000, 700));
}

TEST_CASE("checksums that were left to a NIC are finished before a packet is sealed") {
    Bench b(Shape{.unfinished_checksums = true});
    ByteVec packet = udp_packet(kOut, 1000, 2000, 50);
    const ByteVec whole = packet;
    const net::Packet p = net::parse_packet(packet);
    net::store(MutBytes(packet).subspan(26),
               Be16::of_raw(net::pseudo_header_sum(net::pseudo_header(p, packet)).folded()));
    REQUIRE(packet != whole);
    b.gw.from_port(kLan, ethernet(kLanMac, kAliceMac, packet));
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    Ip expected = kOut;
    expected.ttl = 63;
    CHECK(b.peer.open(out[0], 1) == udp_packet(expected, 1000, 2000, 50));
}

TEST_CASE("install refuses by name what workers do not carry") {
    Gateway gw;
    ipsec::ChildSa c = make_child();
    c.inbound.keys.encr = crypto::Encr{3};  // 3DES
    CHECK(gw.backend().install(c).error().code == ErrorCode::unsupported);
    c = make_child();
    c.outbound.keys.encr_key = SecretBytes(7);
    CHECK(gw.backend().install(c).error().code == ErrorCode::invalid);
    c = make_child();
    c.inbound.spi = Spi{255};
    CHECK(gw.backend().install(c).error().code == ErrorCode::invalid);
    REQUIRE(gw.backend().install(make_child()));
    CHECK(gw.backend().install(make_child()).error().code == ErrorCode::conflict);
    c = make_child({.id = 2});
    c.inbound.spi = make_child().inbound.spi;
    CHECK(gw.backend().install(c).error().code == ErrorCode::conflict);
    CHECK(gw.backend().reserve(c.inbound.spi).error().code == ErrorCode::conflict);
    CHECK(gw.backend().remove(ChildSaId{77}).error().code == ErrorCode::not_found);
}
