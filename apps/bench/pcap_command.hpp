// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "apps/bench/machine.hpp"
#include "apps/bench/shape.hpp"

namespace sluice::bench {

// `sluice-bench pcap`: the whole gateway, with ports and its loop, between a port that receives the frames of a file
// for ever (net_pcap) and one that sends nowhere (net_null). Replay protection is off, since the frames repeat. Any
// other gateway over DPDK can be run between the same two devices.
struct PcapOptions {
    GatewayShape gateway{.window = 0};
    Direction direction = Direction::out;
    std::uint32_t inner_bytes = 64;
    unsigned seconds = 2;  // a run
    unsigned repeat = 3;   // runs
    int cpu = -1;
    bool compare = false;  // runs testpmd, which only moves frames, in turn with the gateway
    std::string file;      // where the frames are left; empty: nowhere
    std::string description;
};

struct PcapReport {
    Facts facts;
    PcapOptions options;
    std::vector<double> gateway_pps;
    std::vector<double> testpmd_pps;  // with compare
    double tsc_hz = 0;
    std::string text() const;
    std::string json() const;
};
// invalid: options; io: what DPDK or the system says.
Result<PcapReport> run_pcap(const PcapOptions& options, const std::string& version);

}  // namespace sluice::bench
