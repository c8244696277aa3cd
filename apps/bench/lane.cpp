// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/lane.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "apps/bench/clock.hpp"

namespace sluice::bench {

namespace {

PortId entry(Direction d) { return d == Direction::out ? kLan : kWan; }

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
    all_cycles_ += piece_cycles_;
    all_packets_ += piece_packets_;
    if (preemptions() == switches_) {
        cycles_ += piece_cycles_;
        packets_ += piece_packets_;
    }
    open();
}

RoundTime PieceTimer::time() const {
    const bool good = packets_ >= Traffic::kTimed / 2;
    return {.cycles =
                static_cast<double>(good ? cycles_ : all_cycles_) / static_cast<double>(good ? packets_ : all_packets_),
            .undisturbed = good};
}

Lane::Lane(Traffic& traffic, const Shape& shape, unsigned worker)
    : traffic_(traffic),
      shape_(shape),
      worker_(worker),
      path_(traffic.gateway().path(worker)),
      overhead_(clock_overhead()) {
    out_.reserve(Traffic::packets(shape.gateway.workers));
    path_.set_output(this);
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

// A turn of the worker's loop where workers share SAs: what was sealed before may leave, a burst is received, rings are
// served. Nothing is received while too much waits for what others hold: the gateway lets go of packets when that takes
// long, but the source here is patient. 0 where nothing of it happened.
std::uint64_t Lane::turn(std::span<rte_mbuf* const> packets, std::size_t& at) {
    const std::size_t out = out_.size();
    const auto burst = packets.subspan(at, std::min<std::size_t>(shape_.burst, packets.size() - at));
    std::ranges::copy(burst, received_.begin());
    traffic_.arrive(burst);
    const std::uint64_t start = clock_start();
    path_.begin(start);
    const std::size_t n = path_.far_ahead() ? 0 : burst.size();
    if (n != 0) path_.receive_from_port(entry(shape_.direction), {received_.data(), n});
    const unsigned handed = traffic_.gateway().rings(worker_).handover.take_burst({received_.data(), received_.size()});
    if (handed != 0) path_.receive_handed_over({received_.data(), handed});
    path_.flush();
    const std::uint64_t cycles = clock_stop() - start - overhead_;
    at += n;
    return n != 0 || handed != 0 || out_.size() != out ? cycles : 0;
}

void Lane::send_to_port(PortId, dataplane::PacketList& list) {
    out_.insert(out_.end(), list.begin(), list.end());
    list.clear();
}

// Nothing here is for the kernel; what went there all the same is missing when the packets are checked. Buffers belong
// to the traffic.
void Lane::send_to_host(PortId, dataplane::PacketList& list) { list.clear(); }

RoundTime Lane::run() {
    out_.clear();
    traffic_.restore(worker_);
    PieceTimer timer;
    const std::size_t warm = warm_up();
    timer.open();
    for (std::size_t at = 0; at < all().size(); at += shape_.burst) {
        const auto burst = all().subspan(at, std::min<std::size_t>(shape_.burst, all().size() - at));
        const std::uint64_t cycles = receive(burst);
        if (at >= warm) timer.add(cycles, burst.size());
        path_.flush();
    }
    return timer.time();
}

// Until every worker's frames are out. What a worker waits before it works on counts; what it waits when its work is
// done does not.
std::uint64_t Lane::run_until_out(Together& together, std::span<rte_mbuf* const> packets) {
    std::uint64_t busy = 0;
    std::uint64_t idle_since = 0;
    const std::uint64_t begun = clock_start();
    for (std::size_t at = 0;;) {
        const std::size_t out = out_.size();
        std::uint64_t cycles = 0;
        if (shares_sas()) {
            cycles = turn(packets, at);
        } else if (at < packets.size()) {
            const std::size_t n = std::min<std::size_t>(shape_.burst, packets.size() - at);
            cycles = receive(packets.subspan(at, n));
            path_.flush();
            at += n;
        }
        if (out_.size() != out) together.out.fetch_add(out_.size() - out, std::memory_order_acq_rel);
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
    window_ = {};
    traffic_.restore(worker_);
    const std::size_t warm = warm_up();
    together.wait_for_all(1);
    run_until_out(together, all().first(warm));
    together.wait_for_all(2);
    if (worker_ == 0) {
        together.out.store(0, std::memory_order_relaxed);
        together.expected = Traffic::packets(together.workers) - together.expected;
    }
    together.wait_for_all(3);
    const long switches = preemptions();
    const std::uint64_t window = run_until_out(together, all().subspan(warm));
    window_ = {.cycles = static_cast<double>(window) / static_cast<double>(timed_packets()),
               .undisturbed = preemptions() == switches};
}

}  // namespace sluice::bench
