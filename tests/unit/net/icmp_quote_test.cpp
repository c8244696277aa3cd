// SPDX-License-Identifier: Apache-2.0
#include "lib/net/icmp_quote.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "lib/net/icmp.hpp"

using namespace sluice;
using namespace sluice::net;

namespace {

ByteVec offender(bool v6, std::size_t payload = 600) {
    ByteVec bytes((v6 ? 40 : 20) + payload);
    if (v6) {
        Ipv6Header ip{};
        ip.version_class_flow = Ipv6Header::make_first_word(0, 0);
        ip.payload_length = Be16::of(static_cast<std::uint16_t>(payload));
        ip.next_header = kProtocolUdp;
        ip.source[0] = 0x20, ip.source[15] = 1, ip.destination[0] = 0x20, ip.destination[15] = 2;
        store(MutBytes(bytes), ip);
    } else {
        Ipv4Header ip{};
        ip.version_ihl = 0x45;
        ip.total_length = Be16::of(static_cast<std::uint16_t>(bytes.size()));
        ip.protocol = kProtocolUdp;
        ip.source = {10, 0, 0, 1}, ip.destination = {10, 0, 0, 2};
        store(MutBytes(bytes), ip);
        set_ipv4_checksum(MutBytes(bytes).first(20));
    }
    bytes[(v6 ? 40 : 20) + 1] = 53;
    return bytes;
}

ByteVec error_about(const ByteVec& bytes, IcmpError error, std::uint32_t mtu = 0) {
    const bool v6 = bytes[0] >> 4 == 6;
    ByteVec out(2000);
    const IcmpErrorInput input{
        .error = error, .source = *IpAddress::parse(v6 ? "2001:db8::99" : "192.0.2.99"), .mtu = mtu};
    out.resize(write_icmp_error(input, parse_packet(bytes), bytes, out));
    return out;
}

std::optional<IcmpQuote> read(const ByteVec& error) { return read_icmp_quote(parse_packet(error), error); }

}  // namespace

TEST_CASE("TRAPS 42: an ICMP error shows whose packet it is about, and how large it was, though cut short") {
    for (const bool v6 : {false, true}) {
        const ByteVec packet = offender(v6, 1400);
        for (const IcmpError kind :
             {IcmpError::packet_too_big, IcmpError::time_exceeded, IcmpError::host_unreachable}) {
            const ByteVec error = error_about(packet, kind, 1300);
            CHECK(error.size() < packet.size());
            CHECK(icmp_checksum_ok(parse_packet(error), error));
            const auto quote = read(error);
            REQUIRE(quote);
            CHECK(quote->too_big == (kind == IcmpError::packet_too_big));
            CHECK(quote->mtu == (quote->too_big ? 1300U : 0U));
            CHECK(quote->packet.total_size == packet.size());
            CHECK(quote->packet.source_port == 53);
            CHECK(quote->packet.protocol == kProtocolUdp);
            CHECK(std::equal(quote->bytes.begin(), quote->bytes.end(), packet.begin()));
            ByteVec bent = error;
            bent.back() ^= 1;
            CHECK_FALSE(icmp_checksum_ok(parse_packet(bent), bent));
        }
    }
}

TEST_CASE("TRAPS 42: what is no error, or quotes no whole header, is no quote") {
    for (const bool v6 : {false, true}) {
        const ByteVec packet = offender(v6);
        const std::size_t head = v6 ? 40 : 20;
        ByteVec error = error_about(packet, IcmpError::time_exceeded);
        const std::vector<std::uint8_t> types =
            v6 ? std::vector<std::uint8_t>{0, 5, 128, 129, 137} : std::vector<std::uint8_t>{0, 4, 5, 8, 13};
        for (const std::uint8_t type : types) {
            ByteVec other = error;
            other[head] = type;
            CHECK_FALSE(read(other));
        }
        CHECK_FALSE(read(packet));
        // Cut at every byte, with a length that agrees: headers must be there whole, ports need not.
        for (std::size_t size = head; size < head + 8 + head + 8; ++size) {
            ByteVec cut(error.begin(), error.begin() + static_cast<std::ptrdiff_t>(size));
            store(MutBytes(cut).subspan(v6 ? 4 : 2), Be16::of(static_cast<std::uint16_t>(v6 ? size - 40 : size)));
            if (!v6) set_ipv4_checksum(MutBytes(cut).first(20));
            const auto quote = read(cut);
            CHECK(quote.has_value() == (size >= head + 8 + head));
            if (quote) CHECK(quote->packet.ports_known == (size >= head + 8 + head + 4));
        }
        ByteVec crossed = error;
        crossed[head + 8] = static_cast<Byte>(v6 ? 0x45 : 0x60);
        CHECK_FALSE(read(crossed));
    }
}
