// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lib/base/bytes.hpp"
#include "lib/net/wire.hpp"

namespace sluice::esp {

inline constexpr std::size_t kNonEspMarkerSize = 4;  // four zero bytes before IKE on port 4500 (RFC 3948 2.2)
inline constexpr Byte kKeepalive = 0xff;             // the whole payload of a NAT keepalive (RFC 3948 2.3)

enum class UdpPayload : std::uint8_t {
    esp,        // begins with the SPI
    ike,        // the message begins after kNonEspMarkerSize bytes
    keepalive,  // drop without a word
    runt,       // too short for any of them: drop
};

// What a datagram on the NAT traversal port carries (RFC 3948 2). An SPI is never 0, so four zero bytes are the marker.
// ESP is told to be so from SPI and sequence number on; the SA decides the rest.
inline UdpPayload classify_udp(Bytes payload) {
    if (payload.size() == 1 && payload[0] == kKeepalive) return UdpPayload::keepalive;
    if (payload.size() <= kNonEspMarkerSize) return UdpPayload::runt;
    if ((payload[0] | payload[1] | payload[2] | payload[3]) == 0) return UdpPayload::ike;
    return payload.size() < sizeof(net::EspHeader) ? UdpPayload::runt : UdpPayload::esp;
}

}  // namespace sluice::esp
