// SPDX-License-Identifier: Apache-2.0
#include "lib/net/packet.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace sluice;
using namespace sluice::net;

namespace {

ByteVec hex(std::string_view text) { return *from_hex(text); }

ByteVec join(std::initializer_list<ByteVec> parts) {
    ByteVec all;
    for (const ByteVec& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

// Sets total length and checksum of an IPv4 packet.
ByteVec sealed_v4(ByteVec packet) {
    store(MutBytes(packet).subspan(2), Be16::of(static_cast<std::uint16_t>(packet.size())));
    set_ipv4_checksum(MutBytes(packet).first((packet[0] & 15U) * 4));
    return packet;
}
ByteVec v4_packet(std::uint8_t protocol, const ByteVec& payload, std::string_view id_and_fragment = "12340000") {
    ByteVec head = join({hex("45b80000"), hex(id_and_fragment), hex("3f000000c00002010a010203")});
    head[9] = protocol;
    return sealed_v4(join({head, payload}));
}
ByteVec v6_packet(std::uint8_t next_header, const ByteVec& payload) {
    ByteVec head =
        hex("6ab1234500000040"
            "20010db8000000000000000000000001"
            "20010db8000000020000000000000304");
    head[6] = next_header;
    store(MutBytes(head).subspan(4), Be16::of(static_cast<std::uint16_t>(payload.size())));
    return join({head, payload});
}

const ByteVec kUdp = hex("1234005000100000aabbccddeeff0011");
const ByteVec kTcp = hex("c00101bb000000010000000250020400000000000000000000000000");

PacketFault fault_of(Bytes bytes) { return parse_packet(bytes).fault; }

// Whether the short way takes the packet; then it has to say what the walk says.
bool is_plain(const ByteVec& bytes) {
    Packet walked;
    detail::parse_walked(walked, bytes, bytes.size());
    Packet p;
    if (!detail::parse_plain(p, bytes, bytes.size())) return false;
    REQUIRE(p == walked);
    return true;
}

}  // namespace

TEST_CASE("TRAPS 62: an IPv4 packet with asymmetric values is read whole") {
    const ByteVec bytes = v4_packet(17, kUdp);
    const Packet p = parse_packet(bytes);
    REQUIRE(p.ok());
    CHECK(p.is_v4());
    CHECK(p.protocol == 17);
    CHECK(p.tos == 0xb8);
    CHECK(p.ttl == 63);
    CHECK(p.header_size == 20);
    CHECK(p.total_size == 36);
    CHECK(p.ports_known);
    CHECK(p.source_port == 0x1234);
    CHECK(p.destination_port == 80);
    CHECK_FALSE(p.dont_fragment);
    CHECK_FALSE(p.is_fragment());
    CHECK(source_address(p, bytes).to_string() == "192.0.2.1");
    CHECK(destination_address(p, bytes).to_string() == "10.1.2.3");
    CHECK(pseudo_header(p, bytes).length == 16);
    CHECK(parse_packet(v4_packet(17, kUdp, "12344000")).dont_fragment);
}

TEST_CASE("An IPv6 packet with asymmetric values is read whole") {
    const ByteVec bytes = v6_packet(6, kTcp);
    const Packet p = parse_packet(bytes);
    REQUIRE(p.ok());
    CHECK(p.family == Family::v6);
    CHECK(p.protocol == 6);
    CHECK(p.tos == 0xab);
    CHECK(p.ttl == 0x40);
    CHECK(p.header_size == 40);
    CHECK(p.total_size == 68);
    CHECK(p.source_port == 0xc001);
    CHECK(p.destination_port == 443);
    CHECK(p.dont_fragment);
    CHECK(source_address(p, bytes).to_string() == "2001:db8::1");
    CHECK(destination_address(p, bytes).to_string() == "2001:db8:0:2::304");
}

TEST_CASE("Link padding behind the packet is not part of it; less than its length is a fault") {
    for (const ByteVec& packet : {v4_packet(17, kUdp), v6_packet(17, kUdp)}) {
        ByteVec padded = packet;
        padded.resize(packet.size() + 10, 0xee);
        CHECK(parse_packet(padded).total_size == packet.size());
        CHECK(fault_of(Bytes(packet).first(packet.size() - 1)) == PacketFault::total_length);
    }
}

TEST_CASE("Every truncation of good packets is refused, and never read past its end") {
    const ByteVec chain = join({hex("2b00010400000000"), hex("3c00000000000000"), hex("1100010400000000"), kUdp});
    for (const ByteVec& packet : {v4_packet(17, kUdp), v6_packet(17, kUdp), v6_packet(0, chain)}) {
        REQUIRE(parse_packet(packet).ok());
        for (std::size_t n = 0; n < packet.size(); ++n) {
            const ByteVec cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(n));
            CHECK_FALSE(parse_packet(cut).ok());
        }
    }
}

TEST_CASE("Only the beginning of a packet need be contiguous") {
    const ByteVec packet = v4_packet(6, join({kTcp, ByteVec(1000)}));
    const Packet p = parse_packet(Bytes(packet).first(40), packet.size());
    REQUIRE(p.ok());
    CHECK(p.total_size == packet.size());
    CHECK(p.source_port == 0xc001);
    const Packet no_ports = parse_packet(Bytes(packet).first(22), packet.size());
    CHECK(no_ports.ok());
    CHECK_FALSE(no_ports.ports_known);
    CHECK(parse_packet(Bytes(packet).first(19), packet.size()).fault == PacketFault::truncated);
}

TEST_CASE("Bad IPv4 headers, each by its name") {
    const ByteVec good = v4_packet(17, kUdp);
    CHECK(fault_of({}) == PacketFault::truncated);
    ByteVec bad = good;
    bad[0] = 0x55;
    CHECK(fault_of(bad) == PacketFault::version);
    bad[0] = 0x44;
    CHECK(fault_of(bad) == PacketFault::header_length);
    bad[0] = 0x4f;  // 60 bytes of header in 36
    CHECK(fault_of(bad) == PacketFault::header_length);
    bad = good;
    bad[3] = 19;
    CHECK(fault_of(bad) == PacketFault::total_length);
    for (std::size_t bit = 64; bit < 160; ++bit) {  // what the checksum alone protects
        bad = good;
        bad[bit / 8] = static_cast<Byte>(bad[bit / 8] ^ (1 << bit % 8));
        CHECK(fault_of(bad) == PacketFault::checksum);
    }
    const Packet options =
        parse_packet(sealed_v4(join({hex("460000001234000040110000010203040506070894040000"), kUdp})));
    REQUIRE(options.ok());
    CHECK(options.header_size == 24);
    CHECK(options.destination_port == 80);
}

TEST_CASE("ICMP type and code stand in for ports") {
    const Packet echo = parse_packet(v4_packet(1, hex("0800000000010002")));
    CHECK(echo.ports_known);
    CHECK(echo.source_port == 0x0800);
    CHECK(echo.destination_port == 0x0800);
    const Packet unreachable = parse_packet(v6_packet(58, hex("0104000000000000")));
    CHECK(unreachable.source_port == 0x0104);
    // ICMP's number of the other family is just a protocol.
    CHECK_FALSE(parse_packet(v6_packet(1, hex("0800000000010002"))).ports_known);
    CHECK_FALSE(parse_packet(v4_packet(58, hex("8000000000010002"))).ports_known);
}

TEST_CASE("Protocols without ports, and upper headers that are cut, have none") {
    CHECK_FALSE(parse_packet(v4_packet(50, hex("0000100100000001"))).ports_known);
    CHECK_FALSE(parse_packet(v4_packet(47, hex("0000080000000001"))).ports_known);
    CHECK(parse_packet(v4_packet(132, kUdp)).ports_known);
    CHECK_FALSE(parse_packet(v4_packet(6, hex("c00101"))).ports_known);
    CHECK(parse_packet(v4_packet(6, hex("c00101bb"))).ports_known);
    // Padding behind the packet is not its ports.
    ByteVec padded = v4_packet(6, hex("c001"));
    padded.resize(60, 0x77);
    CHECK_FALSE(parse_packet(padded).ports_known);
}

TEST_CASE("TRAPS 41: later fragments show no ports, whatever their bytes look like") {
    const Packet first = parse_packet(v4_packet(17, kUdp, "12342000"));
    REQUIRE(first.ok());
    CHECK(first.is_fragment());
    CHECK(first.more_fragments);
    CHECK(first.ports_known);
    const Packet later = parse_packet(v4_packet(17, kUdp, "12340001"));
    REQUIRE(later.ok());
    CHECK(later.is_fragment());
    CHECK(later.fragment_offset == 8);
    CHECK_FALSE(later.ports_known);
    CHECK(fault_of(v4_packet(17, hex("1234005000100000aa"), "12342000")) ==
          PacketFault::fragment);                                               // not last, not * 8
    CHECK(fault_of(v4_packet(17, kUdp, "12341fff")) == PacketFault::fragment);  // past 65535
    CHECK(parse_packet(v4_packet(17, hex("01020304050607"), "12341ffc")).ok());

    const Packet v6_later = parse_packet(v6_packet(44, join({hex("1100000900000001"), kUdp})));
    REQUIRE(v6_later.ok());
    CHECK(v6_later.protocol == 17);
    CHECK(v6_later.fragment_offset == 8);
    CHECK(v6_later.more_fragments);
    CHECK(v6_later.header_size == 48);
    CHECK_FALSE(v6_later.ports_known);
    const Packet v6_first = parse_packet(v6_packet(44, join({hex("1100000100000001"), kUdp})));
    CHECK(v6_first.destination_port == 80);
    const Packet atomic = parse_packet(v6_packet(44, join({hex("1100000000000001"), kUdp})));  // RFC 6946
    CHECK(atomic.ok());
    CHECK_FALSE(atomic.is_fragment());
    // A later fragment that seems to go on with destination options is not walked into.
    const Packet opaque = parse_packet(v6_packet(44, join({hex("3c00000800000001"), hex("11ff000000000000")})));
    CHECK(opaque.ok());
    CHECK(opaque.protocol == 60);
}

TEST_CASE("IPv6 extension headers are walked within bounds") {
    const ByteVec hop = hex("3c00010400000000");
    const ByteVec destination = hex("1101000000000000aaaaaaaaaaaaaaaa");
    const Packet p = parse_packet(v6_packet(0, join({hop, destination, kUdp})));
    REQUIRE(p.ok());
    CHECK(p.protocol == 17);
    CHECK(p.header_size == 40 + 8 + 16);
    CHECK(p.destination_port == 80);

    const ByteVec to_options = hex("3c00000000000000");
    ByteVec seven = to_options;
    for (int i = 0; i < 6; ++i) seven = join({seven, to_options});
    const ByteVec to_udp = hex("1100000000000000");
    CHECK(parse_packet(v6_packet(60, join({seven, to_udp, kUdp}))).ok());
    CHECK(fault_of(v6_packet(60, join({to_options, seven, to_udp, kUdp}))) == PacketFault::extensions);
    // Hop-by-hop anywhere but first; two fragment headers; a header that is longer than the packet; none at all.
    CHECK(fault_of(v6_packet(60, join({hex("0000000000000000"), to_udp, kUdp}))) == PacketFault::extensions);
    CHECK(fault_of(v6_packet(44, join({hex("2c00000100000001"), hex("1100000100000001"), kUdp}))) ==
          PacketFault::extensions);
    CHECK(fault_of(v6_packet(60, hex("11ff000000000000"))) == PacketFault::extensions);
    CHECK(fault_of(v6_packet(0, {})) == PacketFault::extensions);
    // AH and ESP are upper layers to a selector (RFC 4301 4.4.1.1); 59 is the end.
    CHECK(parse_packet(v6_packet(51, join({hex("1104000000000000"), kUdp}))).protocol == 51);
    CHECK(parse_packet(v6_packet(59, {})).ok());
}

TEST_CASE("The short way through plain packets says what the walk says, or nothing") {
    const unsigned seed = std::random_device{}();
    std::mt19937 random(seed);
    INFO("seed " << seed);
    const std::uint8_t protocols[] = {kProtocolUdp,  kProtocolTcp,  kProtocolEsp,
                                      kProtocolIcmp, kProtocolSctp, kProtocolIpv6};
    int plain = 0;
    for (int i = 0; i < 200000; ++i) {
        ByteVec bytes(20 + random() % 60);
        for (Byte& b : bytes) b = static_cast<Byte>(random());
        bytes[0] = random() % 8 == 0 ? static_cast<Byte>(random()) : Byte{0x45};
        if (random() % 8 != 0) store(MutBytes(bytes).subspan(6), Be16::of(random() % 2 == 0 ? 0x4000 : 0));
        if (random() % 8 != 0) bytes[9] = protocols[random() % std::size(protocols)];
        store(MutBytes(bytes).subspan(2), Be16::of(static_cast<std::uint16_t>(random() % (bytes.size() + 3))));
        if (random() % 8 != 0) set_ipv4_checksum(MutBytes(bytes).first(20));
        plain += is_plain(bytes);
    }
    CHECK(plain > 10000);
}

TEST_CASE("The short way through plain IPv6 packets says what the walk says, or nothing") {
    const unsigned seed = std::random_device{}();
    std::mt19937 random(seed);
    INFO("seed " << seed);
    const std::uint8_t protocols[] = {kProtocolUdp, kProtocolTcp, kProtocolEsp, kProtocolIcmpv6, kProtocolFragment};
    int plain = 0;
    for (int i = 0; i < 200000; ++i) {
        ByteVec bytes(40 + random() % 60);
        for (Byte& b : bytes) b = static_cast<Byte>(random());
        bytes[0] = random() % 8 == 0 ? static_cast<Byte>(random()) : static_cast<Byte>(0x60 | random() % 16);
        if (random() % 8 != 0) bytes[6] = protocols[random() % std::size(protocols)];
        store(MutBytes(bytes).subspan(4), Be16::of(static_cast<std::uint16_t>(random() % (bytes.size() - 40 + 3))));
        plain += is_plain(bytes);
    }
    CHECK(plain > 10000);
}

TEST_CASE("Random bytes never crash the parser, and what it accepts is consistent") {
    const unsigned seed = 0x9ac4e7;
    std::mt19937 random(seed);
    INFO("seed " << seed);
    int accepted = 0;
    for (int i = 0; i < 400000; ++i) {
        ByteVec bytes(random() % 90);
        for (Byte& b : bytes) b = random() % 3 == 0 ? static_cast<Byte>(random() % 64) : Byte{0};
        if (!bytes.empty()) bytes[0] = static_cast<Byte>(random() % 2 == 0 ? 0x60 : 0x45 + random() % 2);
        if (bytes.size() >= 24 && bytes[0] < 0x50) {
            store(MutBytes(bytes).subspan(2), Be16::of(static_cast<std::uint16_t>(random() % (bytes.size() + 4))));
            set_ipv4_checksum(MutBytes(bytes).first((bytes[0] & 15U) * 4));
        }
        const Packet p = parse_packet(bytes);
        if (!p.ok()) continue;
        ++accepted;
        REQUIRE(p.total_size <= bytes.size());
        REQUIRE(p.header_size <= p.total_size);
        if (p.ports_known) REQUIRE(p.header_size + 2U <= p.total_size);
        if (p.fragment_offset != 0) REQUIRE_FALSE(p.ports_known);
    }
    CHECK(accepted > 10000);
}
