// SPDX-License-Identifier: Apache-2.0
// Transport mode (RFC 4303 3.1.1, RFC 4301 4.1 and 5.2, RFC 3948 3.1).
#include <catch2/catch.hpp>

#include "lib/net/checksum.hpp"
#include "tests/unit/dataplane/transport_fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using dataplane::Drop;

namespace {

constexpr std::uint8_t kHop = net::kProtocolHopByHop, kOptions = net::kProtocolDestinationOptions;
constexpr std::uint8_t kRouting = net::kProtocolRouting;

struct Head {
    const char* what;
    bool v6;
    std::initializer_list<std::uint8_t> chain;
    bool options;
    std::size_t size;  // in front of ESP
};
const Head kHeads[] = {
    {"IPv4", false, {}, false, 20},
    {"IPv4 with options", false, {}, true, 24},
    {"IPv6", true, {}, false, 40},
    {"hop-by-hop options", true, {kHop}, false, 48},
    {"routing header", true, {kRouting}, false, 48},
    {"hop-by-hop options, options for the router, routing header", true, {kHop, kOptions, kRouting}, false, 64},
    {"destination options, inside", true, {kOptions}, false, 40},
    {"hop-by-hop options outside, destination options inside", true, {kHop, kOptions}, false, 48},
};

ByteVec made(const Head& head, const Ip& ip, std::size_t size) {
    const ByteVec plain = udp_packet(ip, 1000, 2000, size);
    if (head.v6) return with_extensions(plain, head.chain);
    return head.options ? with_ipv4_options(plain) : plain;
}

bool upper_ok(const ByteVec& packet) {
    const net::Packet p = net::parse_packet(packet);
    return p.ok() && net::upper_checksum_ok(net::pseudo_header(p, packet), Bytes(packet).subspan(p.header_size));
}

}  // namespace

TEST_CASE(
    "RFC 4303 3.1.1: every head, plain and in UDP, out and in: the header stays, ESP goes behind what routers read") {
    for (const Head& head : kHeads) {
        for (const bool encap : {false, true}) {
            for (const std::size_t size : {0U, 1U, 7U, 500U, 1300U}) {
                CAPTURE(head.what, encap, size);
                TransportBench b({.v6 = head.v6, .encap = encap});
                const ByteVec out = made(head, ours_to_peer(head.v6), size);
                b.send(out);
                const auto sealed = b.gw.take_port(kWan);
                REQUIRE(sealed.size() == 1);
                CHECK(net::parse_packet(Bytes(sealed[0]).subspan(14)).header_size == head.size);
                CHECK(b.open(sealed[0], 1) == out);
                CHECK(std::equal(kPeerMac.bytes.begin(), kPeerMac.bytes.end(), sealed[0].begin()));

                const ByteVec in = made(head, peer_to_ours(head.v6), size);
                b.gw.from_port(kWan, b.seal(in, head.size));
                const auto delivered = b.gw.take_host(kWan);
                REQUIRE(delivered.size() == 1);
                CHECK(ip_of(delivered[0]) == in);
                CHECK(b.gw.all_drops() == 0);
            }
        }
    }
}

TEST_CASE("transport mode with every suite and ESN") {
    for (const Suite& suite : all_suites()) {
        for (unsigned bits = 0; bits < 4; ++bits) {
            const TransportOptions options{.v6 = (bits & 1) != 0, .suite = suite, .esn = (bits & 2) != 0};
            CAPTURE(suite.name, options.v6, options.esn);
            TransportBench b(options);
            const ByteVec out = udp_packet(ours_to_peer(options.v6), 1, 2, 333);
            b.send(out);
            const auto sealed = b.gw.take_port(kWan);
            REQUIRE(sealed.size() == 1);
            CHECK(b.open(sealed[0], 1) == out);
            const ByteVec in = udp_packet(peer_to_ours(options.v6), 2, 1, 334);
            b.gw.from_port(kWan, b.seal(in, options.v6 ? 40 : 20));
            const auto delivered = b.gw.take_host(kWan);
            REQUIRE(delivered.size() == 1);
            CHECK(ip_of(delivered[0]) == in);
        }
    }
}

