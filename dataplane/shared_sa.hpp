// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "dataplane/allowance.hpp"
#include "dataplane/emission.hpp"
#include "dataplane/sa.hpp"
#include "lib/ipsec/segment.hpp"

// An SA that several workers carry (ipsec::Workers::spread). Its head, which the SAD and the SPD know, carries nothing:
// a packet is sealed with the lane of the worker that seals it, and opened with the slice of its sequence number. Lanes
// and slices are halves like any other, each with its own lines, keys and counts, so whatever works on a half works on
// them; two cores write no line of one. What all of one SA share is below. Control makes and retires it with the head.
namespace sluice::dataplane {

// A lane for each worker. They take numbers and IVs in blocks, and shares of the lifetime.
struct SharedOutbound {
    SharedOutbound(const ipsec::Lifetime& l, bool esn, unsigned workers)
        : numbers(esn), packets(l.soft_packets, l.hard_packets, workers), bytes(l.soft_bytes, l.hard_bytes, workers) {}
    SharedNumbers numbers;
    Allowance packets;
    Allowance bytes;
    std::vector<std::unique_ptr<OutboundSa>> lanes;  // by worker
};

// A slice of the replay window for each part of the segment map. A slice belongs to its part, not to a worker: it has
// an owner, who alone touches it, and who gives it to another between two bursts, window and all, when the map says so.
// So it never starts afresh, no packet waits for the move, and nobody opens a packet with a slice that another still
// uses. Any worker reads the owner, and hands packets over to it.
struct SharedInbound {
    SharedInbound(const ipsec::Lifetime& l, const ipsec::SequenceSegments& by_number, unsigned workers)
        : packets(l.soft_packets, l.hard_packets, workers),
          bytes(l.soft_bytes, l.hard_bytes, workers),
          segments(by_number) {}
    InboundSa& slice(std::uint32_t seq_low) { return *slices[segments.of(seq_low).value - 1U]; }

    Allowance packets;
    Allowance bytes;
    const ipsec::SequenceSegments segments;
    std::vector<std::unique_ptr<InboundSa>> slices;  // by part
};

template <class F>
void for_each_slice(const InboundSa& head, const F& f) {
    if (head.shared == nullptr) return;
    for (const auto& slice : head.shared->slices) f(*slice);
}
template <class F>
void for_each_lane(const OutboundSa& head, const F& f) {
    if (head.shared == nullptr) return;
    for (const auto& lane : head.shared->lanes) f(*lane);
}

}  // namespace sluice::dataplane
