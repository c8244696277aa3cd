// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/team.hpp"

#include <rte_launch.h>
#include <rte_lcore.h>

#include <algorithm>

#include "dataplane/eal.hpp"

namespace sluice::bench {

namespace {

struct Start {
    Lane& lane;
    Together& together;
};

int run_lane(void* argument) {
    const Start& start = *static_cast<Start*>(argument);
    start.lane.run_with(start.together);
    return 0;
}

}  // namespace

Team::Team(Traffic& traffic, const Shape& shape) {
    for (unsigned w = 0; w < shape.gateway.workers; ++w) lanes_.push_back(std::make_unique<Lane>(traffic, shape, w));
}

RoundTime Team::run() {
    if (lanes_.size() > 1) return run_together();
    const RoundTime time = lanes_.front()->run();
    each_ = {time.cycles};
    return time;
}

RoundTime Team::run_together() {
    Together together{.workers = static_cast<unsigned>(lanes_.size())};
    for (const auto& lane : lanes_) together.expected += lane->warm_up();
    std::vector<Start> starts;
    for (const auto& lane : lanes_) starts.push_back({*lane, together});
    for (std::uint16_t w = 1; w < lanes_.size(); ++w) {
        rte_eal_remote_launch(run_lane, &starts[w], dataplane::worker_lcore(WorkerId{w}));
    }
    run_lane(&starts[0]);
    for (std::uint16_t w = 1; w < lanes_.size(); ++w) rte_eal_wait_lcore(dataplane::worker_lcore(WorkerId{w}));
    double longest = 0;
    std::size_t packets = 0;
    RoundTime time{.cycles = 0, .undisturbed = true};
    each_.clear();
    for (const auto& lane : lanes_) {
        const RoundTime& window = lane->window();
        longest = std::max(longest, window.cycles * static_cast<double>(lane->timed_packets()));
        packets += lane->timed_packets();
        time.undisturbed = time.undisturbed && window.undisturbed;
        each_.push_back(window.cycles);
    }
    time.cycles = longest * static_cast<double>(lanes_.size()) / static_cast<double>(packets);
    return time;
}

std::vector<rte_mbuf*> Team::out() const {
    std::vector<rte_mbuf*> all;
    for (const auto& lane : lanes_) all.insert(all.end(), lane->out().begin(), lane->out().end());
    return all;
}

}  // namespace sluice::bench
