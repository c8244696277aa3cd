// SPDX-License-Identifier: Apache-2.0
#include "lib/net/mss.hpp"

#include <catch2/catch.hpp>

#include "lib/net/checksum.hpp"

using namespace sluice;
using namespace sluice::net;

namespace {

constexpr std::uint8_t kAck = 0x10;

struct Segment {
    bool v6 = false;
    std::uint8_t flags = TcpHeader::kFlagSyn;
    std::string_view options = "020405b4";  // hex, whole words
    unsigned extensions = 0;                // destination options of 8 bytes, IPv6
    std::size_t data = 0;
};

ByteVec make(const Segment& s) {
    ByteVec tcp = *from_hex("04d2005000000001000000005002ffff00000000");
    const ByteVec options = *from_hex(s.options);
    tcp.insert(tcp.end(), options.begin(), options.end());
    tcp[12] = static_cast<Byte>(tcp.size() / 4 << 4);
    tcp[13] = s.flags;
    for (std::size_t i = 0; i < s.data; ++i) tcp.push_back(static_cast<Byte>(i * 5 + 3));
    ByteVec bytes(s.v6 ? 40 : 20);
    if (s.v6) {
        Ipv6Header ip{};
        ip.version_class_flow = Ipv6Header::make_first_word(0, 0);
        ip.payload_length = Be16::of(static_cast<std::uint16_t>(tcp.size() + 8 * s.extensions));
        ip.next_header = s.extensions != 0 ? kProtocolDestinationOptions : kProtocolTcp;
        ip.source[15] = 1, ip.destination[15] = 2;
        store(MutBytes(bytes), ip);
        for (unsigned i = 0; i < s.extensions; ++i) {
            const bool last = i + 1 == s.extensions;
            bytes.insert(bytes.end(), {last ? kProtocolTcp : kProtocolDestinationOptions, 0, 1, 4, 0, 0, 0, 0});
        }
    } else {
        Ipv4Header ip{};
        ip.version_ihl = 0x45;
        ip.total_length = Be16::of(static_cast<std::uint16_t>(20 + tcp.size()));
        ip.protocol = kProtocolTcp;
        ip.source = {10, 0, 0, 1}, ip.destination = {10, 0, 0, 2};
        store(MutBytes(bytes), ip);
        set_ipv4_checksum(bytes);
    }
    bytes.insert(bytes.end(), tcp.begin(), tcp.end());
    const Packet p = parse_packet(bytes);
    const MutBytes segment = MutBytes(bytes).subspan(p.header_size);
    store(segment.subspan(16), upper_checksum(pseudo_header(p, bytes), segment));
    return bytes;
}

bool right(const ByteVec& bytes) {
    const Packet p = parse_packet(bytes);
    return p.ok() && upper_checksum_ok(pseudo_header(p, bytes), Bytes(bytes).subspan(p.header_size));
}

}  // namespace

TEST_CASE("A SYN's MSS is lowered, never raised, and its checksum stays right") {
    for (const bool v6 : {false, true}) {
        for (const unsigned extensions : {0U, 2U}) {
            for (const std::uint8_t flags :
                 {TcpHeader::kFlagSyn, static_cast<std::uint8_t>(TcpHeader::kFlagSyn | kAck)}) {
                const Segment shape{.v6 = v6, .flags = flags, .extensions = v6 ? extensions : 0, .data = 3};
                ByteVec bytes = make(shape);
                REQUIRE(right(bytes));
                const ByteVec before = bytes;
                CHECK_FALSE(clamp_mss(parse_packet(bytes), bytes, 1460));
                CHECK_FALSE(clamp_mss(parse_packet(bytes), bytes, 9000));
                CHECK(bytes == before);
                CHECK(clamp_mss(parse_packet(bytes), bytes, 1361));
                CHECK(right(bytes));
                const std::size_t at = parse_packet(bytes).header_size + 22U;
                CHECK(load<Be16>(Bytes(bytes).subspan(at)).host() == 1361);
            }
        }
    }
}

TEST_CASE("The option is found behind others, at even and at odd offsets, for every value") {
    for (const std::string_view options :
         {"0402020405b40101", "01020405b4010000", "03030701020405b4", "0101010204ffff00"}) {
        for (unsigned most = 1; most < 1460; most += 77) {
            ByteVec bytes = make({.options = options});
            REQUIRE(right(bytes));
            CHECK(clamp_mss(parse_packet(bytes), bytes, static_cast<std::uint16_t>(most)));
            CHECK(right(bytes));
            CHECK_FALSE(clamp_mss(parse_packet(bytes), bytes, static_cast<std::uint16_t>(most)));
        }
    }
}

TEST_CASE("Whatever is no whole SYN with the option stays as it is") {
    const std::string_view broken[] = {"",         "01010101", "00020405b4000000", "02030500", "0204",
                                       "0200ffff", "0300ffff", "02ff05b4",         "01010102"};
    for (const std::string_view options : broken) {
        if (options.size() % 8 != 0) continue;
        ByteVec bytes = make({.options = options});
        const ByteVec before = bytes;
        CHECK_FALSE(clamp_mss(parse_packet(bytes), bytes, 500));
        CHECK(bytes == before);
    }
    ByteVec data = make({.flags = kAck});
    CHECK_FALSE(clamp_mss(parse_packet(data), data, 500));
    ByteVec long_header = make({});
    long_header[20 + 12] = 0xf0;
    CHECK_FALSE(clamp_mss(parse_packet(long_header), long_header, 500));
    ByteVec short_header = make({});
    short_header[20 + 12] = 0x40;
    CHECK_FALSE(clamp_mss(parse_packet(short_header), short_header, 500));
    ByteVec fragment = make({});
    fragment[6] = 0x20;
    set_ipv4_checksum(MutBytes(fragment).first(20));
    CHECK_FALSE(clamp_mss(parse_packet(fragment), fragment, 500));
    for (std::size_t cut = 20; cut < make({}).size(); ++cut) {
        ByteVec bytes = make({});
        const Packet whole = parse_packet(bytes);
        bytes.resize(cut);
        CHECK_FALSE(clamp_mss(whole, bytes, 500));
    }
}

TEST_CASE("What fits behind the headers of a packet") {
    const ByteVec v4 = make({}), v6 = make({.v6 = true}), extended = make({.v6 = true, .extensions = 3});
    CHECK(mss_for(parse_packet(v4), 1438) == 1398);
    CHECK(mss_for(parse_packet(v6), 1438) == 1378);
    CHECK(mss_for(parse_packet(extended), 1438) == 1354);
    CHECK(mss_for(parse_packet(v4), 40) == 0);
}
