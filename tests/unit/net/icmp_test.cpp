// SPDX-License-Identifier: Apache-2.0
#include "lib/net/icmp.hpp"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::net;

namespace {

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }

struct Made {
    ByteVec bytes;
    Packet packet() const { return parse_packet(bytes); }
    bool allowed(IcmpError error = IcmpError::time_exceeded) const {
        return icmp_error_allowed(error, packet(), bytes);
    }
};

struct Shape {
    std::string_view source = "10.1.2.3";
    std::string_view destination = "192.0.2.9";
    std::uint8_t protocol = kProtocolUdp;
    std::uint8_t first_byte = 0;  // of the payload: an ICMP type
    std::size_t payload = 64;
    std::uint16_t fragment = 0;
};

Made make(const Shape& shape) {
    const IpAddress source = ip(shape.source), destination = ip(shape.destination);
    const std::size_t head = source.is_v4() ? 20 : 40;
    ByteVec bytes(head + shape.payload);
    for (std::size_t i = head; i < bytes.size(); ++i) bytes[i] = static_cast<Byte>(i * 3 + 1);
    if (shape.payload != 0) bytes[head] = shape.first_byte;
    if (source.is_v4()) {
        Ipv4Header h{};
        h.version_ihl = 0x45;
        h.total_length = Be16::of(static_cast<std::uint16_t>(bytes.size()));
        h.fragment = Be16::of(shape.fragment);
        h.ttl = 1;
        h.protocol = shape.protocol;
        std::copy_n(source.bytes().begin(), 4, h.source.begin());
        std::copy_n(destination.bytes().begin(), 4, h.destination.begin());
        store(MutBytes(bytes), h);
        set_ipv4_checksum(MutBytes(bytes).first(20));
    } else {
        Ipv6Header h{};
        h.version_class_flow = Ipv6Header::make_first_word(0, 0);
        h.payload_length = Be16::of(static_cast<std::uint16_t>(shape.payload));
        h.next_header = shape.protocol;
        h.hop_limit = 1;
        std::copy_n(source.bytes().begin(), 16, h.source.begin());
        std::copy_n(destination.bytes().begin(), 16, h.destination.begin());
        store(MutBytes(bytes), h);
    }
    return {bytes};
}

ByteVec error_about(const Made& made, const IcmpErrorInput& input, std::size_t room = 2000) {
    ByteVec out(room, 0xee);
    out.resize(write_icmp_error(input, made.packet(), made.bytes, out));
    return out;
}

constexpr Shape kV6{.source = "2001:db8::7", .destination = "2001:db8:9::1"};

}  // namespace

TEST_CASE("RFC 1191 4: fragmentation needed carries the next hop's MTU and quotes the packet as it came") {
    const Made made = make({.payload = 1480});
    const ByteVec out = error_about(made, {.error = IcmpError::packet_too_big, .source = ip("192.0.2.1"), .mtu = 1438});
    REQUIRE(out.size() == 576);
    const Packet p = parse_packet(out);
    REQUIRE(p.ok());
    CHECK(p.protocol == kProtocolIcmp);
    CHECK(p.source_port == 0x0304);
    CHECK(source_address(p, out) == ip("192.0.2.1"));
    CHECK(destination_address(p, out) == ip("10.1.2.3"));
    CHECK(to_hex(Bytes(out).subspan(24, 4)) == "0000059e");
    CHECK(checksum(Bytes(out).subspan(20)).raw() == 0);
    CHECK(equal(Bytes(out).subspan(28), Bytes(made.bytes).first(548)));
}

TEST_CASE("RFC 4443 3.2: packet too big, at most 1280 bytes, with a pseudo header in its checksum") {
    const Made made = make({.source = kV6.source, .destination = kV6.destination, .payload = 1460});
    const ByteVec out =
        error_about(made, {.error = IcmpError::packet_too_big, .source = ip("2001:db8::1"), .mtu = 1400});
    REQUIRE(out.size() == 1280);
    const Packet p = parse_packet(out);
    REQUIRE(p.ok());
    CHECK(p.source_port == 0x0200);
    CHECK(to_hex(Bytes(out).subspan(44, 4)) == "00000578");
    CHECK(upper_checksum_ok(pseudo_header(p, out), Bytes(out).subspan(40)));
    CHECK(equal(Bytes(out).subspan(48), Bytes(made.bytes).first(1232)));
    // TRAPS 40: below the least MTU of the family nothing is told.
    const ByteVec low =
        error_about(made, {.error = IcmpError::packet_too_big, .source = ip("2001:db8::1"), .mtu = 900});
    CHECK(to_hex(Bytes(low).subspan(44, 4)) == "00000500");
    const ByteVec low4 =
        error_about(make({}), {.error = IcmpError::packet_too_big, .source = ip("192.0.2.1"), .mtu = 3});
    CHECK(to_hex(Bytes(low4).subspan(24, 4)) == "00000044");
}

