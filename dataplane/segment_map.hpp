// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cassert>
#include <cstdint>

#include "lib/base/strong.hpp"
#include "lib/ipsec/segment.hpp"

namespace sluice::dataplane {

// Who serves what: a segment of the cluster's hash belongs to a node, and a part of a segment to a worker of that node.
// The n segments of the cluster are cut into as many parts each as there are workers, by the same hash with a larger n:
// floor(h * n * k / 2^32) / k = floor(h * n / 2^32), so part p lies in segment p / k + 1.
//
// Control writes, workers read, each entry by itself: a packet that meets an old entry is served by who served it a
// moment ago. On a single node all segments are its own.
class SegmentMap {
  public:
    static constexpr std::size_t kMaxSegments = 16;
    static constexpr std::size_t kMaxWorkers = 16;

    SegmentMap(const ipsec::SegmentHash& hash, unsigned workers, NodeId self)
        : hash_(hash), per_segment_(static_cast<std::uint16_t>(workers)), self_(self) {
        assert(hash.segments >= 1 && hash.segments <= kMaxSegments && workers >= 1 && workers <= kMaxWorkers);
        for (auto& node : node_) node.store(self.value, std::memory_order_relaxed);
        for (std::size_t p = 0; p < worker_.size(); ++p) {
            worker_[p].store(static_cast<std::uint16_t>(p % workers), std::memory_order_relaxed);
        }
    }

    // Control.
    void give(SegmentId segment, NodeId node) {
        node_[segment.value - 1U].store(node.value, std::memory_order_relaxed);
    }
    void give(std::uint16_t part, WorkerId worker) {
        assert(part < parts() && worker.value < per_segment_);
        worker_[part].store(worker.value, std::memory_order_relaxed);
    }

    // Any thread.
    NodeId node_of(SegmentId segment) const {
        return NodeId(node_[segment.value - 1U].load(std::memory_order_relaxed));
    }
    bool responsible(SegmentId segment) const { return node_of(segment) == self_; }
    WorkerId worker_of(std::uint16_t part) const { return WorkerId(worker_[part].load(std::memory_order_relaxed)); }

    std::uint16_t parts() const { return static_cast<std::uint16_t>(hash_.segments * per_segment_); }
    SegmentId segment_of(std::uint16_t part) const {
        return SegmentId(static_cast<std::uint16_t>(part / per_segment_ + 1));
    }
    // The cluster's hash, cut finer: its segment less one is the part.
    ipsec::SegmentHash part_hash() const { return {.seed = hash_.seed, .segments = parts()}; }

  private:
    const ipsec::SegmentHash hash_;
    const std::uint16_t per_segment_;
    const NodeId self_;
    std::array<std::atomic<std::uint8_t>, kMaxSegments> node_;
    std::array<std::atomic<std::uint16_t>, kMaxSegments * kMaxWorkers> worker_;
};

}  // namespace sluice::dataplane
