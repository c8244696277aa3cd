// SPDX-License-Identifier: Apache-2.0
// What an SA's rules do to its packets: TFC padding, MSS, DSCP, marks; and ECN, every cell in both modes.
#include <catch2/catch.hpp>

#include "lib/net/checksum.hpp"
#include "lib/net/packet.hpp"
#include "tests/unit/dataplane/drop_fixture.hpp"
#include "tests/unit/dataplane/transport_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

const Ip kOut6{.source = "fd01::10", .destination = "fd02::20"};
const Ip kIn6{.source = "fd02::20", .destination = "fd01::10"};

// A Bench whose SA has these rules.
struct Ruled : Bench {
    explicit Ruled(const ipsec::PacketRules& rules, const Shape& shape = {}, const ChildOptions& options = {})
        : Bench(shape, options) {
        child.rules = rules;
        reinstall();
    }
    ByteVec sealed(const ByteVec& packet) {
        gw.from_port(kLan, ethernet(kLanMac, kAliceMac, packet));
        const auto out = gw.take_port(kWan);
        REQUIRE(out.size() == 1);
        return out[0];
    }
    ByteVec opened(const ByteVec& packet, std::uint8_t outer_tos = 0) {
        gw.from_port(kWan, peer.seal(packet, 0, 0, outer_tos));
        const auto out = gw.take_port(kLan);
        REQUIRE(out.size() == 1);
        return ip_of(out[0]);
    }
};

std::uint16_t mss_of(const ByteVec& packet) {
    const net::Packet p = net::parse_packet(packet);
    REQUIRE(p.ok());
    CHECK(net::upper_checksum_ok(net::pseudo_header(p, packet), Bytes(packet).subspan(p.header_size)));
    return net::load<Be16>(Bytes(packet).subspan(p.header_size + 22U)).host();
}

std::uint8_t outer_tos(const ByteVec& frame) { return net::parse_packet(Bytes(frame).subspan(14)).tos; }

}  // namespace

TEST_CASE("RFC 4303 2.7: TFC padding makes packets of one size, and the inner length cuts it off") {
    for (const bool v6 : {false, true}) {
        for (const bool outer_v6 : {false, true}) {
            Ruled b({.tfc_padding = 700}, {}, {.outer_v6 = outer_v6});
            Ip ip = v6 ? kOut6 : kOut;
            std::uint64_t seq = 0;
            std::size_t wire = 0;
            for (const std::size_t size : {0U, 1U, 2U, 3U, 64U, 600U, 640U}) {
                CAPTURE(v6, outer_v6, size);
                const ByteVec frame = b.sealed(udp_packet(ip, 1, 2, size));
                if (wire == 0) wire = frame.size();
                CHECK(frame.size() == wire);
                Ip hop = ip;
                hop.ttl = 63;
                CHECK(b.peer.open(frame, ++seq) == udp_packet(hop, 1, 2, size));
            }
            const ByteVec longer = b.sealed(udp_packet(ip, 1, 2, 900));
            CHECK(longer.size() > wire);
            CHECK(b.gw.all_drops() == 0);
            const auto counters = b.gw.backend().query(b.child.id);
            REQUIRE(counters);
            CHECK(counters->outbound.bytes == 8 * (v6 ? 48U : 28U) + 0 + 1 + 2 + 3 + 64 + 600 + 640 + 900);
        }
    }
}

TEST_CASE("tfc_padding = mtu fills every packet to what the path carries, and never makes one that has to be cut") {
    for (const Suite& suite : all_suites()) {
        for (const bool outer_v6 : {false, true}) {
            for (const bool encap : {false, true}) {
                CAPTURE(suite.name, outer_v6, encap);
                Ruled b({.tfc_padding = ipsec::kByPathMtu}, {}, {.suite = suite, .outer_v6 = outer_v6, .encap = encap});
                const std::size_t first = b.sealed(udp_packet(kOut, 1, 2, 0)).size();
                CHECK(first <= 1514);
                CHECK(first > 1514 - 16);
                CHECK(b.sealed(udp_packet(kOut, 1, 2, 1300)).size() == first);
            }
        }
    }
}

TEST_CASE("RFC 4303 2.7: TFC padding of a peer is cut off") {
    Bench b;
    ByteVec padded = udp_packet(kIn, 1, 2, 20);
    padded.resize(padded.size() + 300, 0x5a);
    b.gw.from_port(kWan, b.peer.seal(padded, 0, 4));
    const auto out = b.gw.take_port(kLan);
    REQUIRE(out.size() == 1);
    Ip hop = kIn;
    hop.ttl = 63;
    CHECK(ip_of(out[0]) == udp_packet(hop, 1, 2, 20));
}

