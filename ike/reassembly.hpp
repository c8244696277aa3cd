// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/engine_state.hpp"
#include "ike/protect.hpp"

namespace sluice::ike {

// Putting fragmented messages together (RFC 7383 2.6). Only authentic fragments come here.

inline constexpr std::size_t kMaxFragments = 512;             // of one message; more than 64 KiB ever needs
inline constexpr std::size_t kMaxReassembly = 65535;          // bytes of one message, from an authenticated peer
inline constexpr std::size_t kMaxHalfOpenReassembly = 16384;  // the same before the peer has authenticated
inline constexpr Duration kReassemblyTimeout = std::chrono::seconds(30);  // from the first fragment

// What a fragment that is not authentic yet may cost: a decryption, where it could be of use. False: it is a
// duplicate, of fewer fragments than are collected already, or of too many.
bool wants_fragment(const Reassembly& reassembly, std::uint32_t message_id, const FragmentNumbers& numbers);

// Adds a fragment. A larger total than before means that the peer split the message anew: what was collected is
// dropped (2.6). Of another message: likewise. The whole chain, once the last gap is closed; the reassembly is empty
// then. What grows beyond limit bytes is dropped with all that was collected.
struct FragmentOf {
    std::uint32_t message_id = 0;
    ByteVec hash;  // SHA-256 of the datagram
    std::size_t limit = kMaxReassembly;
};
enum class Collected : std::uint8_t { more, whole, dropped };
struct Collection {
    Collected result = Collected::more;
    Chain chain;         // whole
    ByteVec first_hash;  // whole: of fragment 1's datagram, by which a repeated request is known
};
Collection collect(Reassembly& reassembly, Fragment fragment, FragmentOf of, Instant now);

}  // namespace sluice::ike
