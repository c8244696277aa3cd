// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "apps/bench/limit.hpp"
#include "apps/bench/traffic.hpp"

namespace sluice::bench {

// What one row of the table says. Cycles are TSC cycles per packet, with several workers those of one worker: the
// slowest one's time divided by a worker's share of the packets.
struct Row {
    Shape shape;
    double cycles = 0;                  // median of the rounds
    double spread = 0;                  // interquartile range
    double mpps = 0;                    // of all workers together
    double gbps = 0;                    // of inner packets
    double limit = 0;                   // IPsec-MB alone, the fastest way, median
    std::vector<double> worker_cycles;  // of each worker, per packet that it received, medians
    std::vector<double> samples;        // one a round
    std::vector<double> limit_samples;  // of the fastest way
    unsigned discarded = 0;             // rounds during which the kernel took the CPU away, and that do not count
    bool disturbed = false;             // there were no others, so they do count
    double ratio() const { return limit > 0 ? cycles / limit : 0; }
};

// Runs rounds until `repeat` of them were undisturbed, or so many were not that there is no hope: each draws its
// packets, sends them through the worker's own functions with the clock running, then checks every packet and every
// counter with the clock stopped, and then runs the limit over the same buffers. A wrong packet or count is an error.
Result<Row> measure(Traffic& traffic, Limit& limit, const Shape& shape, unsigned repeat);

}  // namespace sluice::bench
