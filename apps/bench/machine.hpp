// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace sluice::bench {

// Where and with what something was measured: name and value, in the order in which they are shown.
using Facts = std::vector<std::pair<std::string, std::string>>;
struct Circumstances {
    std::string version;  // Sluice's own
    std::string options;  // the command line
    std::vector<unsigned> worker_cpus;
    bool hugepages = false;
    double tsc_hz = 0;
};
Facts machine_facts(const Circumstances& c);

}  // namespace sluice::bench
