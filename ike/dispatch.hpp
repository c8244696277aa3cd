// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/engine_state.hpp"

namespace sluice::ike {

// From bytes to the exchange that they belong to: header, SPIs, integrity, window, and only then the payloads.
void dispatch(EngineState& engine, const Datagram& datagram);
void dispatch_dh(EngineState& engine, DhOutcome outcome);
void dispatch_auth(EngineState& engine, AuthOutcome outcome);
// The IKE_AUTH request that a helper worked at before a restore is worked through anew.
void restart_served_auth(EngineState& engine, IkeSa& sa);

// The peer is somewhere else from now on; its children in UDP follow (TRAPS 24).
void move_path(EngineState& engine, IkeSa& sa, const Path& path);

}  // namespace sluice::ike
