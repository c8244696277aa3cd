// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "lib/net/checksum.hpp"
#include "lib/net/wire.hpp"

// How the header outside a tunnel follows from the one inside and back (RFC 4301 5.1.2; TRAPS 39).
namespace sluice::net {

enum class Ecn : std::uint8_t { not_ect = 0, ect1 = 1, ect0 = 2, ce = 3 };  // RFC 3168 5
inline constexpr std::uint8_t kEcnMask = 3;
constexpr Ecn ecn_of(std::uint8_t tos) { return static_cast<Ecn>(tos & kEcnMask); }

enum class OuterDf : std::uint8_t { copy, set, clear };

// What a tunnel copies between the headers. The defaults are RFC 6040's normal mode, and DSCP outwards only: inwards it
// would let whoever is on the path choose the class of service of what has been protected (RFC 2983, RFC 4301 5.1.2.1).
struct TunnelRules {
    OuterDf df = OuterDf::copy;
    bool dscp_out = true;
    bool dscp_in = false;
    bool ecn_out = true;  // false: RFC 6040 compatibility mode, the outer header is not ECN-capable
};

// Outer TOS or traffic class on the way in (RFC 6040 4.1).
constexpr std::uint8_t outer_tos(std::uint8_t inner_tos, const TunnelRules& rules) {
    const int dscp = rules.dscp_out ? inner_tos & ~kEcnMask : 0;
    const int ecn = rules.ecn_out ? inner_tos & kEcnMask : 0;
    return static_cast<std::uint8_t>(dscp | ecn);
}

// ECN on the way out (RFC 6040 4.2, figure 4). Nothing: the outer header says congestion and the inner one cannot carry
// it, so the packet must be dropped.
constexpr std::optional<Ecn> decapsulated_ecn(Ecn inner, Ecn outer) {
    if (inner == Ecn::not_ect) {
        if (outer == Ecn::ce) return std::nullopt;
        return Ecn::not_ect;
    }
    if (inner == Ecn::ce || outer == Ecn::ce) return Ecn::ce;
    if (outer == Ecn::ect1) return Ecn::ect1;
    return inner;
}

// Inner TOS or traffic class on the way out; nothing where the packet must be dropped.
constexpr std::optional<std::uint8_t> inner_tos(std::uint8_t inner, std::uint8_t outer, const TunnelRules& rules) {
    const auto ecn = decapsulated_ecn(ecn_of(inner), ecn_of(outer));
    if (!ecn) return std::nullopt;
    const int dscp = (rules.dscp_in ? outer : inner) & ~kEcnMask;
    return static_cast<std::uint8_t>(dscp | static_cast<int>(*ecn));
}

// inner_df: the DF bit of an inner IPv4 packet, true for IPv6.
constexpr bool outer_df(bool inner_df, OuterDf rule) {
    return rule == OuterDf::set || (rule == OuterDf::copy && inner_df);
}

// Sets TOS or traffic class in place; the IPv4 checksum follows. The packet has parsed.
inline void set_ipv4_tos(MutBytes packet, std::uint8_t tos) {
    const auto old_word = load<Be16>(packet);
    packet[1] = tos;
    const MutBytes field = packet.subspan(offsetof(Ipv4Header, checksum));
    store(field, checksum_update(load<Be16>(field), old_word, load<Be16>(packet)));
}
inline void set_ipv6_traffic_class(MutBytes packet, std::uint8_t traffic_class) {
    const std::uint32_t flow = load<Ipv6Header>(packet).flow_label();
    store(packet, Ipv6Header::make_first_word(traffic_class, flow));
}

// One hop: where a packet is routed, once, and nowhere else (RFC 4301 5.1.2.1: on the way into a tunnel the inner TTL
// is decremented by the forwarding, and on the way out by the forwarding that follows). False: it was 0 or 1, nothing
// has changed, and a time exceeded is due.
inline bool decrement_ipv4_ttl(MutBytes packet) {
    constexpr std::size_t kTtl = offsetof(Ipv4Header, ttl);
    if (packet[kTtl] <= 1) return false;
    --packet[kTtl];
    // RFC 1624 eqn. 3 for a word that has become one less, TTL being the low byte as memory holds it: one more, the
    // carry added in, and 0 where that would be 0xffff.
    const MutBytes field = packet.subspan(offsetof(Ipv4Header, checksum));
    const std::uint32_t sum = load<Be16>(field).raw() + 1U;
    store(field, Be16::of_raw(static_cast<std::uint16_t>(sum + (sum >= 0xffff ? 1 : 0))));
    return true;
}
inline bool decrement_ipv6_hop_limit(MutBytes packet) {
    constexpr std::size_t kHopLimit = offsetof(Ipv6Header, hop_limit);
    if (packet[kHopLimit] <= 1) return false;
    --packet[kHopLimit];
    return true;
}

inline constexpr std::uint8_t kOuterTtl = 64;

// What differs from packet to packet in an outer header. total_size: the whole outer packet, IP header included.
struct OuterIpv4 {
    std::size_t total_size = 0;
    std::uint8_t tos = 0;
    bool dont_fragment = false;
    std::uint16_t id = 0;  // must not repeat within two minutes where the packet may be fragmented (RFC 6864 4)
};
// Completes a template in place: the first eight bytes of a header of 20, and its checksum. template_sum is the folded
// sum of the template's words, whose variable fields are zero but for version and header length.
inline void write_ipv4_variable(Byte* header, std::uint16_t template_sum, const OuterIpv4& packet) {
    const Be16 length = Be16::of(static_cast<std::uint16_t>(packet.total_size));
    const Be16 id = Be16::of(packet.id);
    const Be16 fragment = Be16::of(packet.dont_fragment ? Ipv4Header::kDontFragment : std::uint16_t{0});
    const std::uint64_t first = std::uint64_t{0x45} | std::uint64_t{packet.tos} << 8 |
                                std::uint64_t{length.raw()} << 16 | std::uint64_t{id.raw()} << 32 |
                                std::uint64_t{fragment.raw()} << 48;
    std::memcpy(header, &first, sizeof(first));
    std::uint32_t sum =
        std::uint32_t{template_sum} + (std::uint32_t{packet.tos} << 8) + length.raw() + id.raw() + fragment.raw();
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    const auto checksum = static_cast<std::uint16_t>(~sum);
    std::memcpy(header + offsetof(Ipv4Header, checksum), &checksum, sizeof(checksum));
}

}  // namespace sluice::net
