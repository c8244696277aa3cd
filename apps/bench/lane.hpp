// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "apps/bench/traffic.hpp"

namespace sluice::bench {

// How often the kernel has taken the CPU away from this thread.
long preemptions();

// Cycles per packet of one round; undisturbed: the kernel left the CPU alone.
struct RoundTime {
    double cycles = 0;
    bool undisturbed = false;
};

// Cycles of the packets that were timed undisturbed. A round is timed in pieces, so that a busy machine spoils a piece
// and not the round.
class PieceTimer {
  public:
    static constexpr std::size_t kPiece = 512;  // packets
    // Begins a piece; called while the clock stands still.
    void open();
    void add(std::uint64_t cycles, std::size_t packets);
    // Of the pieces that were not spoilt; where most of the round was, of all of it.
    RoundTime time() const;

  private:
    void close();
    long switches_ = 0;
    std::uint64_t piece_cycles_ = 0;
    std::size_t piece_packets_ = 0;
    std::uint64_t cycles_ = 0;  // of good pieces
    std::size_t packets_ = 0;
    std::uint64_t all_cycles_ = 0;
    std::size_t all_packets_ = 0;
};

// What several workers share while they run: a gate that opens when all are there, and how many frames are out.
struct Together {
    const unsigned workers;
    alignas(64) std::atomic<unsigned> arrived{0};  // all workers
    alignas(64) std::atomic<std::size_t> out{0};   // all workers
    std::size_t expected = 0;                      // frames that leave the gateway before the next gate

    void wait_for_all(unsigned gate) {
        arrived.fetch_add(1, std::memory_order_acq_rel);
        while (arrived.load(std::memory_order_acquire) < workers * gate) __builtin_ia32_pause();
    }
};

// One worker's turns: a burst is received, and what has become of it is in the list that the loop hands to the port.
class Lane final : public dataplane::Path::Output {
  public:
    Lane(Traffic& traffic, const Shape& shape, unsigned worker);
    ~Lane() override { path_.set_output(nullptr); }
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    // Alone: cycles per packet of those that are timed.
    RoundTime run();
    // With others, between two gates each for the packets that warm up and those that count. Where they share
    // SAs, rings are served and packets wait for each other, as in the gateway. Any thread, one at a time.
    void run_with(Together& together);
    // Of run_with(), per packet that the worker received: cycles that it worked, or waited for others and then went on.
    const RoundTime& window() const { return window_; }

    // Frames that came out, in order.
    std::span<rte_mbuf* const> out() const { return out_; }
    // Packets of the round that run before the clock counts, and those that it counts.
    std::size_t warm_up() const;
    std::size_t timed_packets() const { return all().size() - warm_up(); }

  private:
    std::span<rte_mbuf* const> all() const { return traffic_.lane(worker_); }
    bool shares_sas() const { return shape_.gateway.sas < shape_.gateway.workers; }
    std::uint64_t receive(std::span<rte_mbuf* const> burst);
    std::uint64_t turn(std::span<rte_mbuf* const> packets, std::size_t& at);
    void send_to_port(PortId port, dataplane::PacketList& list) override;
    void send_to_host(PortId port, dataplane::PacketList& list) override;
    std::uint64_t run_until_out(Together& together, std::span<rte_mbuf* const> packets);

    Traffic& traffic_;
    const Shape shape_;
    const unsigned worker_;
    dataplane::Path& path_;
    const std::uint64_t overhead_;
    std::array<rte_mbuf*, dataplane::kMaxBurst> received_{};
    std::vector<rte_mbuf*> out_;
    RoundTime window_;
};

}  // namespace sluice::bench
