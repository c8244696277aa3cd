// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lib/net/packet.hpp"

namespace sluice::net {

// The largest segment that fits a packet of mtu bytes behind the headers of this one (RFC 6691 2: options of TCP do not
// count); 0 where none does.
constexpr std::uint16_t mss_for(const Packet& packet, std::size_t mtu) {
    const std::size_t headers = packet.header_size + sizeof(TcpHeader);
    return mtu > headers ? static_cast<std::uint16_t>(mtu - headers) : std::uint16_t{0};
}

// Lowers the maximum segment size that a TCP SYN announces (RFC 9293 3.7.1) to most and mends its checksum; never
// raises it, and adds no option: who announces none expects 536 or 1220 bytes at most. True: the packet has changed.
// Anything but a whole SYN is left alone. The packet has parsed.
bool clamp_mss(const Packet& packet, MutBytes bytes, std::uint16_t most);

}  // namespace sluice::net