TEST_CASE("mss_clamp = auto: a SYN announces what fits the tunnel, either way, and a full segment then does") {
    for (unsigned bits = 0; bits < 8; ++bits) {
        const bool v6 = (bits & 1) != 0;
        const ChildOptions options{.outer_v6 = (bits & 2) != 0, .encap = (bits & 4) != 0};
        CAPTURE(v6, options.outer_v6, options.encap);
        Ruled b({.mss_clamp = ipsec::kByPathMtu}, {}, options);
        const auto syn = b.peer.open(b.sealed(tcp_syn(v6 ? kOut6 : kOut, 1460)), 1);
        REQUIRE(syn);
        const std::uint16_t out = mss_of(*syn);
        const std::uint16_t in = mss_of(b.opened(tcp_syn(v6 ? kIn6 : kIn, 1460)));
        CHECK(out == in);
        const std::size_t headers = v6 ? 60 : 40;
        Ip full = v6 ? kOut6 : kOut;
        full.dont_fragment = true;
        b.sealed(udp_packet(full, 1, 2, out + headers - (v6 ? 48 : 28)));
        CHECK(b.gw.counter(&dataplane::WorkerCounters::mss_clamped) == 2);
        CHECK(b.gw.all_drops() == 0);
        CHECK(mss_of(b.opened(tcp_syn(v6 ? kIn6 : kIn, 500))) == 500);
        CHECK(b.gw.counter(&dataplane::WorkerCounters::mss_clamped) == 2);
    }
}

TEST_CASE("mss_clamp = bytes holds for both ways, and without it nothing is touched") {
    Ruled b({.mss_clamp = 1200});
    CHECK(mss_of(*b.peer.open(b.sealed(tcp_syn(kOut, 1460)), 1)) == 1200);
    CHECK(mss_of(b.opened(tcp_syn(kIn, 1460))) == 1200);
    CHECK(mss_of(b.opened(tcp_syn(kIn, 1199))) == 1199);
    Ruled off(ipsec::PacketRules{});
    CHECK(mss_of(*off.peer.open(off.sealed(tcp_syn(kOut, 1460)), 1)) == 1460);
    CHECK(mss_of(off.opened(tcp_syn(kIn, 1460))) == 1460);
}

TEST_CASE("mss_clamp in transport mode is what fits behind the packet's own headers") {
    for (const bool v6 : {false, true}) {
        TransportBench b({.v6 = v6, .encap = v6});
        b.child.rules.mss_clamp = ipsec::kByPathMtu;
        REQUIRE(b.gw.backend().remove(b.child.id));
        REQUIRE(b.gw.backend().install(b.child));
        b.send(tcp_syn(ours_to_peer(v6), 1460));
        const auto out = b.gw.take_port(kWan);
        REQUIRE(out.size() == 1);
        const std::uint16_t mss = mss_of(*b.open(out[0], 1));
        b.gw.from_port(kWan, b.seal(tcp_syn(peer_to_ours(v6), 1460), v6 ? 40 : 20));
        const auto in = b.gw.take_host(kWan);
        REQUIRE(in.size() == 1);
        CHECK(mss_of(ip_of(in[0])) == mss);
        Ip full = ours_to_peer(v6);
        full.dont_fragment = true;
        b.send(udp_packet(full, 1, 2, mss + 20U - 8U));
        CHECK(b.gw.take_port(kWan).size() == 1);
        b.send(udp_packet(full, 1, 2, mss + 20U - 8U + 4U));
        CHECK(b.gw.take_port(kWan).empty());
    }
}

TEST_CASE("TRAPS 39: dscp = N stands on every outer header, whatever is inside and whatever copy_dscp says") {
    for (const bool outer_v6 : {false, true}) {
        for (const auto copy : {ipsec::CopyDscp::both, ipsec::CopyDscp::out, ipsec::CopyDscp::none}) {
            Ruled b({.dscp = 46}, {}, {.outer_v6 = outer_v6});
            b.child.dscp = copy;
            b.reinstall();
            for (const int tos : {0x00, 0x28, 0x2a, 0xff}) {
                Ip ip = kOut;
                ip.tos = static_cast<std::uint8_t>(tos);
                CHECK(outer_tos(b.sealed(udp_packet(ip, 1, 2, 3))) == (46 << 2 | (tos & 3)));
            }
        }
    }
    Ruled zero({.dscp = 0});
    Ip ip = kOut;
    ip.tos = 0xb8;
    CHECK(outer_tos(zero.sealed(udp_packet(ip, 1, 2, 3))) == 0);
}

