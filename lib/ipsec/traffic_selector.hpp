// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/net/address.hpp"

namespace sluice::ipsec {

// What a policy sees of a packet (RFC 4301 4.4.1.1). For ICMP the "ports" hold type and code as RFC 7296 3.13.1 packs
// them: source_port = destination_port = type << 8 | code. A packet whose ports cannot be seen (non-first fragment,
// ESP inside) has ports_known = false and matches only selectors with all ports or OPAQUE.
struct PacketSelector {
    net::IpAddress source;
    net::IpAddress destination;
    std::uint8_t protocol = 0;
    bool ports_known = false;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    friend bool operator==(const PacketSelector&, const PacketSelector&) = default;
};

// One traffic selector (RFC 7296 3.13.1): one end's addresses, protocol and ports. protocol 0 is any. Ports 0-65535 is
// all; start_port 65535 with end_port 0 is OPAQUE.
struct TrafficSelector {
    net::AddressRange range;
    std::uint8_t protocol = 0;
    std::uint16_t start_port = 0;
    std::uint16_t end_port = 65535;

    bool is_opaque() const { return start_port == 65535 && end_port == 0; }
    bool all_ports() const { return start_port == 0 && end_port == 65535; }
    // Whether one end of a packet lies inside.
    bool matches(const net::IpAddress& address, std::uint8_t packet_protocol, bool ports_known,
                 std::uint16_t port) const;
    bool contains(const TrafficSelector& other) const;
    // What both allow, if anything.
    std::optional<TrafficSelector> intersect(const TrafficSelector& other) const;
    std::string to_string() const;  // strongSwan's form: "10.1.0.0/16[tcp/80]"
    friend auto operator<=>(const TrafficSelector&, const TrafficSelector&) = default;
};
using TrafficSelectors = std::vector<TrafficSelector>;

// A configured selector: swanctl's "10.1.0.0/16", "10.1.0.0/16[tcp/80]", "fd00::/8[icmp]", "10.0.0.1-10.0.0.9",
// "0.0.0.0/0[udp/1024-2048]", "[/opaque]" ports, or "dynamic[...]", the tunnel end itself, resolved when the addresses
// are known.
struct ConfiguredSelector {
    bool dynamic = false;
    TrafficSelector selector;  // range unset where dynamic
    static Result<ConfiguredSelector> parse(std::string_view text);
    TrafficSelector resolve(const net::IpAddress& own) const;
    std::string to_string() const;
    friend bool operator==(const ConfiguredSelector&, const ConfiguredSelector&) = default;
};

// Narrows what a peer proposed to what the configuration allows (RFC 7296 2.9): every intersection, without those
// contained in another, in the order of the configuration. Empty where nothing is common. At most kMaxSelectors: what
// a peer proposes can meet every configured selector, and a TS payload counts in one byte.
inline constexpr std::size_t kMaxSelectors = 255;
TrafficSelectors narrow(const TrafficSelectors& configured, const TrafficSelectors& proposed);

// Whether source and destination of a packet lie in the lists (source side first).
bool matches(const TrafficSelectors& source_side, const TrafficSelectors& destination_side,
             const PacketSelector& packet);

std::string to_string(const TrafficSelectors& list);

}  // namespace sluice::ipsec
