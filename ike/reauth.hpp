// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/engine_state.hpp"

namespace sluice::ike {

// Reauthentication, make-before-break (RFC 7296 2.8.3): a new IKE SA with IKE_AUTH and the children of the old one, one
// for each name; the old one is deleted when they are all there and what was sent through its children has arrived.

// Begins it. An IKE SA without children has nothing to keep: it ends at its hard lifetime. Where the new IKE SA does
// not come up, it is tried again after kRekeyRetry, until the old one's hard lifetime.
void reauthenticate(EngineState& engine, IkeSa& old);
// Takes the next step, where sa was made by reauthenticate(). Call whenever something has happened to it.
void continue_reauth(EngineState& engine, IkeSa& sa);

}  // namespace sluice::ike
