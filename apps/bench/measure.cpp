// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/measure.hpp"

#include <rte_cycles.h>

#include <algorithm>
#include <map>

#include "apps/bench/statistics.hpp"
#include "apps/bench/team.hpp"

namespace sluice::bench {

namespace {

constexpr unsigned kMostRounds = 10;    // for each one that is wanted
constexpr unsigned kLimitChecked = 64;  // packets of the first round

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

// Times of rounds. Those that the kernel disturbed count only where there are no others.
struct Samples {
    std::vector<double> good;
    std::vector<double> spoilt;
    void add(const RoundTime& time) { (time.undisturbed ? good : spoilt).push_back(time.cycles); }
    const std::vector<double>& chosen() const { return good.empty() ? spoilt : good; }
};

class Measurement {
  public:
    Measurement(Traffic& traffic, Limit& limit, const Shape& shape)
        : traffic_(traffic), limit_(limit), shape_(shape), team_(traffic, shape) {}

    Result<void> round() {
        if (const auto drawn = traffic_.draw(); !drawn) return drawn.error();
        const EspCount before = esp_count(traffic_.gateway(), shape_.direction);
        const RoundTime time = team_.run();
        gateway_.add(time);
        each_.resize(team_.each().size());
        for (std::size_t w = 0; w < each_.size(); ++w) each_[w].push_back(team_.each()[w]);
        const auto counted = check_counters(traffic_.gateway(), shape_, before, traffic_.size());
        if (!counted) return counted.error();
        if (const auto checked = traffic_.check(team_.out()); !checked) return checked.error();
        return run_limit();
    }

    // Undisturbed rounds, of the gateway and of each way to the limit.
    std::size_t kept() const {
        std::size_t least = gateway_.good.size();
        for (const auto& [api, samples] : limits_) least = std::min(least, samples.good.size());
        return least;
    }

    Row result() const {
        Row row;
        row.shape = shape_;
        row.samples = gateway_.chosen();
        row.discarded = static_cast<unsigned>(gateway_.spoilt.size());
        row.disturbed = gateway_.good.empty();
        row.cycles = median(row.samples);
        row.spread = spread(row.samples);
        for (const auto& samples : each_) row.worker_cycles.push_back(median(samples));
        row.mpps = shape_.gateway.workers * static_cast<double>(rte_get_tsc_hz()) / row.cycles / 1e6;
        row.gbps = row.mpps * shape_.inner_bytes * 8 / 1e3;
        for (const auto& [api, samples] : limits_) {
            const double cycles = median(samples.chosen());
            if (row.limit != 0 && cycles >= row.limit) continue;
            row.limit = cycles;
            row.limit_samples = samples.chosen();
        }
        return row;
    }

  private:
    Result<void> run_limit() {
        for (const Limit::Api api : limit_.apis()) {
            traffic_.restore(0);
            const long switches = preemptions();
            const double cycles = limit_.run(traffic_, api, Traffic::kWarmUp);
            limits_[api].add({.cycles = cycles, .undisturbed = preemptions() == switches});
            if (checked_limits_ == limit_.apis().size()) continue;
            ++checked_limits_;
            if (const auto good = limit_.check(traffic_, kLimitChecked); !good) return good.error();
        }
        return {};
    }

    Traffic& traffic_;
    Limit& limit_;
    const Shape shape_;
    Team team_;
    Samples gateway_;
    std::vector<std::vector<double>> each_;  // of each worker
    std::map<Limit::Api, Samples> limits_;
    std::size_t checked_limits_ = 0;
};

}  // namespace

Result<Row> measure(Traffic& traffic, Limit& limit, const Shape& shape, unsigned repeat) {
    Measurement measurement(traffic, limit, shape);
    for (unsigned round = 0; measurement.kept() < repeat && round < repeat * kMostRounds; ++round) {
        if (const auto done = measurement.round(); !done) return done.error();
    }
    return measurement.result();
}

}  // namespace sluice::bench