TEST_CASE("X1: an SA for TCP port 80 carries nothing else in, whatever its sender put inside") {
    TransportBench b({.protocol = net::kProtocolTcp, .port = 80});
    const auto tcp = [](std::uint16_t port) {
        ByteVec segment(20, 0);
        segment[1] = 9, segment[2] = static_cast<Byte>(port >> 8), segment[3] = static_cast<Byte>(port),
        segment[12] = 0x50;
        return ip_packet(peer_to_ours(false), net::kProtocolTcp, segment);
    };
    b.gw.from_port(kWan, b.seal(tcp(80), 20));
    CHECK(b.gw.take_host(kWan).size() == 1);
    CHECK(b.gw.all_drops() == 0);
    b.gw.from_port(kWan, b.seal(tcp(81), 20));
    CHECK(b.gw.drops(Drop::policy_mismatch) == 1);
    b.gw.from_port(kWan, b.seal(udp_packet(peer_to_ours(false), 9, 80, 12), 20));
    CHECK(b.gw.drops(Drop::policy_mismatch) == 2);
    b.gw.from_port(kWan, b.seal(icmp_echo(peer_to_ours(false), 12), 20));
    CHECK(b.gw.drops(Drop::policy_mismatch) == 3);
    CHECK(b.gw.take_host(kWan).empty());
    CHECK(b.gw.all_drops() == 3);
}

TEST_CASE("TRAPS 25: behind a NAT the checksum inside is computed anew for the addresses that arrived") {
    for (const bool v6 : {false, true}) {
        TransportBench b({.v6 = v6, .encap = true});
        Ip before = peer_to_ours(v6);
        before.source = v6 ? "fd00::77" : "10.77.0.1";
        ByteVec inner = udp_packet(before, 1000, 2000, 99);  // summed over the address in front of the NAT
        const Ip after = peer_to_ours(v6);
        const ByteVec right = udp_packet(after, 1000, 2000, 99);
        std::copy(right.begin(), right.begin() + (v6 ? 40 : 20), inner.begin());
        CHECK_FALSE(upper_ok(inner));
        b.gw.from_port(kWan, b.seal(inner, v6 ? 40 : 20));
        const auto delivered = b.gw.take_host(kWan);
        REQUIRE(delivered.size() == 1);
        CHECK(ip_of(delivered[0]) == right);
        CHECK(upper_ok(ip_of(delivered[0])));
    }
    // Without encapsulation there was no NAT, and a wrong checksum stays wrong.
    TransportBench plain;
    ByteVec wrong = udp_packet(peer_to_ours(false), 1, 2, 9);
    wrong[26] ^= 1;
    plain.gw.from_port(kWan, plain.seal(wrong, 20));
    const auto delivered = plain.gw.take_host(kWan);
    REQUIRE(delivered.size() == 1);
    CHECK(ip_of(delivered[0]) == wrong);
}

TEST_CASE("RFC 4303 3.3.4: what the kernel has cut is put together, sealed whole, and cut afterwards") {
    for (const bool v6 : {false, true}) {
        CAPTURE(v6);
        TransportBench b({.v6 = v6, .protocol = net::kProtocolUdp, .port = 1000});
        const ByteVec whole = udp_packet(ours_to_peer(v6), 1000, 2000, 4000);
        for (const ByteVec& piece : fragments_of(whole, 1480)) b.send(piece);
        const auto out = b.gw.take_port(kWan);
        REQUIRE(out.size() == 3);
        ByteVec joined = out[0];
        for (std::size_t i = 1; i < out.size(); ++i)
            joined.insert(joined.end(), out[i].begin() + 14 + (v6 ? 48 : 20), out[i].end());
        for (const ByteVec& f : out) CHECK(f.size() <= 1514);
        ByteVec packet(joined.begin() + 14, joined.end());
        if (v6) packet.erase(packet.begin() + 40, packet.begin() + 48);
        net::rewrite_ip(packet, {.offset = 0, .named_at = v6 ? 6U : 9U, .protocol = 0}, net::kProtocolEsp);
        if (!v6) packet[6] = packet[7] = 0, net::set_ipv4_checksum(MutBytes(packet).first(20));
        const auto opened = b.open(ethernet(kPeerMac, kWanMac, packet), 1);
        REQUIRE(opened.has_value());
        CHECK(Bytes(*opened).subspan(v6 ? 40 : 20).size() == 4008);
        CHECK(std::equal(opened->begin() + (v6 ? 40 : 20), opened->end(), whole.begin() + (v6 ? 40 : 20)));
        CHECK(b.gw.all_drops() == 0);
    }
}

