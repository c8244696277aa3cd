// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "ike/engine_state.hpp"
#include "ike/protect.hpp"

namespace sluice::ike {

// The window of one (RFC 7296 2.1 to 2.3): one request of ours is out at a time, repeated by nobody but us; the peer's
// last request is answered again with the same bytes.

void send_message(EngineState& engine, IkeSa& sa, const Path& path, const Datagrams& message);

// Sends the active task's request and starts its timer. begin_plain() is for IKE_SA_INIT, message ID 0, and may be
// called again for the same exchange (COOKIE, INVALID_KE_PAYLOAD).
void begin_plain(EngineState& engine, IkeSa& sa, ByteVec bytes);
void begin_request(EngineState& engine, IkeSa& sa, ExchangeType exchange, std::span<const Payload> payloads);
// The active task is done or given up: its request too.
void end_task(EngineState& engine, IkeSa& sa);

// Answers the expected request and moves the window on.
void respond(EngineState& engine, IkeSa& sa, const Path& path, const Header& request,
             std::span<const Payload> payloads);
void respond_plain(EngineState& engine, IkeSa& sa, const Path& path, ByteVec bytes);

// Sends the pending request again where it is due. False: it has been sent often enough.
bool repeat_request(EngineState& engine, IkeSa& sa);

// An IKE SA's bytes under its own keys, with IVs that were never used before: in fragments where both ends take them
// and the whole would be larger than the connection's fragment_size (TRAPS 27).
Datagrams seal_message(EngineState& engine, const IkeSa& sa, const Header& header, std::span<const Payload> payloads);

NotifyPayload make_notify(NotifyType type, ByteVec data = {});

// An exchange that this end begins runs when those before it are done.
void enqueue(EngineState& engine, IkeSa& sa, Task task);

// Whether our DELETE of the whole IKE SA is out, or is the next to go.
bool closing(const IkeSa& sa);

// Forgets keys and children at once; what stays is the last response (kLinger). Children whose configuration says so
// are initiated again.
enum class CloseReason { local, peer_deleted, unreachable, failed };
// text: why. After a failure a Notice has told it already, and ike_down says what became of the IKE SA.
void close_sa(EngineState& engine, IkeSa& sa, CloseReason reason, const std::string& text);

}  // namespace sluice::ike
