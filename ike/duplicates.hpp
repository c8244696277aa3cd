// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/engine_state.hpp"

namespace sluice::ike {

// Two ends that begin at once make everything twice (TRAPS 20). Both see the same two SAs and judge alike: the one
// whose exchange had the lowest of the four nonces is redundant (the rule of RFC 7296 2.8.1), and the end that
// initiated it deletes it. Only what is the same twice is touched: for children, the same child and selectors; for IKE
// SAs, the same connection and identities, and no child that the other lacks. Call when an SA came up.
//
// Peers that do not know the rule, strongSwan among them, leave theirs standing: what is still there twice after
// kDuplicateGrace is deleted by the end that sees it, whoever initiated it.
void close_duplicates(EngineState& engine, IkeSa& sa);
// Begins and ends the task TaskKind::settle: the grace is over.
void settle_duplicates(EngineState& engine, IkeSa& sa);

// INITIAL_CONTACT of an authenticated peer: its older IKE SAs of the same identities are forgotten, without a DELETE
// (RFC 7296 2.4, TRAPS 21). One that came up after the peer began this one is not older: both ends began at once, and
// the peer did not know of it when it wrote the notify.
void close_forgotten(EngineState& engine, const IkeSa& fresh);

}  // namespace sluice::ike
