// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "lib/net/address.hpp"

namespace sluice::bench {

// out: clear frames come in on the lan port and leave sealed on the wan port. in: the other way round.
enum class Direction : std::uint8_t { out, in };
inline const char* to_string(Direction d) { return d == Direction::out ? "out" : "in"; }

// What SAs and workers a gateway has. Every measurement that differs in nothing here uses the same gateway.
struct GatewayShape {
    std::string aead = "aes128gcm16";  // an ESP proposal's keywords: "aes128gcm16", "aes128-sha256"
    std::uint32_t sas = 1;
    unsigned workers = 1;
    net::Family outer = net::Family::v4;
    bool udp = false;             // ESP in UDP (RFC 3948)
    std::uint32_t window = 64;    // replay window, packets; 0: none
    std::uint32_t spare_sas = 0;  // room for more that come and go
    friend bool operator==(const GatewayShape&, const GatewayShape&) = default;
};

// One row of the table.
struct Shape {
    GatewayShape gateway;
    Direction direction = Direction::out;
    std::uint32_t inner_bytes = 64;  // of the whole inner IPv4 packet
    unsigned burst = 64;             // frames that a worker receives at once
};

}  // namespace sluice::bench