TEST_CASE(
    "TRAPS 39: RFC 6040 through the worker: every inner and outer ECN, IPv4 and IPv6, normal and compatibility mode") {
    struct Row {
        std::uint8_t inner;
        int by_outer[4];  // by the bits of the outer field: Not-ECT, ECT(1), ECT(0), CE; -1: dropped
    };
    // Figure 4, with the columns in the order of the bits.
    const Row rows[] = {{0, {0, 0, 0, -1}}, {1, {1, 1, 1, 3}}, {2, {2, 1, 2, 3}}, {3, {3, 3, 3, 3}}};
    for (const bool normal : {true, false}) {
        for (const bool v6 : {false, true}) {
            for (const bool outer_v6 : {false, true}) {
                Bench b({}, {.outer_v6 = outer_v6});
                b.child.copy_ecn = normal;
                b.reinstall();
                std::uint64_t dropped = 0;
                for (const Row& row : rows) {
                    for (std::uint8_t outer = 0; outer < 4; ++outer) {
                        CAPTURE(normal, v6, outer_v6, static_cast<int>(row.inner), static_cast<int>(outer));
                        Ip ip = v6 ? kIn6 : kIn;
                        ip.tos = static_cast<std::uint8_t>(0xb8 | row.inner);
                        b.gw.from_port(kWan, b.peer.seal(udp_packet(ip, 1, 2, 3), 0, 0, outer));
                        const auto out = b.gw.take_port(kLan);
                        const int expected = row.by_outer[outer];
                        dropped += expected < 0;
                        CHECK(b.gw.drops(Drop::ecn_illegal) == dropped);
                        REQUIRE(out.size() == (expected < 0 ? 0 : 1));
                        if (expected >= 0) CHECK(outer_tos(out[0]) == (0xb8 | expected));
                    }
                    Ip ip = v6 ? kOut6 : kOut;
                    ip.tos = static_cast<std::uint8_t>(0x28 | row.inner);
                    b.gw.from_port(kLan, ethernet(kLanMac, kAliceMac, udp_packet(ip, 1, 2, 3)));
                    const auto sealed = b.gw.take_port(kWan);
                    REQUIRE(sealed.size() == 1);
                    CHECK(outer_tos(sealed[0]) == (0x28 | (normal ? row.inner : 0)));
                }
            }
        }
    }
}

TEST_CASE("X6: a mark after decryption and one after encryption, with masks, choose the DSCP at the port") {
    const std::vector<dataplane::TrafficClass> classes = {{{0x10, 0xf0}, 46}, {{0x300, 0xf00}, 8}};
    Shape shape;
    shape.classes = classes;
    Ruled b({.mark_in = {0x10, 0xff}, .mark_out = {0x300, 0xf00}}, shape);
    Ip ip = kIn;
    ip.tos = 0x2a;
    CHECK(b.opened(udp_packet(ip, 1, 2, 3))[1] == (46 << 2 | 2));
    ip = kOut;
    ip.tos = 0x29;
    const ByteVec frame = b.sealed(udp_packet(ip, 1, 2, 3));
    CHECK(outer_tos(frame) == (8 << 2 | 1));
    CHECK(net::ipv4_checksum_ok(Bytes(frame).subspan(14, 20)));
    ip.ttl = 63;
    CHECK(b.peer.open(frame, 1) == udp_packet(ip, 1, 2, 3));  // the inner header is the sender's
    CHECK(b.gw.path().counters().classes[0].get() == 1);
    CHECK(b.gw.path().counters().classes[1].get() == 1);
    // What has no mark is in no class, and neither is a packet in clear behind a marked one.
    b.gw.from_port(kLan,
                   ethernet(kLanMac, kAliceMac,
                            udp_packet({.source = "10.1.0.10", .destination = "198.51.100.7", .tos = 4}, 1, 2, 3)));
    const auto clear = b.gw.take_port(kWan);
    REQUIRE(clear.size() == 1);
    CHECK(outer_tos(clear[0]) == 4);
    CHECK(b.gw.path().counters().classes[0].get() == 1);
}

TEST_CASE("X6: from one tunnel into another a mark goes along, and the second changes the bits of its mask alone") {
    Shape shape;
    shape.classes = {{{0x12, 0xff}, 10}};
    Gateway gw(shape);
    ipsec::ChildSa one = make_child();
    one.local_ts.push_back({.range = net::AddressRange::of(*net::Prefix::parse("10.3.0.0/16"))});
    one.rules.mark_in = {0x11, 0xffffffff};
    ipsec::ChildSa two = make_child({.outer_v6 = true, .id = 2, .policy = PolicyId{2}});
    two.local_ts = {{.range = net::AddressRange::of(*net::Prefix::parse("10.2.0.0/16"))}};
    two.remote_ts = {{.range = net::AddressRange::of(*net::Prefix::parse("10.3.0.0/16"))}};
    two.rules.mark_out = {0x02, 0x0f};
    ipsec::Spd spd = make_spd();
    spd.policies.push_back(spd.policies[0]);
    spd.policies[1].id = PolicyId{2};
    spd.policies[1].local = two.local_ts;
    spd.policies[1].remote = two.remote_ts;
    REQUIRE(gw.backend().set_policies(spd));
    REQUIRE(gw.backend().install(one));
    REQUIRE(gw.backend().install(two));
    gw.from_port(kWan, Peer(one).seal(udp_packet({.source = "10.2.0.20", .destination = "10.3.0.1"}, 1, 2, 3)));
    const auto out = gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    CHECK(outer_tos(out[0]) == 10 << 2);
}
