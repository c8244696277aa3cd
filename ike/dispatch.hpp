// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/engine_state.hpp"

namespace sluice::ike {

// From bytes to the exchange that they belong to: header, SPIs, integrity, window, and only then the payloads.
void dispatch(EngineState& engine, const Datagram& datagram);
void dispatch_dh(EngineState& engine, DhOutcome outcome);

// The peer is somewhere else from now on; its children in UDP follow (TRAPS 24).
void move_path(EngineState& engine, IkeSa& sa, const Path& path);

}  // namespace sluice::ike
