// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lib/net/address.hpp"
#include "lib/net/checksum.hpp"
#include "lib/net/wire.hpp"

namespace sluice::net {

// Why bytes are not an IP packet that may be forwarded. none is success.
enum class PacketFault : std::uint8_t {
    none,
    truncated,      // headers end before they are whole
    version,        // neither 4 nor 6
    header_length,  // IPv4 IHL below 5 or beyond the packet
    total_length,   // less than the headers, or more than what came
    checksum,       // of the IPv4 header
    extensions,     // IPv6 chain out of order, too long, or not whole in the first fragment (RFC 7112)
    fragment,       // reaches past 65535 bytes, or is no multiple of 8 and not the last
};

// What a gateway has to know of a packet, found in one walk. Sizes and offsets in bytes from the IP header on.
struct Packet {
    PacketFault fault = PacketFault::none;
    Family family = Family::none;
    std::uint8_t protocol = 0;    // upper layer, past IPv6 extension headers; of a later fragment what its header names
    std::uint8_t tos = 0;         // DSCP:6 | ECN:2
    std::uint8_t ttl = 0;         // or hop limit
    bool dont_fragment = false;   // IPv4 DF; always true for IPv6, which routers never fragment
    bool more_fragments = false;  // with fragment_offset: part of a fragmented packet
    bool ports_known = false;     // false in later fragments, for protocols without ports and for cut headers
    std::uint16_t fragment_offset = 0;
    std::uint16_t header_size = 0;  // where the upper layer begins
    std::uint16_t source_port = 0;  // host order; for ICMP both are type << 8 | code (RFC 7296 3.13.1)
    std::uint16_t destination_port = 0;
    std::uint32_t total_size = 0;  // the packet's own length: link padding may follow

