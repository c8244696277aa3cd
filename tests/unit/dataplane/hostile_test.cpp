// SPDX-License-Identifier: Apache-2.0
// Long runs of broken, cut and mixed packets: nothing is lost track of, nothing leaves twice, no buffer stays behind.
#include <algorithm>
#include <catch2/catch.hpp>
#include <iostream>
#include <random>

#include "lib/net/packet.hpp"
#include "tests/unit/dataplane/drop_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

ByteVec tcp_packet(const Ip& ip) {
    ByteVec tcp(40, 0x11);
    tcp[12] = 0x50;
    return ip_packet(ip, net::kProtocolTcp, tcp);
}

// One of everything that the path tells apart.
std::vector<ByteVec> seeds(Bench& b) {
    std::vector<ByteVec> out;
    const std::vector<Ip> ways = {kOut,
                                  kIn,
                                  {.source = "10.1.0.10", .destination = "10.1.0.1"},
                                  {.source = "10.1.0.10", .destination = "198.51.100.7"},
                                  {.source = "10.1.0.10", .destination = "172.16.0.1"},
                                  {.source = "10.1.0.10", .destination = "192.0.2.77"},
                                  {.source = "10.1.0.10", .destination = "10.2.0.20", .ttl = 1},
                                  {.source = "192.0.2.2", .destination = "192.0.2.1", .fragment_field = 0x2000},
                                  {.source = "192.0.2.2", .destination = "192.0.2.1", .fragment_field = 0x0009},
                                  {.source = "fd01::10", .destination = "fd02::20"},
                                  {.source = "fd01::10", .destination = "fd01::1"},
                                  {.source = "10.1.0.10", .destination = "224.0.0.5"}};
    for (const Ip& ip : ways) {
        out.push_back(udp_packet(ip, 500, 4500, 64));
        out.push_back(udp_packet(ip, 1000, 4500, 1464));
        out.push_back(tcp_packet(ip));
        out.push_back(ip_packet(ip, net::kProtocolEsp, ByteVec(64, 0x42)));
        out.push_back(ip_packet(ip, net::kProtocolFragment, ByteVec(64, 0x3c)));
        out.push_back(ip_packet(ip, net::kProtocolHopByHop, ByteVec(64, 0x00)));
    }
    out.push_back(ip_of(b.peer.seal(udp_packet(kIn, 1, 2, 300))));
    out.push_back(ip_of(b.peer.seal(udp_packet({.source = "10.2.0.20", .destination = "10.1.0.1"}, 1, 2, 300))));
    return out;
}

class Mutator {
  public:
    explicit Mutator(std::uint64_t seed) : random_(seed) {}
    std::size_t below(std::size_t n) { return random_() % n; }
    ByteVec frame(const ByteVec& seed, PortId port) {
        ByteVec ip = seed;
        for (std::size_t n = below(4); n != 0; --n) ip[below(std::min<std::size_t>(ip.size(), 64))] ^= byte();
        if (below(4) == 0) ip.resize(1 + below(ip.size()));
        if (ip[0] >> 4 == 4 && ip.size() >= 60 && below(4) != 0) repair(ip);
        const net::MacAddress& own = port == kLan ? kLanMac : kWanMac;
        const net::MacAddress to = below(8) == 0 ? net::MacAddress{{1, 0, 0x5e, 0, 0, 5}} : own;
        if (below(8) != 0) return ethernet(to, kAliceMac, ip);
        ByteVec tagged = {0, 7, static_cast<Byte>(below(2) == 0 ? 0x08 : 0x86),
                          static_cast<Byte>(below(2) == 0 ? 0 : 0xdd)};
        tagged.insert(tagged.end(), ip.begin(), ip.end());
        return ethernet(to, kAliceMac, net::kEtherVlan, tagged);
    }

  private:
    Byte byte() { return static_cast<Byte>(1 + below(255)); }
    static void repair(ByteVec& ip) {
        net::store(MutBytes(ip).subspan(2), Be16::of(static_cast<std::uint16_t>(ip.size())));
        const std::size_t size = std::size_t{ip[0] & 15U} * 4;
        if (size >= 20) net::set_ipv4_checksum(MutBytes(ip).first(size));
    }
    std::mt19937_64 random_;
};

std::uint64_t taken(Gateway& gw) {
    return gw.take_port(kLan).size() + gw.take_port(kWan).size() + gw.take_host(kLan).size() +
           gw.take_host(kWan).size();
}

}  // namespace

TEST_CASE(
    "TRAPS 31, 41, 45: of a hundred thousand hostile frames each goes one way or is dropped once, and no buffer "
    "stays") {
    const std::uint64_t seed = std::random_device{}();
    std::cout << "hostile: seed " << seed << '\n';
    CAPTURE(seed);
    Mutator mutate(seed);
    Bench b(Shape{.workers = 2});
    const unsigned before = b.gw.in_use();
    const auto all = seeds(b);
    constexpr std::uint64_t kFrames = 100'000;
    std::uint64_t out = 0;
    for (std::uint64_t i = 0; i < kFrames; ++i) {
        const PortId port = mutate.below(2) == 0 ? kLan : kWan;
        const ByteVec frame = mutate.frame(all[mutate.below(all.size())], port);
        mutate.below(4) == 0 ? b.gw.from_host(port, frame) : b.gw.from_port(port, frame);
        out += taken(b.gw);
        if (i % 1024 == 0) b.gw.advance_seconds(1);
    }
    for (int i = 0; i < 200; ++i) {
        b.gw.advance_seconds(1);
        b.gw.settle();
        out += taken(b.gw);
    }
    CHECK(b.gw.in_use() == before);
    using C = dataplane::WorkerCounters;
    const std::uint64_t made = b.gw.counter(&C::icmp_sent) + b.gw.counter(&C::fragments_sent);
    // A packet put together takes the place of its fragments, and pieces that of the packet that was cut.
    const std::uint64_t seen = out + b.gw.all_drops();
    CHECK(seen <= kFrames + made);
    CHECK(seen + b.gw.counter(&C::fragments_received) >= kFrames);
    CHECK(b.gw.counter(&C::handed_over) > 0);
}

TEST_CASE(
    "TRAPS 41: IKE that is larger than a buffer reaches the kernel whole; ESP of that size needs a large buffer") {
    for (unsigned bits = 0; bits < 8; ++bits) {
        const std::uint16_t port = (bits & 1) != 0 ? 500 : 4500;
        const bool marker = (bits & 2) != 0;
        const bool large = (bits & 4) != 0;
        CAPTURE(port, marker, large);
        Gateway gw(Shape{.large_buffers = large});
        ByteVec packet = udp_packet({.source = "192.0.2.2", .destination = "192.0.2.1"}, port, port, 4000);
        if (marker) std::fill_n(packet.begin() + 28, 4, Byte{0});
        for (const ByteVec& piece : fragments_of(packet, 1480)) gw.from_port(kWan, ethernet(kWanMac, kPeerMac, piece));
        const auto host = gw.take_host(kWan);
        const bool ike = port == 500 || marker;
        CHECK(gw.drops(large ? Drop::unknown_spi : Drop::no_room) == (ike ? 0 : 1));
        REQUIRE(host.size() == (ike ? 1U : 0U));
        if (!ike) continue;
        CHECK(ip_of(host[0]) == packet);
    }
}