TEST_CASE("Types and codes of both families") {
    struct Row {
        IcmpError error;
        std::uint16_t v4, v6;
    };
    for (const Row& row :
         {Row{IcmpError::packet_too_big, 0x0304, 0x0200}, Row{IcmpError::time_exceeded, 0x0b00, 0x0300},
          Row{IcmpError::no_route, 0x0300, 0x0100}, Row{IcmpError::host_unreachable, 0x0301, 0x0103},
          Row{IcmpError::admin_prohibited, 0x030d, 0x0101}}) {
        const ByteVec v4 = error_about(make({}), {.error = row.error, .source = ip("192.0.2.1"), .mtu = 1400});
        CHECK(parse_packet(v4).source_port == row.v4);
        const ByteVec v6 = error_about(make(kV6), {.error = row.error, .source = ip("2001:db8::1"), .mtu = 1400});
        CHECK(parse_packet(v6).source_port == row.v6);
        if (row.error != IcmpError::packet_too_big) CHECK(to_hex(Bytes(v6).subspan(44, 4)) == "00000000");
    }
}

TEST_CASE("Short packets are quoted whole, small buffers cut the quote, and too small ones get nothing") {
    const Made made = make({.payload = 5});
    CHECK(error_about(made, {.source = ip("192.0.2.1")}).size() == 28 + 25);
    const Made large = make({.payload = 500});
    CHECK(error_about(large, {.source = ip("192.0.2.1")}, 100).size() == 100);
    CHECK(error_about(large, {.source = ip("192.0.2.1")}, 56).size() == 56);
    CHECK(error_about(large, {.source = ip("192.0.2.1")}, 55).empty());
    CHECK(error_about(large, {.source = ip("2001:db8::1")}).empty());
}

TEST_CASE("RFC 1812 4.3.2.7: when no error is sent") {
    CHECK(make({}).allowed());
    CHECK(make({.protocol = kProtocolTcp}).allowed());
    CHECK(make({.protocol = kProtocolIcmp, .first_byte = kIcmpEchoRequest}).allowed());
    CHECK(make({.protocol = kProtocolIcmp, .first_byte = kIcmpEchoReply}).allowed());
    for (const int type : {3, 4, 5, 11, 12, 40, 255}) {
        INFO("about ICMP type " << type);
        CHECK_FALSE(make({.protocol = kProtocolIcmp, .first_byte = static_cast<std::uint8_t>(type)}).allowed());
    }
    CHECK_FALSE(make({.protocol = kProtocolIcmp, .payload = 1}).allowed());
    CHECK_FALSE(make({.fragment = 1}).allowed());
    CHECK(make({.fragment = Ipv4Header::kMoreFragments}).allowed());
    for (const char* to : {"224.0.0.5", "239.1.2.3", "255.255.255.255"})
        CHECK_FALSE(make({.destination = to}).allowed());
    for (const char* from : {"0.0.0.0", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"}) {
        INFO("to " << from);
        CHECK_FALSE(make({.source = from}).allowed());
    }
    Made broken = make({});
    broken.bytes[15] ^= 1;
    CHECK_FALSE(broken.allowed());
}

TEST_CASE("RFC 4443 2.4 e: when no error is sent") {
    const auto v6 = [](Shape shape) {
        if (shape.source == Shape{}.source) shape.source = kV6.source;
        if (shape.destination == Shape{}.destination) shape.destination = kV6.destination;
        return make(shape);
    };
    CHECK(v6({}).allowed());
    CHECK(v6({.protocol = kProtocolIcmpv6, .first_byte = kIcmpv6EchoRequest}).allowed());
    for (const int type : {1, 2, 3, 4, 100, 127, 137}) {
        INFO("about ICMPv6 type " << type);
        CHECK_FALSE(v6({.protocol = kProtocolIcmpv6, .first_byte = static_cast<std::uint8_t>(type)}).allowed());
    }
    CHECK_FALSE(v6({.destination = "ff0e::1"}).allowed());
    CHECK(v6({.destination = "ff0e::1"}).allowed(IcmpError::packet_too_big));
    CHECK_FALSE(v6({.source = "::"}).allowed());
    CHECK_FALSE(v6({.source = "::1"}).allowed());
    CHECK_FALSE(v6({.source = "ff02::1"}).allowed());
    CHECK(v6({.source = "::2"}).allowed());
}

TEST_CASE("RFC 4443 2.4 f: the rate limit gives a burst, then its rate") {
    IcmpRateLimit limit(10, 3);
    const Instant start = Instant(Duration(std::chrono::hours(5)));
    for (int i = 0; i < 3; ++i) CHECK(limit.take(start));
    CHECK_FALSE(limit.take(start));
    CHECK_FALSE(limit.take(start + std::chrono::milliseconds(99)));
    CHECK(limit.take(start + std::chrono::milliseconds(100)));
    CHECK_FALSE(limit.take(start + std::chrono::milliseconds(101)));
    int taken = 0;
    for (int ms = 1000; ms < 11000; ++ms) taken += limit.take(start + std::chrono::milliseconds(ms));
    CHECK(taken >= 100);
    CHECK(taken <= 103);
}
