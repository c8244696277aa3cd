// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/engine_state.hpp"

namespace sluice::ike {

// One IKE SA as bytes: a version byte, then every field of IkeSa in the order of describe(). Times are written as
// distances from now, so they mean the same on a machine whose clock began elsewhere. Arithmetic under way is written
// as still to be done. The connection is written by its name.
inline constexpr std::uint8_t kSavedVersion = 2;

ByteVec save_ike_sa(const EngineState& engine, const IkeSa& sa);
// not_found where the configuration lacks the connection or a child that is being negotiated; unsupported for another
// version; invalid where the bytes break the format. Ids that are taken here are replaced by new ones.
Result<IkeSa> load_ike_sa(EngineState& engine, Bytes saved, Instant now);

}  // namespace sluice::ike
