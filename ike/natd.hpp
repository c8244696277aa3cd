// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "ike/message.hpp"
#include "lib/net/address.hpp"

namespace sluice::ike {

// Data of NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP: SHA-1(SPIi | SPIr | IP | Port) with the SPIs of the
// message that carries it, so SPIr is 0 in the first request (RFC 7296 2.23).
std::array<Byte, 20> nat_detection_hash(std::uint64_t initiator_spi, std::uint64_t responder_spi,
                                        const net::Endpoint& endpoint);

// What a received message says of the path. supported: both kinds of notify were there.
struct NatFindings {
    bool supported = false;
    bool remote_behind_nat = false;  // no SOURCE hash is that of where the message came from
    bool local_behind_nat = false;   // the DESTINATION hash is not that of where we got it
    friend bool operator==(const NatFindings&, const NatFindings&) = default;
};
// local and remote are the datagram's addresses as seen here.
NatFindings detect_nat(const Message& message, const net::Endpoint& local, const net::Endpoint& remote);

}  // namespace sluice::ike
