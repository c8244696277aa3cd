// SPDX-License-Identifier: Apache-2.0
#include "lib/net/extension.hpp"

#include <catch2/catch.hpp>
#include <initializer_list>

using namespace sluice;
using namespace sluice::net;

namespace {

// An IPv6 packet whose chain is these headers, 8 bytes each, in front of a UDP header.
ByteVec v6_chain(std::initializer_list<std::uint8_t> chain) {
    ByteVec bytes(sizeof(Ipv6Header));
    Ipv6Header ip{};
    ip.version_class_flow = Ipv6Header::make_first_word(0, 0);
    ip.payload_length = Be16::of(static_cast<std::uint16_t>(8 * chain.size() + 8));
    ip.hop_limit = 64;
    std::size_t named_at = 6;
    store(MutBytes(bytes), ip);
    for (const std::uint8_t kind : chain) {
        bytes[named_at] = kind;
        named_at = bytes.size();
        bytes.resize(bytes.size() + 8);
    }
    bytes[named_at] = kProtocolUdp;
    bytes.insert(bytes.end(), {0, 7, 0, 8, 0, 8, 0, 0});
    return bytes;
}

struct Row {
    std::initializer_list<std::uint8_t> chain;
    std::size_t before;  // bytes in front of ESP
    std::uint8_t first;  // what is the first thing inside
};

}  // namespace

TEST_CASE("RFC 4303 3.1.1: ESP stands behind what nodes on the way read, and before options for the last one") {
    constexpr std::uint8_t kHop = kProtocolHopByHop, kOptions = kProtocolDestinationOptions;
    constexpr std::uint8_t kRouting = kProtocolRouting, kFragment = kProtocolFragment;
    const Row rows[] = {
        {{}, 40, kProtocolUdp},
        {{kHop}, 48, kProtocolUdp},
        {{kOptions}, 40, kOptions},
        {{kHop, kOptions}, 48, kOptions},
        {{kOptions, kRouting}, 56, kProtocolUdp},
        {{kHop, kOptions, kRouting, kOptions}, 64, kOptions},
        {{kRouting, kFragment}, 56, kProtocolUdp},
        {{kHop, kOptions, kRouting, kFragment, kOptions}, 72, kOptions},
    };
    for (const Row& row : rows) {
        const ByteVec bytes = v6_chain(row.chain);
        const Packet packet = parse_packet(bytes);
        REQUIRE(packet.ok());
        const HeaderPlace place = transport_place(packet, bytes);
        CHECK(place.offset == row.before);
        CHECK(place.protocol == row.first);
        CHECK(bytes[place.named_at] == row.first);
        CHECK(place.named_at == (row.before == 40 ? 6 : row.before - 8));
        const HeaderPlace upper = upper_place(packet, bytes);
        CHECK(upper.offset == bytes.size() - 8);
        CHECK(upper.protocol == kProtocolUdp);
        CHECK(bytes[upper.named_at] == kProtocolUdp);
    }
}

TEST_CASE("IPv4 options stay in front of ESP, and the header is rewritten whole") {
    ByteVec bytes = *from_hex("4600002000004000401100000a0000010a0000029404000000070008000c0000deadbeef");
    bytes.resize(32);
    set_ipv4_checksum(MutBytes(bytes).first(24));
    const Packet packet = parse_packet(bytes);
    REQUIRE(packet.ok());
    const HeaderPlace place = transport_place(packet, bytes);
    CHECK(place.offset == 24);
    CHECK(place.named_at == 9);
    CHECK(place.protocol == kProtocolUdp);
    CHECK(upper_place(packet, bytes).offset == 24);
    bytes.resize(48);
    rewrite_ip(bytes, place, kProtocolEsp);
    const Packet after = parse_packet(bytes);
    REQUIRE(after.ok());
    CHECK(after.protocol == kProtocolEsp);
    CHECK(after.total_size == 48);
    CHECK(after.dont_fragment);
}

TEST_CASE("The last next-header field of an IPv6 chain is rewritten, the others stay") {
    ByteVec bytes = v6_chain({kProtocolHopByHop, kProtocolRouting});
    const HeaderPlace place = transport_place(parse_packet(bytes), bytes);
    const ByteVec before = bytes;
    bytes.resize(bytes.size() + 100);
    rewrite_ip(bytes, place, kProtocolEsp);
    const Packet after = parse_packet(bytes);
    REQUIRE(after.ok());
    CHECK(after.protocol == kProtocolEsp);
    CHECK(after.header_size == 56);
    CHECK(after.total_size == bytes.size());
    CHECK(bytes[6] == kProtocolHopByHop);
    CHECK(bytes[40] == kProtocolRouting);
    CHECK(std::equal(before.begin() + 49, before.end(), bytes.begin() + 49));
}
