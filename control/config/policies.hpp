// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "control/config/connection_sections.hpp"
#include "control/config/schema.hpp"

namespace sluice::control {

// Makes the SPD from children, shunts and static SAs, orders it and writes each policy's id into what it was made from
// (Config::spd says how; TRAPS 54). Moves the drafts' children into config.connections and config.shunts. Policies that
// another one hides are findings.
void make_policies(const ConfigNode& root, std::vector<ConnectionDraft> drafts, Config& config, Findings& findings);

}  // namespace sluice::control
