// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "control/config/schema.hpp"

// [[port]], [[worker]] and [[route]].
namespace sluice::control {

void load_ports(const ConfigNode& root, Config& config, Findings& findings);

std::vector<SectionDoc> port_reference();

}  // namespace sluice::control
