// SPDX-License-Identifier: Apache-2.0
#include "lib/net/checksum.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "lib/net/address.hpp"

using namespace sluice;
using namespace sluice::net;

namespace {

ByteVec hex(std::string_view text) { return *from_hex(text); }

// The definition, one byte at a time, in host order.
std::uint16_t slow_checksum(Bytes bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
    while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

struct Segment {
    ByteVec source = hex("c0000201");
    ByteVec destination = hex("0a010203");
    ByteVec bytes;
    std::uint8_t protocol;
    PseudoHeader pseudo() const { return {source, destination, protocol, static_cast<std::uint32_t>(bytes.size())}; }
};

Segment udp_segment(std::size_t size) {
    Segment s{.bytes = ByteVec(size), .protocol = kProtocolUdp};
    for (std::size_t i = 8; i < size; ++i) s.bytes[i] = static_cast<Byte>(i * 7 + 3);
    s.bytes[0] = 0x12, s.bytes[1] = 0x34, s.bytes[3] = 53;
    store(MutBytes(s.bytes).subspan(4), Be16::of(static_cast<std::uint16_t>(size)));
    return s;
}

}  // namespace

TEST_CASE("RFC 1071 3: the example's sum") {
    // 00 01 f2 03 f4 f5 f6 f7 sums to ddf2.
    CHECK(checksum(hex("0001f203f4f5f6f7")).host() == static_cast<std::uint16_t>(~0xddf2));
}

TEST_CASE("An IPv4 header captured from a peer verifies, and each flipped bit is seen") {
    ByteVec header = hex("4500003c1c4640004006b1e6ac100a63ac100a0c");
    CHECK(ipv4_checksum_ok(header));
    for (std::size_t bit = 0; bit < header.size() * 8; ++bit) {
        header[bit / 8] = static_cast<Byte>(header[bit / 8] ^ (1 << bit % 8));
        CHECK_FALSE(ipv4_checksum_ok(header));
        header[bit / 8] = static_cast<Byte>(header[bit / 8] ^ (1 << bit % 8));
    }
    header[10] = 0xaa, header[11] = 0x55;
    set_ipv4_checksum(header);
    CHECK(to_hex(header) == "4500003c1c4640004006b1e6ac100a63ac100a0c");
}

TEST_CASE("The fast sum equals the definition for every length") {
    const unsigned seed = 1071;
    std::mt19937 random(seed);
    INFO("seed " << seed);
    ByteVec bytes(2000);
    for (Byte& b : bytes) b = static_cast<Byte>(random());
    for (std::size_t n = 0; n <= bytes.size(); ++n) {
        REQUIRE(checksum(Bytes(bytes).first(n)).host() == slow_checksum(Bytes(bytes).first(n)));
    }
    std::fill(bytes.begin(), bytes.end(), Byte{0xff});
    for (std::size_t n = 0; n <= 64; ++n) {
        REQUIRE(checksum(Bytes(bytes).first(n)).host() == slow_checksum(Bytes(bytes).first(n)));
    }
}

TEST_CASE("RFC 1624: updating by one word equals summing anew") {
    // RFC 1624 4: HC = 0xdd2f, m = 0x5555, m' = 0x3285 gives 0x0000, not 0xffff.
    CHECK(checksum_update(Be16::of(0xdd2f), Be16::of(0x5555), Be16::of(0x3285)).host() == 0x0000);
    ByteVec header = hex("4500003c1c4640004006b1e6ac100a63ac100a0c");
    for (int ttl = 0x40; ttl > 0; --ttl) {
        const auto before = load<Ipv4Header>(header);
        const auto old_word = load<Be16>(Bytes(header).subspan(8));
        header[8] = static_cast<Byte>(ttl - 1);
        const Be16 updated = checksum_update(before.checksum, old_word, load<Be16>(Bytes(header).subspan(8)));
        store(MutBytes(header).subspan(10), updated);
        REQUIRE(ipv4_checksum_ok(header));
    }
}

TEST_CASE("TRAPS 26: pseudo headers of both families, and a UDP checksum of zero goes out as ffff") {
    Segment s = udp_segment(29);
    store(MutBytes(s.bytes).subspan(6), udp_checksum(s.pseudo(), s.bytes));
    CHECK(upper_checksum_ok(s.pseudo(), s.bytes));
    s.bytes[28] ^= 1;
    CHECK_FALSE(upper_checksum_ok(s.pseudo(), s.bytes));

    // A DNS query over IPv6 with asymmetric addresses; its checksum by hand from the definition.
    Segment v6 = udp_segment(16);
    v6.source = hex("20010db8000000000000000000000001");
    v6.destination = hex("20010db8000000010000000000000203");
    ByteVec whole = v6.source;
    whole.insert(whole.end(), v6.destination.begin(), v6.destination.end());
    for (const Byte b : hex("0000001000000011")) whole.push_back(b);
    whole.insert(whole.end(), v6.bytes.begin(), v6.bytes.end());
    CHECK(upper_checksum(v6.pseudo(), v6.bytes).host() == slow_checksum(whole));

    // Choose two payload bytes so that the sum is ffff and its complement 0.
    Segment zero = udp_segment(12);
    zero.bytes[8] = zero.bytes[9] = 0;
    const Be16 missing = upper_checksum(zero.pseudo(), zero.bytes);
    store(MutBytes(zero.bytes).subspan(8), missing);
    CHECK(upper_checksum(zero.pseudo(), zero.bytes).raw() == 0);
    CHECK(udp_checksum(zero.pseudo(), zero.bytes).raw() == 0xffff);
}

TEST_CASE("A partial checksum is recognised and finished; a whole or a wrong one is left alone") {
    for (const std::size_t size : {8U, 9U, 28U, 1480U}) {
        Segment s = udp_segment(size);
        store(MutBytes(s.bytes).subspan(6), Be16::of_raw(pseudo_header_sum(s.pseudo()).folded()));
        CHECK(finish_partial_checksum(s.pseudo(), s.bytes) == PartialChecksum::finished);
        CHECK(upper_checksum_ok(s.pseudo(), s.bytes));
        const ByteVec finished = s.bytes;
        CHECK(finish_partial_checksum(s.pseudo(), s.bytes) == PartialChecksum::none);
        CHECK(s.bytes == finished);
        s.bytes[6] ^= 0x10;  // wrong, but not partial: stays wrong
        CHECK(finish_partial_checksum(s.pseudo(), s.bytes) == PartialChecksum::none);
        CHECK_FALSE(upper_checksum_ok(s.pseudo(), s.bytes));
    }
    Segment tcp{.bytes = ByteVec(40), .protocol = kProtocolTcp};
    for (std::size_t i = 0; i < 40; ++i) tcp.bytes[i] = static_cast<Byte>(i * 5 + 1);
    store(MutBytes(tcp.bytes).subspan(16), Be16::of_raw(pseudo_header_sum(tcp.pseudo()).folded()));
    CHECK(finish_partial_checksum(tcp.pseudo(), tcp.bytes) == PartialChecksum::finished);
    CHECK(upper_checksum_ok(tcp.pseudo(), tcp.bytes));

    // A checksum that is right and by chance equal to the partial sum stays as it is.
    Segment chance = udp_segment(12);
    store(MutBytes(chance.bytes).subspan(6), Be16::of_raw(pseudo_header_sum(chance.pseudo()).folded()));
    chance.bytes[8] = chance.bytes[9] = 0;
    store(MutBytes(chance.bytes).subspan(8), upper_checksum(chance.pseudo(), chance.bytes));
    CHECK(finish_partial_checksum(chance.pseudo(), chance.bytes) == PartialChecksum::none);
    CHECK(upper_checksum_ok(chance.pseudo(), chance.bytes));

    Segment cut{.bytes = ByteVec(7), .protocol = kProtocolUdp};
    CHECK(finish_partial_checksum(cut.pseudo(), cut.bytes) == PartialChecksum::none);
    Segment icmp{.bytes = ByteVec(40), .protocol = kProtocolIcmp};
    CHECK(finish_partial_checksum(icmp.pseudo(), icmp.bytes) == PartialChecksum::none);
}

TEST_CASE("RFC 3948 3.1.2: a checksum is computed anew after a NAT, and one that is not there stays away") {
    const IpAddress old4 = *IpAddress::parse("10.0.0.1"), new4 = *IpAddress::parse("192.0.2.7");
    const IpAddress old6 = *IpAddress::parse("fd00::1"), new6 = *IpAddress::parse("2001:db8::7");
    for (const bool v6 : {false, true}) {
        for (const std::uint8_t protocol : {kProtocolTcp, kProtocolUdp, kProtocolIcmpv6}) {
            const IpAddress& from = v6 ? old6 : old4;
            const IpAddress& to = v6 ? new6 : new4;
            ByteVec segment(41);
            for (std::size_t i = 0; i < segment.size(); ++i) segment[i] = static_cast<Byte>(i * 11 + 5);
            const std::size_t at = protocol == kProtocolTcp ? 16 : protocol == kProtocolUdp ? 6 : 2;
            const PseudoHeader before{from.bytes(), to.bytes(), protocol, 41},
                after{to.bytes(), to.bytes(), protocol, 41};
            store(MutBytes(segment).subspan(at), Be16{});
            store(MutBytes(segment).subspan(at), upper_checksum(before, segment));
            const bool touched = v6 || protocol != kProtocolIcmpv6;
            const ByteVec original = segment;
            renew_upper_checksum(after, segment);
            CHECK(upper_checksum_ok(after, segment) == touched);
            CHECK((segment != original) == touched);
        }
    }
    ByteVec without(20);
    renew_upper_checksum({old4.bytes(), new4.bytes(), kProtocolUdp, 20}, without);
    CHECK(without == ByteVec(20));
    renew_upper_checksum({old6.bytes(), new6.bytes(), kProtocolUdp, 20}, without);
    CHECK(without != ByteVec(20));
    ByteVec cut(7, 9);
    renew_upper_checksum({old4.bytes(), new4.bytes(), kProtocolUdp, 7}, cut);
    CHECK(cut == ByteVec(7, 9));
}
