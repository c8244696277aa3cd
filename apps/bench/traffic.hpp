// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <random>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "apps/bench/frames.hpp"
#include "apps/bench/gateway.hpp"

namespace sluice::bench {

// The prepared packets of a measurement: buffers that are filled anew for each round and that the gateway gives back
// through its output, so none is allocated or freed while it is measured. Every round has its own packets: SAs in a
// random order, all SAs in turn where there are more of them than packets; inbound with fresh sequence numbers.
//
// A frame lies in memory as a NIC leaves it: written some time ago, by somebody else. What a driver writes when it
// takes a frame from the NIC, the first line of the mbuf, arrive() writes just before the burst.
class Traffic {
  public:
    static constexpr unsigned kTimed = 4096;  // packets of a round and worker
    static constexpr unsigned kWarmUp = 512;  // packets before them that are not timed

    // The pool holds packets(shape) buffers besides those of others.
    static Result<std::unique_ptr<Traffic>> make(Gateway& gateway, const Shape& shape, rte_mempool& pool);
    ~Traffic();
    Traffic(const Traffic&) = delete;
    Traffic& operator=(const Traffic&) = delete;
    static unsigned packets(unsigned workers) { return workers * (kTimed + kWarmUp); }

    // Chooses the packets of the next round and makes their frames, aside.
    Result<void> draw();
    // Copies the round's frames of one worker into their buffers; by its own thread, so that they are no further away
    // than a NIC would leave them.
    void restore(unsigned worker);
    // The buffers that a worker receives, in order.
    std::span<rte_mbuf* const> lane(unsigned worker) const { return lanes_[worker].mbufs; }
    void arrive(std::span<rte_mbuf* const> burst) const;

    // Compares what came out with what went in, byte by byte: all packets of the round, each once, those of an SA in
    // order; where workers share an SA, no sequence number twice. Takes the ESP packets apart where they lie.
    Result<void> check(std::span<rte_mbuf* const> out);

    // The same packets for whoever works on the buffers without the gateway.
    struct Slot {
        rte_mbuf* mbuf;
        PacketName name;
    };
    std::size_t size() const { return slots_.size(); }
    const Slot& slot(unsigned worker, std::size_t i) const { return slots_[lanes_[worker].slots[i]]; }
    const FrameShape& frames() const { return frames_; }
    Gateway& gateway() { return gateway_; }

  private:
    struct LanePackets {
        std::vector<rte_mbuf*> mbufs;
        std::vector<std::size_t> slots;
    };
    Traffic(Gateway& gateway, const Shape& shape);
    std::uint32_t next_sa();
    Result<void> make_frame(std::size_t i);
    Result<void> check_one(rte_mbuf* m, const PacketName& name);
    MutBytes image(std::size_t i) {
        return MutBytes(images_).subspan(i * frames_.received_size(), frames_.received_size());
    }

    Gateway& gateway_;
    const Shape shape_;
    const FrameShape frames_;
    std::vector<Slot> slots_;
    std::unordered_map<const rte_mbuf*, std::size_t> index_;
    ByteVec images_;
    std::vector<LanePackets> lanes_;
    std::set<std::pair<std::uint32_t, std::uint64_t>> numbers_;  // seen, where workers share an SA
    std::vector<std::uint32_t> order_;  // of the SAs, shuffled anew whenever all have had their turn
    std::size_t next_ = 0;
    std::mt19937 random_{1};
};

}  // namespace sluice::bench
