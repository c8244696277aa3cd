// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/control_command.hpp"

#include <malloc.h>

#include <chrono>

#include "apps/bench/format.hpp"
#include "apps/bench/measure.hpp"
#include "apps/bench/report.hpp"
#include "apps/bench/runner.hpp"
#include "apps/bench/session.hpp"
#include "apps/bench/statistics.hpp"
#include "apps/bench/team.hpp"

namespace sluice::bench {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }
// mallinfo2() counts every arena of the process; nothing else of size is allocated while SAs are.
double heap_bytes() { return static_cast<double>(mallinfo2().uordblks + mallinfo2().hblkhd); }

class Control {
  public:
    Control(Gateway& gateway, Traffic& traffic, const ControlOptions& options, ControlReport& report)
        : gateway_(gateway), traffic_(traffic), options_(options), report_(report), runner_(traffic, kBurst) {}

    Result<void> run() {
        const auto start = dropped_and_sent();
        if (const auto drawn = traffic_.draw(); !drawn) return drawn.error();
        if (const auto started = runner_.start(); !started) return started.error();
        if (const auto rates = measure_rates(); !rates) return rates.error();
        if (const auto cost = measure_cost(); !cost) return cost.error();
        runner_.stop();
        gateway_.tables().reclaimer.collect();
        if (const std::string drops = gateway_.drops(); !drops.empty()) return fail(ErrorCode::io, "drops: " + drops);
        if (dropped_and_sent() - start != runner_.work().packets)
            return fail(ErrorCode::io, "the ESP counter is wrong");
        return {};
    }

  private:
    static constexpr unsigned kBurst = 64;

    std::uint64_t dropped_and_sent() const { return gateway_.counter(&dataplane::WorkerCounters::esp_out_packets); }

    // SAs beside those that carry the traffic, as fast as they go.
    Result<void> measure_rates() {
        const double before = heap_bytes();
        const auto start = Clock::now();
        for (std::uint32_t i = 0; i < options_.added; ++i) {
            if (const auto added = gateway_.add(options_.sas + i); !added) return added.error();
            if (i % kCollectInterval == 0) gateway_.tables().reclaimer.collect();
            show_progress("adding SAs", static_cast<double>(i) / options_.added);
        }
        report_.adds_per_second = options_.added / seconds_since(start);
        drain();
        report_.bytes_per_sa = (heap_bytes() - before) / options_.added;
        const auto middle = Clock::now();
        for (std::uint32_t i = 0; i < options_.added; ++i) {
            if (const auto removed = gateway_.remove(options_.sas + i); !removed) return removed.error();
            if (i % kCollectInterval == 0) gateway_.tables().reclaimer.collect();
            show_progress("removing SAs", static_cast<double>(i) / options_.added);
        }
        report_.removes_per_second = options_.added / seconds_since(middle);
        drain();
        return {};
    }

    // What was retired is freed once the worker has turned.
    void drain() {
        const auto start = Clock::now();
        while (gateway_.tables().reclaimer.pending() != 0 && seconds_since(start) < 1) {
            gateway_.tables().reclaimer.collect();
        }
    }

    // Stretches with and without changes in turn, the order changing from pair to pair.
    Result<void> measure_cost() {
        std::vector<double> ratios;
        std::vector<double> with;
        std::vector<double> without;
        const auto start_changes = changes_made_;
        double changing = 0;
        for (unsigned pair = 0; pair < options_.repeat; ++pair) {
            double cycles[2] = {};  // without, with
            for (const unsigned turn : {0U, 1U}) {
                const unsigned changes = (turn + pair) % 2;
                const auto begun = Clock::now();
                const auto stretch = changes == 0 ? quiet_stretch() : changing_stretch();
                if (!stretch) return stretch.error();
                if (changes != 0) changing += seconds_since(begun);
                cycles[changes] = *stretch;
            }
            show_progress("pairs", static_cast<double>(pair + 1) / options_.repeat);
            without.push_back(cycles[0]);
            with.push_back(cycles[1]);
            ratios.push_back(cycles[1] / cycles[0]);
        }
        report_.changes_per_second = static_cast<double>(changes_made_ - start_changes) / changing;
        report_.cycles_without = median(without);
        report_.cycles_with = median(with);
        report_.cost = interval_of_ratios(ratios);
        return {};
    }

    double per_packet(const Runner::Work& before) const {
        const Runner::Work now = runner_.work();
        return static_cast<double>(now.cycles - before.cycles) /
               static_cast<double>(std::max<std::uint64_t>(now.packets - before.packets, 1));
    }

    Result<double> quiet_stretch() {
        const Runner::Work before = runner_.work();
        const auto start = Clock::now();
        while (seconds_since(start) * 1000 < options_.milliseconds) __builtin_ia32_pause();
        return per_packet(before);
    }

