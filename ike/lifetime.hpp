// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/engine_state.hpp"

namespace sluice::ike {

// Soft lifetimes: what is replaced before it ends, and by whom it is asked (RFC 7296 2.8, RFC 4301 4.4.2.1).

// The limits of one child: the configured ones, the soft ones earlier by a random part of rand_* (TRAPS 37).
ipsec::Lifetime draw_lifetime(EngineState& engine, const ChildConfig& config);
// Sets the limits of an IKE SA that comes up. Reauthentication that is due already stays due: a rekeyed IKE SA has the
// reauth_at of the one that it replaced.
void start_lifetime(EngineState& engine, IkeSa& sa);

// Queues a rekeying, unless one is under way or the SA is on its way out.
void want_child_rekey(EngineState& engine, IkeSa& sa, Child& child);
void want_ike_rekey(EngineState& engine, IkeSa& sa);

// What has reached its soft lifetime.
void run_soft_lifetimes(EngineState& engine, IkeSa& sa);
std::optional<Instant> next_soft_lifetime(const IkeSa& sa);

}  // namespace sluice::ike
