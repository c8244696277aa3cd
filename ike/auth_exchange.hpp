// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/exchange.hpp"

namespace sluice::ike {

// IKE_AUTH with pre-shared keys (RFC 7296 1.2, 2.15, 2.16, 2.21.2), and the first child with it.

// Initiator: turns the init task into the auth task and sends the request.
void begin_auth(EngineState& engine, IkeSa& sa);
void auth_response(EngineState& engine, IkeSa& sa, const Message& message);

// Responder.
void auth_request(EngineState& engine, IkeSa& sa, const Message& message, const Path& path);

// Both ends are authenticated.
void set_established(EngineState& engine, IkeSa& sa);
// A request of ours found that nobody is there, or a check of life is to be due again.
void schedule_liveness(EngineState& engine, IkeSa& sa);

// Whether another IKE SA between the same identities is up (INITIAL_CONTACT, TRAPS 21).
bool has_sibling(EngineState& engine, const IkeSa& sa);

}  // namespace sluice::ike
