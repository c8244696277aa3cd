// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/measure.hpp"

#include <rte_cycles.h>
#include <sys/resource.h>

#include <algorithm>
#include <map>
#include <optional>

#include "apps/bench/clock.hpp"
#include "apps/bench/statistics.hpp"

namespace sluice::bench {

namespace {

constexpr unsigned kMostRounds = 5;     // for each one that is wanted
constexpr unsigned kLeastRounds = 3;    // that have to be undisturbed, however busy the machine is
constexpr unsigned kLimitChecked = 64;  // packets of the first round

// How often the kernel has taken the CPU away from this thread.
long preemptions() {
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

PortId entry(Direction d) { return d == Direction::out ? kLan : kWan; }
PortId exit(Direction d) { return d == Direction::out ? kWan : kLan; }

// Cycles of the packets that were timed undisturbed. A round is timed in pieces, so that a busy machine spoils a piece
// and not the round.
class PieceTimer {
  public:
    static constexpr std::size_t kPiece = 512;  // packets
    void add(std::uint64_t cycles, std::size_t packets) {
        piece_cycles_ += cycles;
        piece_packets_ += packets;
        if (piece_packets_ >= kPiece) close();
    }
    // Called when the clock stands still.
    void open() {
        piece_cycles_ = 0;
        piece_packets_ = 0;
        switches_ = preemptions();
    }
    // Nothing where most of the round was spoilt.
    std::optional<double> per_packet() const {
        if (packets_ < Traffic::kTimed / 2) return std::nullopt;
        return static_cast<double>(cycles_) / static_cast<double>(packets_);
    }

  private:
    void close() {
        if (preemptions() == switches_) {
            cycles_ += piece_cycles_;
            packets_ += piece_packets_;
        }
        open();
    }
    long switches_ = 0;
    std::uint64_t piece_cycles_ = 0;
    std::size_t piece_packets_ = 0;
    std::uint64_t cycles_ = 0;
    std::size_t packets_ = 0;
};

// One worker's turn: a burst is received, and what has become of it is in the list that the loop hands to the port.
class Lane {
  public:
    Lane(Traffic& traffic, const Shape& shape) : traffic_(traffic), shape_(shape), overhead_(clock_overhead()) {}

    // Cycles per packet, of those that are timed. What came out is in out().
    std::optional<double> run() {
        out_.clear();
        PieceTimer timer;
        const auto all = traffic_.lane(0);
        dataplane::Path& path = traffic_.gateway().path(0);
        dataplane::PacketList& sent = path.port_output(exit(shape_.direction));
        timer.open();
        for (std::size_t at = 0; at < all.size(); at += shape_.burst) {
            const auto burst = all.subspan(at, std::min<std::size_t>(shape_.burst, all.size() - at));
            std::ranges::copy(burst, received_.begin());
            traffic_.arrive(burst);
            const std::uint64_t start = clock_start();
            path.begin(start);
            path.receive_from_port(entry(shape_.direction), {received_.data(), burst.size()});
            const std::uint64_t stop = clock_stop();
            if (at >= Traffic::kWarmUp) timer.add(stop - start - overhead_, burst.size());
            out_.insert(out_.end(), sent.begin(), sent.end());
            sent.clear();
        }
        return timer.per_packet();
    }
    std::span<rte_mbuf* const> out() const { return out_; }

  private:
    Traffic& traffic_;
    const Shape& shape_;
    const std::uint64_t overhead_;
    std::array<rte_mbuf*, dataplane::kMaxBurst> received_{};
    std::vector<rte_mbuf*> out_;
};

struct EspCount {
    std::uint64_t packets;
    std::uint64_t bytes;
};
EspCount esp_count(const Gateway& gateway, Direction direction) {
    using dataplane::WorkerCounters;
    if (direction == Direction::out) {
        return {gateway.counter(&WorkerCounters::esp_out_packets), gateway.counter(&WorkerCounters::esp_out_bytes)};
    }
    return {gateway.counter(&WorkerCounters::esp_in_packets), gateway.counter(&WorkerCounters::esp_in_bytes)};
}

// Every packet was counted once with its inner length, and none was dropped.
Result<void> check_counters(const Gateway& gateway, const Shape& shape, const EspCount& before, std::uint64_t packets) {
    if (const std::string drops = gateway.drops(); !drops.empty()) return fail(ErrorCode::invalid, "drops: " + drops);
    const EspCount now = esp_count(gateway, shape.direction);
    if (now.packets - before.packets == packets && now.bytes - before.bytes == packets * shape.inner_bytes) return {};
    return fail(ErrorCode::invalid, "the ESP counters are wrong: " + std::to_string(now.packets - before.packets) +
                                        " packets, " + std::to_string(now.bytes - before.bytes) + " bytes");
}

class Measurement {
  public:
    Measurement(Traffic& traffic, Limit& limit, const Shape& shape)
        : traffic_(traffic), limit_(limit), shape_(shape), lane_(traffic, shape) {}

    Result<void> round() {
        if (const auto drawn = traffic_.draw(); !drawn) return drawn.error();
        const EspCount before = esp_count(traffic_.gateway(), shape_.direction);
        traffic_.restore();
        const std::optional<double> cycles = lane_.run();
        cycles ? samples_.push_back(*cycles) : void(++discarded_);
        const auto counted = check_counters(traffic_.gateway(), shape_, before, traffic_.slots().size());
        if (!counted) return counted.error();
        if (const auto checked = traffic_.check(lane_.out()); !checked) return checked.error();
        return run_limit();
    }

    unsigned kept() const { return static_cast<unsigned>(samples_.size()); }

    Row result() const {
        Row row;
        row.shape = shape_;
        row.samples = samples_;
        row.discarded = discarded_;
        row.cycles = median(samples_);
        row.spread = spread(samples_);
        row.mpps = static_cast<double>(rte_get_tsc_hz()) / row.cycles / 1e6;
        row.gbps = row.mpps * shape_.inner_bytes * 8 / 1e3;
        for (const auto& [api, samples] : limit_samples_) {
            const double cycles = median(samples);
            if (row.limit != 0 && cycles >= row.limit) continue;
            row.limit = cycles;
            row.limit_samples = samples;
        }
        return row;
    }

  private:
    Result<void> run_limit() {
        for (const Limit::Api api : limit_.apis()) {
            traffic_.restore();
            const long switches = preemptions();
            const std::uint64_t cycles = limit_.run(traffic_, api, Traffic::kWarmUp);
            if (preemptions() == switches) limit_samples_[api].push_back(static_cast<double>(cycles) / Traffic::kTimed);
            if (checked_limits_ == limit_.apis().size()) continue;
            ++checked_limits_;
            if (const auto good = limit_.check(traffic_, kLimitChecked); !good) return good.error();
        }
        return {};
    }

    Traffic& traffic_;
    Limit& limit_;
    const Shape shape_;
    Lane lane_;
    std::vector<double> samples_;
    std::map<Limit::Api, std::vector<double>> limit_samples_;
    std::size_t checked_limits_ = 0;
    unsigned discarded_ = 0;
};

}  // namespace

Result<Row> measure(Traffic& traffic, Limit& limit, const Shape& shape, unsigned repeat) {
    Measurement measurement(traffic, limit, shape);
    for (unsigned round = 0; measurement.kept() < repeat; ++round) {
        if (round == repeat * kMostRounds) {
            if (measurement.kept() >= kLeastRounds) break;
            return fail(ErrorCode::exhausted, "the CPU is taken away all the time: pin the run, or leave it alone");
        }
        if (const auto done = measurement.round(); !done) return done.error();
    }
    return measurement.result();
}

}  // namespace sluice::bench
