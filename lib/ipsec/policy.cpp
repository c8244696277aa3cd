// SPDX-License-Identifier: Apache-2.0
#include "lib/ipsec/policy.hpp"

namespace sluice::ipsec {

const Policy* Spd::find_outbound(const PacketSelector& packet) const {
    for (const Policy& policy : policies) {
        if (matches(policy.local, policy.remote, packet)) return &policy;
    }
    return nullptr;
}

const Policy* Spd::find_inbound(const PacketSelector& packet) const {
    for (const Policy& policy : policies) {
        if (matches(policy.remote, policy.local, packet)) return &policy;
    }
    return nullptr;
}

}  // namespace sluice::ipsec