TEST_CASE("RFC 8200 4.5: a transport-mode packet is cut behind the headers that every router reads") {
    TransportBench b({.v6 = true}, Shape{.wan_mtu = 1280});
    const ByteVec packet = with_extensions(udp_packet(ours_to_peer(true), 1, 2, 1210), {kHop});
    b.send(packet);
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 2);
    for (const ByteVec& f : out) {
        CHECK(f.size() <= 1280 + 14);
        CHECK(f[14 + 6] == kHop);
        CHECK(f[14 + 40] == net::kProtocolFragment);
        CHECK(f[14 + 48] == net::kProtocolEsp);
        const net::Packet p = net::parse_packet(Bytes(f).subspan(14));
        CHECK(p.ok());
        CHECK(p.header_size == 56);
    }
}

TEST_CASE("TRAPS 40: the kernel is told what fits in transport mode, and exactly that fits") {
    for (const Head& head : kHeads) {
        for (const bool encap : {false, true}) {
            CAPTURE(head.what, encap);
            TransportBench b({.v6 = head.v6, .encap = encap});
            Ip ip = ours_to_peer(head.v6);
            ip.dont_fragment = true;
            const std::size_t headers = made(head, ip, 0).size();
            b.send(made(head, ip, 1500 - headers));
            CHECK(b.gw.take_port(kWan).empty());
            const auto told = b.gw.take_host(kWan);
            REQUIRE(told.size() == 1);
            const ByteVec error = ip_of(told[0]);
            const net::Packet p = net::parse_packet(error);
            REQUIRE(p.ok());
            const std::size_t mtu =
                net::load<net::IcmpHeader>(Bytes(error).subspan(p.header_size)).rest.host() & 0xffff;
            b.send(made(head, ip, mtu - headers));
            const auto fits = b.gw.take_port(kWan);
            REQUIRE(fits.size() == 1);
            CHECK(fits[0].size() <= 1514);
            CHECK(fits[0].size() > 1514 - 4);
            b.send(made(head, ip, mtu - headers + 1));
            CHECK(b.gw.take_port(kWan).empty());
            CHECK(b.gw.drops(Drop::too_big) == 2);
        }
    }
}

TEST_CASE("transport mode is refused where it would be more than two hosts") {
    Gateway gw;
    ipsec::ChildSa c = transport_child({});
    c.remote_ts = make_child().remote_ts;
    CHECK(gw.backend().install(c).error().code == ErrorCode::invalid);
    c = transport_child({});
    c.local_ts[0].range.first = *net::IpAddress::parse("192.0.2.0");
    CHECK(gw.backend().install(c).error().code == ErrorCode::invalid);
    c = transport_child({});
    c.rules.tfc_padding = 100;
    CHECK(gw.backend().install(c).error().code == ErrorCode::invalid);
    c = transport_child({});
    REQUIRE(gw.backend().install(c));
    net::Endpoint moved = c.remote;
    moved.address = *net::IpAddress::parse("192.0.2.9");
    CHECK(gw.backend().update_endpoints(c.id, c.local, moved, false).error().code == ErrorCode::unsupported);
    CHECK(gw.backend().update_endpoints(c.id, c.local, c.remote, true));
}
