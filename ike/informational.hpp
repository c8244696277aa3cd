// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/exchange.hpp"

namespace sluice::ike {

// INFORMATIONAL (RFC 7296 1.4): deletes, checks of life, and the refusal after a failed IKE_AUTH.

void begin_delete_child(EngineState& engine, IkeSa& sa);
void begin_delete_ike(EngineState& engine, IkeSa& sa);
void begin_refuse_auth(EngineState& engine, IkeSa& sa);
void begin_liveness(EngineState& engine, IkeSa& sa);
void informational_response(EngineState& engine, IkeSa& sa, const Message& message);

void informational_request(EngineState& engine, IkeSa& sa, const Message& message, const Path& path);

}  // namespace sluice::ike
