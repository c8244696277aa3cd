// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "control/config/schema.hpp"

// [static.NAME]: pairs of ESP SAs with manual keys, for labs.
namespace sluice::control {

// SAs without policy, node and incarnation, in file order. Duplicate SPIs and wrong key lengths are findings.
void load_statics(const ConfigNode& root, std::vector<ipsec::ChildSa>& into, Findings& findings);

std::vector<SectionDoc> static_reference();

}  // namespace sluice::control
