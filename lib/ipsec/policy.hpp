// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lib/base/strong.hpp"
#include "lib/ipsec/traffic_selector.hpp"

namespace sluice::ipsec {

enum class PolicyAction : std::uint8_t { discard, bypass, protect };

// One ordered entry of the SPD (RFC 4301 4.4.1), seen from here: local is the source of outbound packets and the
// destination of inbound ones. A protect policy exists from the moment its configuration is loaded; without an SA its
// traffic is dropped (and an acquire raised where trap is set), never sent in clear (TRAPS 54).
struct Policy {
    PolicyId id;
    std::string name;
    PolicyAction action = PolicyAction::discard;
    TrafficSelectors local;
    TrafficSelectors remote;
    bool trap = false;  // raise Acquire for the first packet without an SA
    friend bool operator==(const Policy&, const Policy&) = default;
};

// The reference SPD: a list searched in order, used by control and as the slow model that the workers' compiled form is
// tested against. default_action is what no policy matches.
struct Spd {
    std::vector<Policy> policies;
    PolicyAction default_action = PolicyAction::bypass;
    // Null where the default action applies.
    const Policy* find_outbound(const PacketSelector& packet) const;
    const Policy* find_inbound(const PacketSelector& packet) const;
};

}  // namespace sluice::ipsec
