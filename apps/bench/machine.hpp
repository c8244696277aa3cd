// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "apps/bench/session.hpp"

namespace sluice::bench {

// Where and with what something was measured: name and value, in the order in which they are shown. EAL must run.
// version: Sluice's own; options: the command line as it was understood.
using Facts = std::vector<std::pair<std::string, std::string>>;
Facts machine_facts(const std::string& version, const std::string& options, const Session& session);

}  // namespace sluice::bench
