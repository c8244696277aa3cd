// SPDX-License-Identifier: Apache-2.0
// TRAPS 42: ICMP errors that are about what is inside an SA (RFC 4301 6), and fragments inside (RFC 4301 7).
#include <catch2/catch.hpp>

#include "tests/unit/dataplane/drop_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// Routers that no selector covers: behind the peer, and behind us.
constexpr const char* kFarRouter = "172.16.9.9";
constexpr const char* kNearRouter = "172.16.1.1";

ByteVec lan(const ByteVec& packet) { return ethernet(kLanMac, kAliceMac, packet); }

}  // namespace

TEST_CASE("TRAPS 42: an error from a router behind the peer comes in with the packet that it quotes") {
    Bench b;
    const ByteVec error = icmp_error({.source = kFarRouter, .type = 11, .code = 0}, udp_packet(kOut, 1000, 2000, 64));
    b.gw.from_port(kWan, b.peer.seal(error));
    const auto out = b.gw.take_port(kLan);
    REQUIRE(out.size() == 1);
    CHECK(Bytes(out[0]).subspan(34).size() == Bytes(error).subspan(20).size());
    CHECK(b.gw.all_drops() == 0);
}

TEST_CASE("TRAPS 42: what quotes other traffic, goes elsewhere, or is no error does not come in") {
    const Ip other{.source = "10.1.0.10", .destination = "10.9.0.20"};
    const Ip foreign{.source = "10.8.0.10", .destination = "10.2.0.20"};
    ByteVec elsewhere = icmp_error({.source = kFarRouter, .type = 11, .code = 0}, udp_packet(kOut, 1, 2, 64));
    elsewhere[19] = 11;  // to another host than the one that sent what is quoted
    net::set_ipv4_checksum(MutBytes(elsewhere).first(20));
    const ByteVec packets[] = {
        icmp_error({.source = kFarRouter, .type = 11, .code = 0}, udp_packet(other, 1, 2, 64)),
        icmp_error({.source = kFarRouter, .type = 11, .code = 0}, udp_packet(foreign, 1, 2, 64)),
        icmp_error({.source = kFarRouter, .type = 11, .code = 0}, udp_packet(kIn, 1, 2, 64)),
        icmp_error({.source = kFarRouter, .type = 5, .code = 0}, udp_packet(kOut, 1, 2, 64)),
        icmp_error({.source = kFarRouter, .type = 8, .code = 0}, udp_packet(kOut, 1, 2, 64)),
        icmp_error({.source = kFarRouter, .type = 11, .code = 0, .quoted = 19}, udp_packet(kOut, 1, 2, 64)),
        elsewhere,
    };
    for (const ByteVec& packet : packets) {
        Bench b;
        b.gw.from_port(kWan, b.peer.seal(packet));
        CHECK(b.gw.take_port(kLan).empty());
        CHECK(b.gw.drops(Drop::policy_mismatch) == 1);
    }
    Bench off;
    off.child.rules.icmp = false;
    off.reinstall();
    off.gw.from_port(kWan, off.peer.seal(icmp_error({.source = kFarRouter, .type = 11, .code = 0},
                                                    udp_packet(kOut, 1000, 2000, 64))));
    CHECK(off.gw.drops(Drop::policy_mismatch) == 1);
}

TEST_CASE("TRAPS 42: an error from a router behind us leaves in the SA of the packet that it quotes, never in clear") {
    Bench b;
    const ByteVec error = icmp_error({.source = kNearRouter, .type = 3, .code = 1}, udp_packet(kIn, 2000, 1000, 64));
    b.gw.from_port(kLan, lan(error));
    auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    const auto opened = b.peer.open(out[0], 1);
    REQUIRE(opened);
    CHECK(std::equal(opened->begin() + 20, opened->end(), error.begin() + 20, error.end()));
    CHECK(b.gw.all_drops() == 0);

    // Without the SA, or where its rules forbid, it does not leave at all: what it quotes was inside.
    b.child.rules.icmp = false;
    b.reinstall();
    b.gw.from_port(kLan, lan(error));
    REQUIRE(b.gw.backend().remove(b.child.id));
    b.gw.from_port(kLan, lan(error));
    CHECK(b.gw.take_port(kWan).empty());
    CHECK(b.gw.drops(Drop::error_in_clear) == 2);

    // About what no policy protects it is an ordinary packet.
    const Ip clear{.source = "198.51.100.7", .destination = "10.1.0.10"};
    b.gw.from_port(kLan, lan(icmp_error({.source = kNearRouter, .type = 3, .code = 1}, udp_packet(clear, 1, 2, 3))));
    out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    CHECK(out[0][14 + 9] == net::kProtocolIcmp);
}

