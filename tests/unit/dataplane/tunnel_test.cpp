// SPDX-License-Identifier: Apache-2.0
// Outer headers, sizes and fragments (RFC 4301 5.1.2 and 8, RFC 6040, RFC 3948).
#include <catch2/catch.hpp>

#include "lib/esp/layout.hpp"
#include "lib/net/checksum.hpp"
#include "lib/net/packet.hpp"
#include "tests/unit/dataplane/gateway.hpp"

using namespace sluice;
using namespace sluice::test;
using dataplane::Drop;

namespace {

const Ip kOut{.source = "10.1.0.10", .destination = "10.2.0.20"};
const Ip kOut6{.source = "fd01::10", .destination = "fd02::20"};

struct Bench {
    explicit Bench(const Shape& shape = {}, const ChildOptions& options = {}, ipsec::CopyDf df = ipsec::CopyDf::copy)
        : gw(shape), child(make_child(options)) {
        child.df = df;
        REQUIRE(gw.backend().set_policies(make_spd()));
        REQUIRE(gw.backend().install(child));
    }
    void send(const Ip& ip, std::size_t payload) {
        gw.from_port(kLan, ethernet(kLanMac, kAliceMac, udp_packet(ip, 1000, 2000, payload)));
    }
    Gateway gw;
    ipsec::ChildSa child;
    Peer peer{child};
};

// Puts IPv4 or IPv6 fragments (fragment header right behind the IPv6 header) together, trusting their order.
ByteVec join(const std::vector<ByteVec>& frames) {
    ByteVec whole = frames.at(0);
    const bool v6 = whole[14] >> 4 == 6;
    const std::size_t skip = 14 + (v6 ? 48U : 20U);
    for (std::size_t i = 1; i < frames.size(); ++i) {
        whole.insert(whole.end(), frames[i].begin() + static_cast<std::ptrdiff_t>(skip), frames[i].end());
    }
    if (v6) {
        whole[14 + 6] = whole[14 + 40];
        whole.erase(whole.begin() + 54, whole.begin() + 62);
    }
    return whole;
}

}  // namespace

TEST_CASE("TRAPS 39: DSCP, ECN and DF of the outer header follow the SA's rules; the TTL is the gateway's own") {
    for (const auto df : {ipsec::CopyDf::copy, ipsec::CopyDf::set, ipsec::CopyDf::clear}) {
        for (const bool inner_df : {false, true}) {
            Bench b({}, {}, df);
            Ip ip = kOut;
            ip.tos = 0xb9;
            ip.dont_fragment = inner_df;
            b.send(ip, 64);
            const auto out = b.gw.take_port(kWan);
            REQUIRE(out.size() == 1);
            const Bytes packet = Bytes(out[0]).subspan(14);
            const auto outer = net::load<net::Ipv4Header>(packet);
            CHECK(net::ipv4_checksum_ok(packet.first(20)));
            CHECK(outer.tos == 0xb9);
            CHECK(outer.ttl == 64);
            CHECK(outer.protocol == 50);
            CHECK(outer.total_length.host() == packet.size());
            const bool expected = df == ipsec::CopyDf::set || (df == ipsec::CopyDf::copy && inner_df);
            CHECK(outer.dont_fragment() == expected);
        }
    }
}

TEST_CASE("TRAPS 39: congestion seen outside is told inside (RFC 6040 4.2)") {
    Bench b;
    Ip ip{.source = "10.2.0.20", .destination = "10.1.0.10"};
    ip.tos = 2;
    b.gw.from_port(kWan, b.peer.seal(udp_packet(ip, 1, 2, 3), 0, 0, 0xb8 | 3));
    const auto out = b.gw.take_port(kLan);
    REQUIRE(out.size() == 1);
    CHECK(out[0][14 + 1] == 3);
    CHECK(net::ipv4_checksum_ok(Bytes(out[0]).subspan(14, 20)));
}

