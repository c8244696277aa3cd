// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "control/config/schema.hpp"

// The sections that describe this node: [daemon], [metrics], [debug], [dataplane], [[port]], [[worker]], [[route]],
// [policy] and [ike]. All are optional but [[port]].
namespace sluice::control {

// Fills everything of Config but connections, secrets, shunts, static SAs and policies.
void load_system(const ConfigNode& root, Config& config, Findings& findings);

std::vector<SectionDoc> system_reference();

}  // namespace sluice::control
