// SPDX-License-Identifier: Apache-2.0
#include "lib/net/extension.hpp"

namespace sluice::net {
namespace {

constexpr std::size_t kIpv4ProtocolAt = offsetof(Ipv4Header, protocol);
constexpr std::size_t kIpv6NextHeaderAt = offsetof(Ipv6Header, next_header);

// The next place in an IPv6 chain. The caller has seen that an extension header which is skipped stands at place.
HeaderPlace behind(const HeaderPlace& place, Bytes bytes) {
    const auto extension = load<Ipv6ExtensionHeader>(bytes.subspan(place.offset));
    const std::size_t size =
        place.protocol == kProtocolFragment ? sizeof(Ipv6FragmentHeader) : (std::size_t{extension.length} + 1) * 8;
    return {.offset = place.offset + size, .named_at = place.offset, .protocol = extension.next_header};
}

HeaderPlace behind_ip(const Packet& packet, Bytes bytes) {
    if (packet.is_v4()) {
        return {.offset = packet.header_size, .named_at = kIpv4ProtocolAt, .protocol = bytes[kIpv4ProtocolAt]};
    }
    return {.offset = sizeof(Ipv6Header), .named_at = kIpv6NextHeaderAt, .protocol = bytes[kIpv6NextHeaderAt]};
}

}  // namespace

HeaderPlace transport_place(const Packet& packet, Bytes bytes) {
    HeaderPlace place = behind_ip(packet, bytes);
    HeaderPlace found = place;
    while (place.offset < packet.header_size) {
        const bool on_the_way = place.protocol != kProtocolDestinationOptions;
        place = behind(place, bytes);
        if (on_the_way) found = place;
    }
    return found;
}

HeaderPlace upper_place(const Packet& packet, Bytes bytes) {
    HeaderPlace place = behind_ip(packet, bytes);
    while (place.offset < packet.header_size) place = behind(place, bytes);
    return place;
}

void rewrite_ip(MutBytes bytes, const HeaderPlace& place, std::uint8_t protocol) {
    bytes[place.named_at] = protocol;
    if (bytes[0] >> 4 == 4) {
        store(bytes.subspan(offsetof(Ipv4Header, total_length)), Be16::of(static_cast<std::uint16_t>(bytes.size())));
        set_ipv4_checksum(bytes.first(load<Ipv4Header>(bytes).header_size()));
    } else {
        store(bytes.subspan(offsetof(Ipv6Header, payload_length)),
              Be16::of(static_cast<std::uint16_t>(bytes.size() - sizeof(Ipv6Header))));
    }
}

}  // namespace sluice::net