TEST_CASE("TRAPS 26: UDP checksums are zero over IPv4, right and never zero over IPv6") {
    for (const bool v6 : {false, true}) {
        Bench b({}, {.outer_v6 = v6, .encap = true});
        for (std::size_t i = 0; i < 300; ++i) {
            b.send(kOut, 40 + i);
            const auto out = b.gw.take_port(kWan);
            REQUIRE(out.size() == 1);
            const Bytes packet = Bytes(out[0]).subspan(14);
            const net::Packet p = net::parse_packet(packet);
            REQUIRE(p.ok());
            const auto udp = net::load<net::UdpHeader>(packet.subspan(p.header_size));
            CHECK(udp.length.host() == packet.size() - p.header_size);
            CHECK((udp.checksum.raw() != 0) == v6);
            if (v6) CHECK(net::upper_checksum_ok(net::pseudo_header(p, packet), packet.subspan(p.header_size)));
        }
    }
}

TEST_CASE("TRAPS 40: too big tells the inner source what is left, and exactly that fits") {
    for (unsigned bits = 0; bits < 8; ++bits) {
        const ChildOptions options{.suite = all_suites()[(bits & 1) != 0 ? 6 : 0], .outer_v6 = (bits & 2) != 0};
        const bool inner_v6 = (bits & 4) != 0;
        CAPTURE(options.suite.name, options.outer_v6, inner_v6);
        Bench b({}, options);
        Ip ip = inner_v6 ? kOut6 : kOut;
        ip.dont_fragment = true;
        const std::size_t headers = inner_v6 ? 48 : 28;
        b.send(ip, 1472 - headers + 28);
        CHECK(b.gw.take_port(kWan).empty());
        const auto error = b.gw.take_port(kLan);
        REQUIRE(error.size() == 1);
        const Bytes packet = Bytes(error[0]).subspan(14);
        const net::Packet p = net::parse_packet(packet);
        REQUIRE(p.ok());
        CHECK(net::destination_address(p, packet).to_string() == ip.source);
        CHECK(net::source_address(p, packet).to_string() == (inner_v6 ? "fd01::1" : "10.1.0.1"));
        const auto icmp = net::load<net::IcmpHeader>(packet.subspan(p.header_size));
        CHECK(icmp.type == (inner_v6 ? 2 : 3));
        CHECK(icmp.code == (inner_v6 ? 0 : 4));
        const std::size_t mtu = icmp.rest.host() & 0xffff;
        b.send(ip, mtu - headers);
        const auto fits = b.gw.take_port(kWan);
        REQUIRE(fits.size() == 1);
        CHECK(fits[0].size() - 14 <= 1500);
        b.send(ip, mtu - headers + 1);
        CHECK(b.gw.take_port(kWan).empty());
        CHECK(b.gw.drops(Drop::too_big) == 2);
    }
}

TEST_CASE("RFC 4301 8: what may be cut leaves as fragments of the outer packet") {
    for (const bool outer_v6 : {false, true}) {
        CAPTURE(outer_v6);
        Bench b({}, {.outer_v6 = outer_v6});
        b.send(kOut, 1472);
        const auto out = b.gw.take_port(kWan);
        REQUIRE(out.size() == 2);
        for (const ByteVec& f : out) {
            CHECK(f.size() - 14 <= 1500);
            const net::Packet p = net::parse_packet(Bytes(f).subspan(14));
            CHECK(p.ok());
            CHECK(p.is_fragment());
        }
        Ip expected = kOut;
        expected.ttl = 63;
        CHECK(b.peer.open(join(out), 1) == udp_packet(expected, 1000, 2000, 1472));
    }
}

