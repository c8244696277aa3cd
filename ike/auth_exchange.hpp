// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/exchange.hpp"

namespace sluice::ike {

struct PeerRequest;

// IKE_AUTH (RFC 7296 1.2, 2.15, 2.16, 2.21.2), and the first child with it. What the two ends show each other is in
// proof.hpp; PPKs (RFC 8784) are mixed in here.

// Initiator: turns the init task into the auth task and sends the request, after a helper has signed where that is so.
void begin_auth(EngineState& engine, IkeSa& sa);
void auth_response(EngineState& engine, IkeSa& sa, const Message& message);
// A helper is done with our signature, or with the responder's.
void auth_work_done(EngineState& engine, IkeSa& sa, AuthOutcome outcome);
// The helper's work was lost with its daemon (restore): it is asked for again.
void restart_auth(EngineState& engine, IkeSa& sa);

// Responder. Where a helper has to check or to sign, the request is kept, and comes again with the outcome.
void auth_request(EngineState& engine, IkeSa& sa, const PeerRequest& request);

// Both ends are authenticated.
void set_established(EngineState& engine, IkeSa& sa);
// A request of ours found that nobody is there, or a check of life is to be due again.
void schedule_liveness(EngineState& engine, IkeSa& sa);

// Whether another IKE SA between the same identities is up (INITIAL_CONTACT, TRAPS 21).
bool has_sibling(EngineState& engine, const IkeSa& sa);

}  // namespace sluice::ike
