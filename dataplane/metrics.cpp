// SPDX-License-Identifier: Apache-2.0
#include "dataplane/metrics.hpp"

#include <string>

namespace sluice::dataplane {

void append_gauge(std::vector<Counter>& out, const char* name, double value, const char* help) {
    out.push_back({.name = name, .labels = {}, .value = value, .gauge = true, .help = help});
}

void append_worker(std::vector<Counter>& out, const WorkerSample& w) {
    const std::string id = std::to_string(w.id.value);
    const auto add = [&](std::string name, double value, bool gauge, std::string_view help) {
        out.push_back({.name = std::move(name),
                       .labels = {{"worker", id}},
                       .value = value,
                       .gauge = gauge,
                       .help = std::string(help)});
    };
    const WorkerCounters& c = w.counters;
#define SLUICE_APPEND_COUNTER(name, help) add("worker_" #name, static_cast<double>(c.name.get()), false, help);
    SLUICE_WORKER_COUNTERS(SLUICE_APPEND_COUNTER)
#undef SLUICE_APPEND_COUNTER
    add("worker_sleeps", static_cast<double>(w.sleeps), false, "times the worker went to sleep");
    const auto seconds = [](std::chrono::nanoseconds t) { return std::chrono::duration<double>(t).count(); };
    add("worker_wakeups", static_cast<double>(w.wakeups.count), false, "times another thread woke the worker");
    add("worker_wakeups_slow", static_cast<double>(w.wakeups.slow), false,
        "wakeups after which it took longer than a millisecond to run");
    add("worker_wakeup_seconds", seconds(w.wakeups.total), false, "time from wakeup to running, summed up");
    add("worker_wakeup_longest_seconds", seconds(w.wakeups.longest), true, "the longest of these times so far");
    add("worker_asleep", w.asleep ? 1 : 0, true, "1 where the worker sleeps, for want of packets");
    add("worker_stuck", w.stuck ? 1 : 0, true, "1 where the worker has not turned for a second");
    add("worker_command_ring_depth", w.rings.commands.depth(), true, "commands that wait for the worker");
    add("worker_event_ring_depth", w.rings.events.depth(), true, "events that wait for control");
    add("worker_handover_ring_depth", w.rings.handover.depth(), true, "packets that other workers handed over");
    for (std::size_t r = 0; r < kDropReasons; ++r) {
        out.push_back({.name = "drops",
                       .labels = {{"worker", id}, {"reason", std::string(kDropInfo[r].name)}},
                       .value = static_cast<double>(c.drops[r].get()),
                       .gauge = false,
                       .help = "packets let go, by reason"});
    }
}

void append_classes(std::vector<Counter>& out, const WorkerSample& w, const std::vector<TrafficClass>& classes) {
    for (std::size_t c = 0; c < classes.size(); ++c) {
        out.push_back({.name = "class_packets",
                       .labels = {{"worker", std::to_string(w.id.value)},
                                  {"class", std::to_string(c + 1)},
                                  {"dscp", std::to_string(classes[c].dscp)}},
                       .value = static_cast<double>(w.counters.classes[c].get()),
                       .gauge = false,
                       .help = "packets sent whose mark is of this class"});
    }
}

void append_tables(std::vector<Counter>& out, const Tables& t) {
    append_gauge(out, "sad_entries", t.sad.size(), "inbound SAs installed");
    append_gauge(out, "sad_reserved", t.reserved.size(), "SPIs offered that have no keys yet");
    append_gauge(out, "spd_policies", static_cast<double>(t.spd.policies()), "policies configured");
    append_gauge(out, "neighbours", static_cast<double>(t.neighbours.size()), "neighbours and gateways known");
    append_gauge(out, "reclaim_pending", static_cast<double>(t.reclaimer.pending()),
                 "objects that wait until no worker can read them");
    append_gauge(out, "reclaim_limit", static_cast<double>(Reclaimer::kLimit),
                 "how many may wait before no SA is installed any more");
}

}  // namespace sluice::dataplane
