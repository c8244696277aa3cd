// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "lib/net/packet.hpp"

namespace sluice::net {

// What an ICMP error is about: the beginning of a packet that somebody sent (RFC 792, RFC 4443 2.4).
struct IcmpQuote {
    Packet packet;          // of the quoted headers; total_size as they say, though less of it is there
    Bytes bytes;            // what is quoted of it, from its IP header on
    bool too_big = false;   // fragmentation needed or packet too big
    std::uint32_t mtu = 0;  // where too_big; 0: the router did not say (RFC 1191 4)
};

// Errors only: unreachable, too big, time exceeded and parameter problem. Nothing for anything else, for fragments, and
// for a quote whose headers are not whole. The error's own checksum is not looked at. The packet has parsed.
std::optional<IcmpQuote> read_icmp_quote(const Packet& error, Bytes bytes);

// Whether the checksum of an ICMP or ICMPv6 packet is right. The packet has parsed and is no fragment.
bool icmp_checksum_ok(const Packet& packet, Bytes bytes);

}  // namespace sluice::net
