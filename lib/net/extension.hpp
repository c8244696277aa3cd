// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/net/packet.hpp"

// Where something is put into, or taken out of, the chain of headers of one IP packet.
namespace sluice::net {

// A place between two headers. The field that names what follows is a next header, or IPv4's protocol.
struct HeaderPlace {
    std::size_t offset = 0;     // where what follows begins
    std::size_t named_at = 0;   // of the one-byte field that names it
    std::uint8_t protocol = 0;  // what that field says
};

// Where ESP goes in transport mode (RFC 4303 3.1.1): behind IPv4 with its options, and behind those IPv6 extension
// headers that nodes on the way have to see: hop-by-hop, routing, fragment, and destination options in front of one of
// these. Destination options for the last node come inside. It is also where IPv6 is cut by its source (RFC 8200 4.5).
// The packet has parsed.
HeaderPlace transport_place(const Packet& packet, Bytes bytes);

// The place of the upper layer, packet.header_size. The packet has parsed.
HeaderPlace upper_place(const Packet& packet, Bytes bytes);

// Writes the packet's own length into its IP header, and what stands at place; IPv4's checksum follows. bytes: the
// whole packet, of at most 65535 bytes (and the IPv6 header).
void rewrite_ip(MutBytes bytes, const HeaderPlace& place, std::uint8_t protocol);

}  // namespace sluice::net
