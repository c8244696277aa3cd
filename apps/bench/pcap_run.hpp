// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "apps/bench/frames.hpp"
#include "apps/bench/pcap_command.hpp"

namespace sluice::bench {

// DPDK's net_pcap gives its devices these addresses, in the order in which they are opened.
constexpr net::MacAddress pcap_mac(std::uint8_t index) { return {{0x02, 0x70, 0x63, 0x61, 0x70, index}}; }

SaSpis pcap_spis(std::uint32_t sa);

// What one run of a gateway has found out; its error is a text of its own, since it crosses a pipe.
struct PcapRun {
    double pps = 0;
    double tsc_hz = 0;
    char error[512] = {};
};

// Runs a gateway in a process of its own, since EAL starts once in one. received: the file with the frames that come
// in. sent: where the frames go that leave, for a short run whose frames are looked at; empty: nowhere.
PcapRun run_gateway_process(const PcapOptions& options, unsigned cpu, const std::string& received,
                            const std::string& sent);

}  // namespace sluice::bench
