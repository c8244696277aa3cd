// SPDX-License-Identifier: Apache-2.0
#include "lib/net/icmp_quote.hpp"

#include "lib/net/checksum.hpp"

namespace sluice::net {
namespace {

// A quote is cut short, so its length says nothing about what came.
constexpr std::size_t kAnyLength = kMaxIpPacketSize + sizeof(Ipv6Header);

bool is_error(const Packet& packet, const IcmpHeader& icmp) {
    if (packet.is_v4()) {
        return icmp.type == kIcmpUnreachable || icmp.type == kIcmpTimeExceeded || icmp.type == kIcmpParameterProblem;
    }
    return icmp.type >= kIcmpv6Unreachable && icmp.type <= kIcmpv6ParameterProblem;
}

bool is_too_big(const Packet& packet, const IcmpHeader& icmp) {
    if (!packet.is_v4()) return icmp.type == kIcmpv6PacketTooBig;
    return icmp.type == kIcmpUnreachable && icmp.code == kIcmpFragmentationNeeded;
}

}  // namespace

std::optional<IcmpQuote> read_icmp_quote(const Packet& error, Bytes bytes) {
    if (!error.is_icmp() || error.is_fragment() || error.total_size > bytes.size()) return std::nullopt;
    const Bytes message = bytes.first(error.total_size).subspan(error.header_size);
    if (message.size() < sizeof(IcmpHeader)) return std::nullopt;
    const auto icmp = load<IcmpHeader>(message);
    if (!is_error(error, icmp)) return std::nullopt;
    IcmpQuote quote;
    quote.bytes = message.subspan(sizeof(IcmpHeader));
    quote.packet = parse_packet(quote.bytes, kAnyLength);
    if (!quote.packet.ok() || quote.packet.family != error.family) return std::nullopt;
    quote.too_big = is_too_big(error, icmp);
    // IPv4 has 16 bits of it, behind 16 unused ones.
    if (quote.too_big) quote.mtu = error.is_v4() ? icmp.rest.host() & 0xffff : icmp.rest.host();
    return quote;
}

bool icmp_checksum_ok(const Packet& packet, Bytes bytes) {
    const Bytes message = bytes.first(packet.total_size).subspan(packet.header_size);
    return packet.is_v4() ? checksum(message).raw() == 0 : upper_checksum_ok(pseudo_header(packet, bytes), message);
}

}  // namespace sluice::net
