// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/counters.hpp"
#include "dataplane/dataplane.hpp"
#include "dataplane/events.hpp"
#include "dataplane/tables.hpp"
#include "dataplane/worker.hpp"

// The counters of workers and tables under their metric names. Control thread.
namespace sluice::dataplane {

struct WorkerSample {
    WorkerId id;
    const WorkerCounters& counters;
    const WorkerRings& rings;
    std::uint64_t sleeps = 0;
    IdleWait::Wakeups wakeups;
    bool asleep = false;
    bool stuck = false;
};
void append_worker(std::vector<Counter>& out, const WorkerSample& worker);
// Packets of each class of the configuration, sent by this worker.
void append_classes(std::vector<Counter>& out, const WorkerSample& worker, const std::vector<TrafficClass>& classes);
void append_tables(std::vector<Counter>& out, const Tables& tables);
void append_gauge(std::vector<Counter>& out, const char* name, double value, const char* help);

}  // namespace sluice::dataplane