TEST_CASE("RFC 4301 8: where DF is set outside, the inner packet is cut and each piece sealed") {
    Bench b({}, {}, ipsec::CopyDf::set);
    b.send(kOut, 1472);
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 2);
    std::vector<ByteVec> inner;
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(net::load<net::Ipv4Header>(Bytes(out[i]).subspan(14)).dont_fragment());
        const auto piece = b.peer.open(out[i], i + 1);
        REQUIRE(piece.has_value());
        inner.push_back(ethernet(kLanMac, kPeerMac, *piece));
    }
    const ByteVec whole = join(inner);
    Ip expected = kOut;
    expected.ttl = 63;
    const ByteVec packet = udp_packet(expected, 1000, 2000, 1472);
    CHECK(std::equal(whole.begin() + 34, whole.end(), packet.begin() + 20, packet.end()));
}

TEST_CASE("RFC 791: a packet in clear larger than the next port is cut, each piece whole and right") {
    Bench b(Shape{.wan_mtu = 600});
    Ip ip{.source = "10.1.0.10", .destination = "198.51.100.7"};
    b.send(ip, 1400);
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 3);
    for (const ByteVec& f : out) CHECK(net::parse_packet(Bytes(f).subspan(14)).ok());
    const ByteVec whole = join(out);
    ip.ttl = 63;
    const ByteVec packet = udp_packet(ip, 1000, 2000, 1400);
    CHECK(std::equal(whole.begin() + 34, whole.end(), packet.begin() + 20, packet.end()));
}

TEST_CASE("TRAPS 41: fragments of ESP for us are put together, in any order, plain and in UDP, v4 and v6") {
    for (unsigned bits = 0; bits < 4; ++bits) {
        for (const bool reversed : {false, true}) {
            const ChildOptions options{.outer_v6 = (bits & 1) != 0, .encap = (bits & 2) != 0};
            CAPTURE(options.outer_v6, options.encap, reversed);
            // One gateway cuts, another puts together: the second has the first's keys the other way round.
            Bench cutter(Shape{.wan_mtu = 700}, options);
            cutter.send(kOut, 1200);
            auto pieces = cutter.gw.take_port(kWan);
            REQUIRE(pieces.size() == 2);
            ipsec::ChildSa mirrored = cutter.child;
            std::swap(mirrored.inbound, mirrored.outbound);
            std::swap(mirrored.local, mirrored.remote);
            std::swap(mirrored.local_ts, mirrored.remote_ts);
            mirrored.id = ChildSaId{9};
            Gateway gw;
            dataplane::HostView view = host_view();
            view.addresses.push_back({mirrored.local.address, 0, kWan});
            gw.tables().set_host_view(view);
            REQUIRE(gw.backend().install(mirrored));
            // The inner destination is not ours here: routed to the far side again.
            if (reversed) std::swap(pieces[0], pieces[1]);
            for (ByteVec& f : pieces) {
                std::copy(kWanMac.bytes.begin(), kWanMac.bytes.end(), f.begin());
                gw.from_port(kWan, f);
            }
            CHECK(gw.counter(&dataplane::WorkerCounters::reassembled) == 1);
            CHECK(gw.counter(&dataplane::WorkerCounters::esp_in_packets) == 1);
            CHECK(gw.drops(Drop::reassembly) == 0);
        }
    }
}

TEST_CASE("TRAPS 41: overlapping fragments are never put together") {
    Gateway gw;
    REQUIRE(gw.backend().install(make_child()));
    const auto piece = [](std::uint16_t field, std::size_t size) {
        return ethernet(kWanMac, kPeerMac,
                        ip_packet({.source = "192.0.2.2", .destination = "192.0.2.1", .fragment_field = field}, 50,
                                  ByteVec(size, 0x55)));
    };
    gw.from_port(kWan, piece(0x2000, 64));
    gw.from_port(kWan, piece(0x2004, 64));
    gw.from_port(kWan, piece(0x0008, 64));
    CHECK(gw.counter(&dataplane::WorkerCounters::reassembled) == 0);
    gw.advance_seconds(6);
    gw.settle();
    CHECK(gw.drops(Drop::reassembly) == 3);
}
