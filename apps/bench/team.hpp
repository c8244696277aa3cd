// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "apps/bench/lane.hpp"

namespace sluice::bench {

// All workers of a gateway. The first one is the calling thread, the others run on EAL's lcores, each pinned to a CPU;
// they start together.
class Team {
  public:
    Team(Traffic& traffic, const Shape& shape);

    // Sends the round's packets through. Cycles that one of the workers spends for each packet that it carries: the
    // slowest worker's time, divided by a worker's share of all packets.
    RoundTime run();
    // Every frame that came out.
    std::vector<rte_mbuf*> out() const;
    // Each worker's cycles in the last round, per packet that it received.
    const std::vector<double>& each() const { return each_; }

  private:
    RoundTime run_together();
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::vector<double> each_;
};

}  // namespace sluice::bench
