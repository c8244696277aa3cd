// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/lane.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "apps/bench/clock.hpp"

namespace sluice::bench {

namespace {

PortId entry(Direction d) { return d == Direction::out ? kLan : kWan; }
PortId exit(Direction d) { return d == Direction::out ? kWan : kLan; }

constexpr unsigned kMostAhead = 256;  // frames in a ring, and before the slowest worker
constexpr std::size_t kDone = SIZE_MAX / 2;

// Where a frame that nobody can account for would make workers wait for ever.
constexpr std::uint64_t kPatience = 4'000'000'000;  // cycles, seconds on any machine

}  // namespace

long preemptions() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

void PieceTimer::open() {
    piece_cycles_ = 0;
    piece_packets_ = 0;
    switches_ = preemptions();
}

void PieceTimer::add(std::uint64_t cycles, std::size_t packets) {
    piece_cycles_ += cycles;
    piece_packets_ += packets;
    if (piece_packets_ >= kPiece) close();
}

void PieceTimer::close() {
    if (preemptions() == switches_) {
        cycles_ += piece_cycles_;
        packets_ += piece_packets_;
    }
    open();
}

std::optional<double> PieceTimer::per_packet() const {
    if (packets_ < Traffic::kTimed / 2) return std::nullopt;
    return static_cast<double>(cycles_) / static_cast<double>(packets_);
}

Lane::Lane(Traffic& traffic, const Shape& shape, unsigned worker)
    : traffic_(traffic),
      shape_(shape),
      worker_(worker),
      path_(traffic.gateway().path(worker)),
      overhead_(clock_overhead()) {
    out_.reserve(Traffic::packets(shape.gateway.workers));
}

// Whole bursts, at least a ninth of the lane's packets.
std::size_t Lane::warm_up() const {
    const std::size_t share = all().size() * Traffic::kWarmUp / (Traffic::kTimed + Traffic::kWarmUp);
    return std::min((share + shape_.burst - 1) / shape_.burst * shape_.burst, all().size());
}

std::uint64_t Lane::receive(std::span<rte_mbuf* const> burst) {
    std::ranges::copy(burst, received_.begin());
    traffic_.arrive(burst);
    const std::uint64_t start = clock_start();
    path_.begin(start);
    path_.receive_from_port(entry(shape_.direction), {received_.data(), burst.size()});
    return clock_stop() - start - overhead_;
}

// 0 where there was nothing.
std::uint64_t Lane::receive_handed_over() {
    const std::uint64_t start = clock_start();
    const unsigned n = traffic_.gateway().rings(worker_).handover.take_burst({received_.data(), received_.size()});
    if (n == 0) return 0;
    path_.begin(start);
    path_.receive_handed_over({received_.data(), n});
    return clock_stop() - start - overhead_;
}

// Where workers share SAs they go on side by side, as queues of one NIC do, and the source waits for a full ring: one
// that the kernel holds up would fall out of the replay window, and a frame that finds no room would be a drop.
bool Lane::may_receive(const Together& together, std::size_t at) const {
    if (!shares_sas()) return true;
    for (unsigned w = 0; w < shape_.gateway.workers; ++w) {
        if (traffic_.gateway().rings(w).handover.depth() > kMostAhead) return false;
        if (at > together.positions[w].at.load(std::memory_order_acquire) + kMostAhead) return false;
    }
    return true;
}

std::size_t Lane::collect() {
    dataplane::PacketList& sent = path_.port_output(exit(shape_.direction));
    const std::size_t n = sent.count;
    out_.insert(out_.end(), sent.begin(), sent.end());
    sent.clear();
    return n;
}

std::optional<double> Lane::run() {
    out_.clear();
    traffic_.restore(worker_);
    PieceTimer timer;
    const std::size_t warm = warm_up();
    timer.open();
    for (std::size_t at = 0; at < all().size(); at += shape_.burst) {
        const auto burst = all().subspan(at, std::min<std::size_t>(shape_.burst, all().size() - at));
        const std::uint64_t cycles = receive(burst);
        if (at >= warm) timer.add(cycles, burst.size());
        collect();
    }
    return timer.per_packet();
}

// Until every worker's frames are out. What a worker waits before it works on counts; what it waits when its work is
// done does not.
std::uint64_t Lane::run_until_out(Together& together, std::span<rte_mbuf* const> packets) {
    std::uint64_t busy = 0;
    std::uint64_t idle_since = 0;
    const std::uint64_t begun = clock_start();
    if (packets.empty()) together.positions[worker_].at.store(kDone, std::memory_order_release);
    for (std::size_t at = 0;;) {
        std::uint64_t cycles = 0;
        if (at < packets.size() && may_receive(together, at)) {
            const std::size_t n = std::min<std::size_t>(shape_.burst, packets.size() - at);
            cycles = receive(packets.subspan(at, n));
            at += n;
            together.positions[worker_].at.store(at < packets.size() ? at : kDone, std::memory_order_release);
        }
        std::size_t out = collect();
        if (shares_sas()) cycles += receive_handed_over();
        out += collect();
        if (out != 0) together.out.fetch_add(out, std::memory_order_acq_rel);
        if (cycles != 0) {
            if (idle_since != 0) busy += clock_stop() - cycles - idle_since;
            idle_since = 0;
            busy += cycles;
            continue;
        }
        const std::uint64_t now = clock_stop();
        if (idle_since == 0) idle_since = now;
        if (together.out.load(std::memory_order_acquire) >= together.expected || now - begun > kPatience) return busy;
        __builtin_ia32_pause();
    }
}

void Lane::run_with(Together& together) {
    out_.clear();
    window_.reset();
    traffic_.restore(worker_);
    const std::size_t warm = warm_up();
    together.wait_for_all(1);
    run_until_out(together, all().first(warm));
    together.wait_for_all(2);
    if (worker_ == 0) {
        together.out.store(0, std::memory_order_relaxed);
        for (Together::Position& p : together.positions) p.at.store(0, std::memory_order_relaxed);
        together.expected = Traffic::packets(together.workers) - together.expected;
    }
    together.wait_for_all(3);
    const long switches = preemptions();
    const std::uint64_t window = run_until_out(together, all().subspan(warm));
    if (preemptions() == switches) window_ = window;
}

}  // namespace sluice::bench
