// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/ipsec/traffic_selector.hpp"
#include "lib/net/packet.hpp"

namespace sluice::ipsec {

// What a policy sees of a packet that parsed; bytes are the ones that were parsed.
inline PacketSelector selector_of(const net::Packet& packet, Bytes bytes) {
    return {.source = net::source_address(packet, bytes),
            .destination = net::destination_address(packet, bytes),
            .protocol = packet.protocol,
            .ports_known = packet.ports_known,
            .source_port = packet.source_port,
            .destination_port = packet.destination_port};
}

}  // namespace sluice::ipsec
