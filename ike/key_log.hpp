// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/engine_state.hpp"

namespace sluice::ike {

// KeyLogged actions, one JSON object a line (README.md). Call only where EngineConfig::key_log is set (TRAPS 51).
void log_ike_keys(EngineState& engine, const IkeSa& sa);
// Both halves, the outbound one first.
void log_child_keys(EngineState& engine, const ipsec::ChildSa& child);

}  // namespace sluice::ike
