// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "apps/bench/interval.hpp"
#include "apps/bench/machine.hpp"
#include "apps/bench/shape.hpp"

namespace sluice::bench {

// `sluice-bench control`: what SAs cost that come and go while a worker carries traffic.
struct ControlOptions {
    std::string aead = "aes128gcm16";
    std::uint32_t sas = 1024;       // that are there all the time and carry the traffic
    std::uint32_t added = 10000;    // added and removed as fast as control can
    std::uint32_t changes = 10000;  // adds and removes a second while the worker's cost is measured
    std::uint32_t inner_bytes = 64;
    unsigned repeat = 20;         // pairs of stretches with and without changes
    unsigned milliseconds = 100;  // a stretch
    int cpu = -1;
    bool hugepages = true;
    std::string description;
};

struct ControlReport {
    Facts facts;
    double adds_per_second = 0;  // while the worker runs, as fast as they go
    double removes_per_second = 0;
    double bytes_per_sa = 0;        // of the heap, both halves
    double changes_per_second = 0;  // that were made while the cost was measured
    double cycles_without = 0;      // the worker's, per packet; medians
    double cycles_with = 0;
    Interval cost;  // cycles with changes for one without
    std::string text() const;
    std::string json() const;
};
Result<ControlReport> run_control(const ControlOptions& options, const std::string& version);

}  // namespace sluice::bench
