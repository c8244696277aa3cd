// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "ike/engine_state.hpp"

namespace sluice::ike {

// Postquantum preshared keys (RFC 8784). Only PPK_ID_FIXED (type 2): the peer's own word for a key that both have.

// The PPK with the id, or null.
const PpkSecret* find_ppk(const EngineState& engine, std::string_view id);
// Initiator: the PPK that its connection names, where both ends have announced PPKs; or null.
const PpkSecret* offered_ppk(const EngineState& engine, const IkeSa& sa);
// Why a required PPK is not to be had.
std::string no_ppk(const EngineState& engine, const IkeSa& sa);

// N(PPK_IDENTITY) of the initiator.
NotifyPayload ppk_identity(std::string_view id);
// The id in it; empty where it has another type.
std::string ppk_id_of(const NotifyPayload& identity);

}  // namespace sluice::ike
