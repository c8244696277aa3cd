// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <vector>

#include "ike/keymat.hpp"
#include "lib/base/bytes.hpp"
#include "lib/ipsec/proposal.hpp"

namespace sluice::ike {

using crypto::Encr;
using crypto::Group;
using crypto::Integ;
using crypto::Prf;

// What two strongSwan 5.9.8 said to each other and logged (ike = 4, chd = 4). Carol (192.0.2.2, initiator of
// everything) and moon (192.0.2.1) each sent seven messages, taken off the wire between them, non-ESP marker removed.
// All in hex.
struct PeerRecord {
    struct IkeSecrets {
        std::string_view shared, skeyseed, d, ai, ar, ei, er, pi, pr;
    };
    struct ChildSecrets {
        std::string_view shared, encr_i, encr_r, integ_i, integ_r;
    };
    ipsec::Suite suite;
    ipsec::Suite child_suite;
    // 0, 1 IKE_SA_INIT; 2, 3 IKE_AUTH; 4, 5 CREATE_CHILD_SA that rekeys the child; 6, 7 the old child's delete;
    // 8, 9 CREATE_CHILD_SA that rekeys the IKE SA; 10, 11 the old IKE SA's delete; 12, 13 the new one's. Even: carol's.
    std::vector<std::string_view> messages;
    IkeSecrets ike;
    IkeSecrets rekeyed_ike;
    ChildSecrets child;
    ChildSecrets rekeyed_child;
};

inline constexpr std::string_view kPeerPsk = "a shared secret for both";
inline constexpr std::string_view kPeerInitiatorId = "carol@sluice.test";
inline constexpr std::string_view kPeerResponderId = "moon.sluice.test";

inline ByteVec hex(std::string_view text) { return *from_hex(text); }

}  // namespace sluice::ike
