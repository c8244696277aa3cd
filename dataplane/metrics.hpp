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

// Whether a worker still turns. A sleeping one is well.
class WorkerWatch {
  public:
    // True once, when it is found to have stood still for a second.
    bool look(const Worker& worker, std::uint64_t now_cycles);
    bool stuck() const { return stuck_; }

  private:
    std::uint64_t loops_ = ~0ULL;
    std::uint64_t since_ = 0;  // cycles
    bool stuck_ = false;
};

struct WorkerSample {
    WorkerId id;
    const WorkerCounters& counters;
    const WorkerRings& rings;
    std::uint64_t sleeps = 0;
    bool asleep = false;
    bool stuck = false;
};
void append_worker(std::vector<Counter>& out, const WorkerSample& worker);
void append_tables(std::vector<Counter>& out, const Tables& tables);
void append_gauge(std::vector<Counter>& out, const char* name, double value, const char* help);

}  // namespace sluice::dataplane
