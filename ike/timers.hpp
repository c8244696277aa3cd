// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/engine_state.hpp"

namespace sluice::ike {

// What falls due for one IKE SA: repetitions, half-open and hard lifetimes, checks of life, keepalives, queued tasks,
// arithmetic to be started again after a restore.

// The earliest of them.
std::optional<Instant> deadline_of(const EngineState& engine, const IkeSa& sa);
// Does what is due at engine.now.
void run_due(EngineState& engine, IkeSa& sa);
// Removes a child whose hard lifetime has ended, and tells the peer; or one that the peer rekeyed and deleted.
void expire_child(EngineState& engine, IkeSa& sa, const Child& child);
// Begins the next task where none runs.
void run_tasks(EngineState& engine, IkeSa& sa);

}  // namespace sluice::ike
