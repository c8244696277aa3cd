// SPDX-License-Identifier: Apache-2.0
#include "lib/net/icmp.hpp"

#include <algorithm>
#include <cstring>

namespace sluice::net {
namespace {

constexpr std::uint8_t kErrorTtl = 64;
constexpr std::uint8_t kErrorTos = 0xc0;  // internetwork control (RFC 1812 4.3.2.5)
constexpr std::size_t kLeastQuote = 8;    // of the upper layer (RFC 792)

struct TypeCode {
    std::uint8_t type;
    std::uint8_t code;
};

TypeCode v4_type(IcmpError error) {
    switch (error) {
        case IcmpError::packet_too_big:
            return {kIcmpUnreachable, kIcmpFragmentationNeeded};
        case IcmpError::time_exceeded:
            return {kIcmpTimeExceeded, 0};
        case IcmpError::no_route:
            return {kIcmpUnreachable, kIcmpNetUnreachable};
        case IcmpError::host_unreachable:
            return {kIcmpUnreachable, kIcmpHostUnreachable};
        case IcmpError::admin_prohibited:
            break;
    }
    return {kIcmpUnreachable, kIcmpAdminProhibited};
}

TypeCode v6_type(IcmpError error) {
    switch (error) {
        case IcmpError::packet_too_big:
            return {kIcmpv6PacketTooBig, 0};
        case IcmpError::time_exceeded:
            return {kIcmpv6TimeExceeded, 0};
        case IcmpError::no_route:
            return {kIcmpv6Unreachable, kIcmpv6NoRoute};
        case IcmpError::host_unreachable:
            return {kIcmpv6Unreachable, kIcmpv6AddressUnreachable};
        case IcmpError::admin_prohibited:
            break;
    }
    return {kIcmpv6Unreachable, kIcmpv6AdminProhibited};
}

// Only queries and their answers may be answered with an error; what is unknown counts as an error.
bool is_icmpv4_query(std::uint8_t type) {
    return type == kIcmpEchoReply || type == kIcmpEchoRequest || (type >= 9 && type <= 10) ||
           (type >= 13 && type <= 18);
}

bool single_host_v4(Bytes a) {
    return a[0] != 0 && a[0] != 127 && a[0] < 224;  // nor multicast, class E or broadcast
}

// Neither multicast nor the unspecified address nor loopback.
bool single_host_v6(Bytes a) {
    const bool low = std::all_of(a.begin(), a.begin() + 15, [](Byte b) { return b == 0; }) && a[15] <= 1;
    return a[0] != 0xff && !low;
}

bool v4_allowed(const Packet& packet, Bytes bytes) {
    if (packet.is_icmp() && (!packet.ports_known || !is_icmpv4_query(bytes[packet.header_size]))) return false;
    const Bytes destination = destination_bytes(packet, bytes);
    return single_host_v4(source_bytes(packet, bytes)) && destination[0] < 224;
}

bool v6_allowed(IcmpError error, const Packet& packet, Bytes bytes) {
    if (packet.is_icmp()) {
        const bool error_or_redirect = !packet.ports_known || bytes[packet.header_size] < kIcmpv6FirstInformational ||
                                       bytes[packet.header_size] == kIcmpv6Redirect;
        if (error_or_redirect) return false;
    }
    const bool to_many = destination_bytes(packet, bytes)[0] == 0xff;
    return single_host_v6(source_bytes(packet, bytes)) && (!to_many || error == IcmpError::packet_too_big);
}

void write_v4(const IcmpErrorInput& input, const Packet& packet, Bytes bytes, MutBytes out) {
    Ipv4Header ip{};
    ip.version_ihl = 0x45;
    ip.tos = kErrorTos;
    ip.total_length = Be16::of(static_cast<std::uint16_t>(out.size()));
    ip.ttl = kErrorTtl;
    ip.protocol = kProtocolIcmp;
    std::memcpy(ip.source.data(), input.source.bytes().data(), 4);
    std::memcpy(ip.destination.data(), source_bytes(packet, bytes).data(), 4);
    store(out, ip);
    set_ipv4_checksum(out.first(sizeof(ip)));

    const TypeCode kind = v4_type(input.error);
    const bool too_big = input.error == IcmpError::packet_too_big;
    const std::uint32_t mtu = std::clamp<std::uint32_t>(input.mtu, kMinIpv4Mtu, kMaxIpPacketSize);
    const MutBytes message = out.subspan(sizeof(ip));
    store(message, IcmpHeader{kind.type, kind.code, Be16{}, Be32::of(too_big ? mtu : 0)});
    std::memcpy(message.data() + sizeof(IcmpHeader), bytes.data(), message.size() - sizeof(IcmpHeader));
    store(message.subspan(offsetof(IcmpHeader, checksum)), checksum(message));
}

void write_v6(const IcmpErrorInput& input, const Packet& packet, Bytes bytes, MutBytes out) {
    Ipv6Header ip{};
    ip.version_class_flow = Ipv6Header::make_first_word(kErrorTos, 0);
    ip.payload_length = Be16::of(static_cast<std::uint16_t>(out.size() - sizeof(ip)));
    ip.next_header = kProtocolIcmpv6;
    ip.hop_limit = kErrorTtl;
    std::memcpy(ip.source.data(), input.source.bytes().data(), 16);
    std::memcpy(ip.destination.data(), source_bytes(packet, bytes).data(), 16);
    store(out, ip);

    const TypeCode kind = v6_type(input.error);
    const bool too_big = input.error == IcmpError::packet_too_big;
    const std::uint32_t mtu = std::max<std::uint32_t>(input.mtu, kMinIpv6Mtu);
    const MutBytes message = out.subspan(sizeof(ip));
    store(message, IcmpHeader{kind.type, kind.code, Be16{}, Be32::of(too_big ? mtu : 0)});
    std::memcpy(message.data() + sizeof(IcmpHeader), bytes.data(), message.size() - sizeof(IcmpHeader));
    const PseudoHeader pseudo{input.source.bytes(), source_bytes(packet, bytes), kProtocolIcmpv6,
                              static_cast<std::uint32_t>(message.size())};
    store(message.subspan(offsetof(IcmpHeader, checksum)), upper_checksum(pseudo, message));
}

}  // namespace

bool icmp_error_allowed(IcmpError error, const Packet& packet, Bytes bytes) {
    if (!packet.ok() || packet.fragment_offset != 0) return false;
    return packet.is_v4() ? v4_allowed(packet, bytes) : v6_allowed(error, packet, bytes);
}

std::size_t write_icmp_error(const IcmpErrorInput& input, const Packet& packet, Bytes bytes, MutBytes out) {
    if (input.source.family() != packet.family) return 0;
    const std::size_t ip_size = packet.is_v4() ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
    const std::size_t head = ip_size + sizeof(IcmpHeader);
    const std::size_t limit = std::min(out.size(), packet.is_v4() ? kMaxIcmpv4Error : kMaxIcmpv6Error);
    const std::size_t whole = std::min<std::size_t>(bytes.size(), packet.total_size);
    const std::size_t least = std::min(whole, packet.header_size + kLeastQuote);
    if (limit < head + least) return 0;
    const MutBytes written = out.first(head + std::min(whole, limit - head));
    packet.is_v4() ? write_v4(input, packet, bytes, written) : write_v6(input, packet, bytes, written);
    return written.size();
}

}  // namespace sluice::net