    constexpr bool ok() const { return fault == PacketFault::none; }
    constexpr bool is_v4() const { return family == Family::v4; }
    constexpr bool is_fragment() const { return more_fragments || fragment_offset != 0; }
    friend constexpr bool operator==(const Packet&, const Packet&) = default;
    constexpr bool is_icmp() const { return protocol == (is_v4() ? kProtocolIcmp : kProtocolIcmpv6); }
};

// RFC 4301 4.4.1.1: the extension headers that a selector looks past. AH and ESP are not among them.
constexpr bool is_skipped_extension(std::uint8_t next_header) {
    return next_header == kProtocolHopByHop || next_header == kProtocolRouting || next_header == kProtocolFragment ||
           next_header == kProtocolDestinationOptions;
}

namespace detail {

constexpr bool has_ports(std::uint8_t protocol) {
    return protocol == kProtocolTcp || protocol == kProtocolUdp || protocol == kProtocolSctp ||
           protocol == kProtocolDccp || protocol == kProtocolUdpLite;
}

inline void read_ports(Packet& p, Bytes bytes) {
    if (p.fragment_offset != 0) return;
    const Bytes upper = bytes.subspan(p.header_size);
    const std::size_t left = std::min<std::size_t>(upper.size(), p.total_size - p.header_size);
    if (p.is_icmp() && left >= 2) {
        p.source_port = p.destination_port = load<Be16>(upper).host();
        p.ports_known = true;
    } else if (has_ports(p.protocol) && left >= 4) {
        p.source_port = load<Be16>(upper).host();
        p.destination_port = load<Be16>(upper.subspan(2)).host();
        p.ports_known = true;
    }
}

constexpr PacketFault fragment_fault(const Packet& p) {
    if (!p.is_fragment()) return PacketFault::none;
    const std::size_t payload = p.total_size - p.header_size;
    const std::size_t limit = kMaxIpPacketSize + (p.is_v4() ? 0 : sizeof(Ipv6Header));
    if (p.fragment_offset + payload + p.header_size > limit) return PacketFault::fragment;
    if (p.more_fragments && (payload % 8 != 0 || payload == 0)) return PacketFault::fragment;
    return PacketFault::none;
}

inline PacketFault parse_v4(Packet& p, Bytes bytes, std::size_t length) {
    if (bytes.size() < sizeof(Ipv4Header)) return PacketFault::truncated;
    const auto ip = load<Ipv4Header>(bytes);
    const std::size_t header_size = ip.header_size();
    if (header_size < sizeof(Ipv4Header)) return PacketFault::header_length;
    if (header_size > bytes.size()) return header_size > length ? PacketFault::header_length : PacketFault::truncated;
    p.total_size = ip.total_length.host();
    if (p.total_size < header_size || p.total_size > length) return PacketFault::total_length;
    if (!ipv4_checksum_ok(bytes.first(header_size))) return PacketFault::checksum;
    p.family = Family::v4;
    p.protocol = ip.protocol;
    p.tos = ip.tos;
    p.ttl = ip.ttl;
    p.dont_fragment = ip.dont_fragment();
    p.more_fragments = ip.more_fragments();
    p.fragment_offset = static_cast<std::uint16_t>(ip.fragment_offset());
    p.header_size = static_cast<std::uint16_t>(header_size);
    return PacketFault::none;
}

// Walks the skipped extension headers. bytes end where the packet or its contiguous part does.
inline PacketFault walk_extensions(Packet& p, Bytes bytes) {
    std::size_t at = sizeof(Ipv6Header);
    bool fragment_seen = false;
    for (std::size_t n = 0; is_skipped_extension(p.protocol); ++n) {
        if (n == kMaxExtensionHeaders || (p.protocol == kProtocolHopByHop && n != 0)) return PacketFault::extensions;
        if (bytes.size() - at < sizeof(Ipv6FragmentHeader)) return PacketFault::extensions;
        std::size_t size = sizeof(Ipv6FragmentHeader);
        if (p.protocol == kProtocolFragment) {
            if (fragment_seen) return PacketFault::extensions;
            fragment_seen = true;
            const auto fragment = load<Ipv6FragmentHeader>(bytes.subspan(at));
            p.more_fragments = fragment.more_fragments();
            p.fragment_offset = static_cast<std::uint16_t>(fragment.fragment_offset());
            p.protocol = fragment.next_header;
        } else {
            const auto extension = load<Ipv6ExtensionHeader>(bytes.subspan(at));
            size = (std::size_t{extension.length} + 1) * 8;
            if (bytes.size() - at < size) return PacketFault::extensions;
            p.protocol = extension.next_header;
        }
        at += size;
        if (p.fragment_offset != 0) break;  // what follows is the middle of something
    }
    p.header_size = static_cast<std::uint16_t>(at);
    return PacketFault::none;
}

inline PacketFault parse_v6(Packet& p, Bytes bytes, std::size_t length) {
    if (bytes.size() < sizeof(Ipv6Header)) return PacketFault::truncated;
    const auto ip = load<Ipv6Header>(bytes);
    p.total_size = static_cast<std::uint32_t>(sizeof(Ipv6Header)) + ip.payload_length.host();
    if (p.total_size > length) return PacketFault::total_length;
    p.family = Family::v6;
    p.protocol = ip.next_header;
    p.tos = ip.traffic_class();
    p.ttl = ip.hop_limit;
    p.dont_fragment = true;
    return walk_extensions(p, bytes.first(std::min<std::size_t>(bytes.size(), p.total_size)));
}

// The rest of a packet without options or extension headers, once family, protocol and header size are set: TCP, UDP or
// ESP, whole, whose first four bytes are at upper. False for other protocols.
inline bool fill_plain(Packet& p, const Byte* upper, std::size_t total) {
    p.ports_known = p.protocol == kProtocolUdp || p.protocol == kProtocolTcp;
    if (!p.ports_known && p.protocol != kProtocolEsp) return false;
    std::uint32_t both;
    std::memcpy(&both, upper, sizeof(both));
    both = p.ports_known ? byte_swap(both) : 0;
    p.source_port = static_cast<std::uint16_t>(both >> 16);
    p.destination_port = static_cast<std::uint16_t>(both);
    p.fault = PacketFault::none;
    p.more_fragments = false;
    p.fragment_offset = 0;
    p.total_size = static_cast<std::uint32_t>(total);
    return true;
}

// What nearly every packet is, in few instructions: IPv4 without options or fragments, right, with TCP, UDP or ESP in
// it. False for everything else, wrong or only rarer, which the walk above then tells apart; p is undefined.
inline bool parse_plain_v4(Packet& p, Bytes bytes, std::size_t length) {
    constexpr std::size_t kLeast = sizeof(Ipv4Header) + 4;  // ports, or an SPI
    if (bytes.size() < kLeast || bytes[0] != 0x45) return false;
    std::uint64_t first;
    std::memcpy(&first, bytes.data(), sizeof(first));
    const std::size_t total = byte_swap(static_cast<std::uint16_t>(first >> 16));
    const Byte flags = bytes[offsetof(Ipv4Header, fragment)];
    if ((first >> 48 & 0xffbf) != 0) return false;  // anything but DF
    if (total < kLeast || total > length || !plain_ipv4_checksum_ok(bytes.data())) return false;
    p.family = Family::v4;
    p.protocol = bytes[offsetof(Ipv4Header, protocol)];
    p.tos = bytes[offsetof(Ipv4Header, tos)];
    p.ttl = bytes[offsetof(Ipv4Header, ttl)];
    p.dont_fragment = flags != 0;
    p.header_size = sizeof(Ipv4Header);
    return fill_plain(p, bytes.data() + sizeof(Ipv4Header), total);
}

// The same for IPv6: without extension headers.
inline bool parse_plain_v6(Packet& p, Bytes bytes, std::size_t length) {
    constexpr std::size_t kLeast = sizeof(Ipv6Header) + 4;  // ports, or an SPI
    if (bytes.size() < kLeast || bytes[0] >> 4 != 6) return false;
    std::uint64_t first;
    std::memcpy(&first, bytes.data(), sizeof(first));
    const std::size_t total = sizeof(Ipv6Header) + byte_swap(static_cast<std::uint16_t>(first >> 32));
    if (total < kLeast || total > length) return false;
    p.family = Family::v6;
    p.protocol = static_cast<std::uint8_t>(first >> 48);
    p.tos = static_cast<std::uint8_t>((first << 4 & 0xf0) | (first >> 12 & 0x0f));
    p.ttl = static_cast<std::uint8_t>(first >> 56);
    p.dont_fragment = true;
    p.header_size = sizeof(Ipv6Header);
    return fill_plain(p, bytes.data() + sizeof(Ipv6Header), total);
}

inline bool parse_plain(Packet& p, Bytes bytes, std::size_t length) {
    return parse_plain_v4(p, bytes, length) || parse_plain_v6(p, bytes, length);
}

// Any packet, header by header.
inline void parse_walked(Packet& p, Bytes bytes, std::size_t length) {
    p = Packet{};
    const unsigned version = bytes.empty() ? 0 : bytes[0] >> 4;
    if (bytes.empty()) {
        p.fault = PacketFault::truncated;
    } else if (version == 4) {
        p.fault = parse_v4(p, bytes, length);
    } else if (version == 6) {
        p.fault = parse_v6(p, bytes, length);
    } else {
        p.fault = PacketFault::version;
    }
    if (!p.ok()) return;
    p.fault = fragment_fault(p);
    if (p.ok()) read_ports(p, bytes);
}

}  // namespace detail

// Reads the headers of an IP packet into p, whose old content does not matter. bytes is its contiguous beginning and
// length what came in all (more than bytes in a packet of several segments). No allocation, no exception; untrusted
// input costs a fault and nothing else.
inline void parse_packet(Packet& p, Bytes bytes, std::size_t length) {
    if (!detail::parse_plain(p, bytes, length)) detail::parse_walked(p, bytes, length);
}
inline Packet parse_packet(Bytes bytes, std::size_t length) {
    Packet p;
    parse_packet(p, bytes, length);
    return p;
}
inline Packet parse_packet(Bytes bytes) { return parse_packet(bytes, bytes.size()); }

// Addresses of a packet that parsed: 4 or 16 bytes inside it.
inline Bytes source_bytes(const Packet& p, Bytes bytes) {
    return p.is_v4() ? bytes.subspan(offsetof(Ipv4Header, source), 4) : bytes.subspan(offsetof(Ipv6Header, source), 16);
}
inline Bytes destination_bytes(const Packet& p, Bytes bytes) {
    return p.is_v4() ? bytes.subspan(offsetof(Ipv4Header, destination), 4)
                     : bytes.subspan(offsetof(Ipv6Header, destination), 16);
}
inline IpAddress to_address(Bytes bytes) {
    return bytes.size() == 4 ? IpAddress::v4(bytes.first<4>()) : IpAddress::v6(bytes.first<16>());
}
inline IpAddress source_address(const Packet& p, Bytes bytes) { return to_address(source_bytes(p, bytes)); }
inline IpAddress destination_address(const Packet& p, Bytes bytes) { return to_address(destination_bytes(p, bytes)); }

// The pseudo header of the upper layer of a packet that parsed and is not a fragment. IPv6 routing headers are not
// followed: with segments left the final destination is another (RFC 8200 8.1).
inline PseudoHeader pseudo_header(const Packet& p, Bytes bytes) {
    return {source_bytes(p, bytes), destination_bytes(p, bytes), p.protocol, p.total_size - p.header_size};
}

}  // namespace sluice::net