namespace {

ipsec::TrafficSelectors with_ports(ipsec::TrafficSelectors list, std::uint16_t from, std::uint16_t to) {
    for (ipsec::TrafficSelector& s : list) {
        s.protocol = net::kProtocolUdp;
        s.start_port = from;
        s.end_port = to;
    }
    return list;
}

// Two policies and SAs for the same hosts: UDP at port 1000 here, and OPAQUE ports.
struct Opaque {
    Opaque() {
        ipsec::Spd spd = make_spd();
        spd.policies.push_back(spd.policies[0]);
        spd.policies[0].local = ports.local_ts = with_ports(ports.local_ts, 1000, 1000);
        spd.policies[0].remote = ports.remote_ts = with_ports(ports.remote_ts, 0, 65535);
        spd.policies[1].id = PolicyId{2};
        spd.policies[1].local = opaque.local_ts = with_ports(opaque.local_ts, 65535, 0);
        spd.policies[1].remote = opaque.remote_ts = with_ports(opaque.remote_ts, 65535, 0);
        REQUIRE(gw.backend().set_policies(spd));
        REQUIRE(gw.backend().install(ports));
        REQUIRE(gw.backend().install(opaque));
    }
    Gateway gw;
    ipsec::ChildSa ports = make_child();
    ipsec::ChildSa opaque = make_child({.id = 2, .policy = PolicyId{2}});
};

}  // namespace

TEST_CASE("RFC 4301 7.2: later fragments go through the SA with OPAQUE ports, first ones through that with theirs") {
    Opaque o;
    const auto out_pieces = fragments_of(udp_packet(kOut, 1000, 2000, 200), 64);
    for (const ByteVec& piece : out_pieces) o.gw.from_port(kLan, lan(piece));
    const auto out = o.gw.take_port(kWan);
    REQUIRE(out.size() == out_pieces.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
        Peer peer(i == 0 ? o.ports : o.opaque);
        CHECK(peer.open(out[i], i == 0 ? 1 : i).has_value());
    }

    Peer first(o.ports), later(o.opaque);
    const auto in_pieces = fragments_of(udp_packet(kIn, 2000, 1000, 200), 64);
    for (std::size_t i = 0; i < in_pieces.size(); ++i)
        o.gw.from_port(kWan, (i == 0 ? first : later).seal(in_pieces[i]));
    CHECK(o.gw.take_port(kLan).size() == in_pieces.size());
    CHECK(o.gw.all_drops() == 0);

    // Each in the other's SA is outside its selectors.
    o.gw.from_port(kWan, first.seal(in_pieces[1]));
    o.gw.from_port(kWan, later.seal(in_pieces[0]));
    CHECK(o.gw.take_port(kLan).empty());
    CHECK(o.gw.drops(Drop::policy_mismatch) == 2);
}

TEST_CASE("RFC 4301 7: a first fragment too short for its ports counts as one whose ports are not seen") {
    Opaque o;
    Ip ip = kOut;
    ip.fragment_field = 0x2000;
    // Eight bytes are the least that a fragment can have: UDP's ports are seen.
    o.gw.from_port(kLan, lan(ip_packet(ip, net::kProtocolUdp, ByteVec{3, 232, 7, 208, 0, 20, 0, 0})));
    auto out = o.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    CHECK(Peer(o.ports).open(out[0], 1).has_value());
    // IPv6: the first fragment ends inside the extension headers in front of UDP (RFC 7112), and is no packet.
    ByteVec v6 = udp_packet({.source = "fd01::10", .destination = "fd02::20"}, 1000, 2000, 64);
    ByteVec piece = fragments_of(v6, 64)[0];
    piece[40] = net::kProtocolDestinationOptions;
    piece[49] = 200;
    o.gw.from_port(kLan, lan(piece));
    CHECK(o.gw.drops(Drop::malformed) == 1);
}