    // Adds one SA and removes it, each when its time has come.
    Result<double> changing_stretch() {
        const Runner::Work before = runner_.work();
        const auto start = Clock::now();
        std::uint64_t made = 0;
        for (double now = 0; now * 1000 < options_.milliseconds; now = seconds_since(start)) {
            if (static_cast<double>(made) > now * options_.changes) {
                __builtin_ia32_pause();
                continue;
            }
            const std::uint32_t sa = options_.sas + static_cast<std::uint32_t>(made / 2 % options_.added);
            const auto changed = made % 2 == 0 ? gateway_.add(sa) : gateway_.remove(sa);
            if (!changed) return changed.error();
            gateway_.tables().reclaimer.collect();
            ++made;
        }
        changes_made_ += made;
        const double cycles = per_packet(before);
        if (made % 2 == 0) return cycles;
        const auto removed = gateway_.remove(options_.sas + static_cast<std::uint32_t>(made / 2 % options_.added));
        if (!removed) return removed.error();
        return cycles;
    }

    static constexpr std::uint32_t kCollectInterval = 64;
    Gateway& gateway_;
    Traffic& traffic_;
    const ControlOptions& options_;
    ControlReport& report_;
    Runner runner_;
    std::uint64_t changes_made_ = 0;
};

// Packets of a round, checked byte by byte: before the SAs change and after.
Result<void> check_round(Traffic& traffic, const Shape& shape) {
    if (const auto drawn = traffic.draw(); !drawn) return drawn.error();
    Team team(traffic, shape);
    team.run();
    return traffic.check(team.out());
}

Result<void> check_options(const ControlOptions& o) {
    const auto wrong = [](const char* text) { return fail(ErrorCode::invalid, text); };
    if (const auto suite = parse_aead(o.aead); !suite) return fail(ErrorCode::invalid, suite.error().text);
    if (o.sas == 0 || o.sas > kMaxSas / 2) return wrong("--sas: one SA at least, two million at most");
    if (o.added == 0 || o.added > kMaxSas / 2) return wrong("--added: one SA at least, two million at most");
    if (o.changes == 0) return wrong("--changes: one a second at least");
    if (o.inner_bytes < kLeastInner || o.inner_bytes > 1400) return wrong("--size: 28 to 1400 bytes are possible");
    if (o.repeat < 2) return wrong("--repeat: an interval needs two pairs at least");
    return {};
}

}  // namespace

Result<ControlReport> run_control(const ControlOptions& options, const std::string& version) {
    if (const auto good = check_options(options); !good) return good.error();
    const auto cpus = choose_cpus(options.cpu, 2);  // one for control, one for the worker
    if (!cpus) return cpus.error();
    auto session =
        Session::start({.cpus = {cpus->back()}, .packets = Traffic::packets(1), .hugepages = options.hugepages});
    if (!session) return session.error();
    if (const auto pinned = pin_this_thread(cpus->front()); !pinned) return pinned.error();
    ControlReport report;
    report.facts = machine_facts(circumstances(*session, version, options.description));
    Shape shape;
    shape.gateway.aead = options.aead;
    shape.gateway.sas = options.sas;
    shape.gateway.spare_sas = options.added;
    shape.inner_bytes = options.inner_bytes;
    auto gateway = Gateway::make(shape.gateway, session->pool(), 1500, show_progress);
    if (!gateway) return gateway.error();
    auto traffic = Traffic::make(**gateway, shape, session->pool());
    if (!traffic) return traffic.error();
    if (const auto good = check_round(**traffic, shape); !good) return fail(ErrorCode::io, good.error().text);
    if (const auto done = Control(**gateway, **traffic, options, report).run(); !done) return done.error();
    if (const auto good = check_round(**traffic, shape); !good) return fail(ErrorCode::io, good.error().text);
    return report;
}

std::string ControlReport::text() const {
    std::string out = facts_text(facts) + "\n";
    out += format("adds              %12.0f a second, while the worker runs\n", adds_per_second);
    out += format("removes           %12.0f a second\n", removes_per_second);
    out += format("memory            %12.0f bytes an SA, both halves\n", bytes_per_sa);
    out += format("changes           %12.0f a second while the cost was measured\n", changes_per_second);
    out += format("worker            %12.1f cycles a packet without, %.1f with changes\n", cycles_without, cycles_with);
    out += format("cost              %12.2f %% [%.2f %%, %.2f %%] of throughput, 95 %% interval\n",
                  (1 - 1 / cost.mean) * 100, (1 - 1 / cost.low) * 100, (1 - 1 / cost.high) * 100);
    return out;
}

std::string ControlReport::json() const {
    return "{\n  \"machine\": " + facts_json(facts) +
           format(
               ",\n  \"control\": {\"adds_per_second\": %.1f, \"removes_per_second\": %.1f, \"bytes_per_sa\": %.1f, "
               "\"changes_per_second\": %.1f, \"cycles_without\": %.2f, \"cycles_with\": %.2f, \"cost\": %.5f, "
               "\"cost_low\": %.5f, \"cost_high\": %.5f}\n}\n",
               adds_per_second, removes_per_second, bytes_per_sa, changes_per_second, cycles_without, cycles_with,
               cost.mean, cost.low, cost.high);
}

}  // namespace sluice::bench
