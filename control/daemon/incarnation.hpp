// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lib/base/result.hpp"
#include "lib/base/strong.hpp"

namespace sluice::control {

// The node's incarnation: 16 bits of every IV, one more at each start, so that no IV repeats under a key that outlived
// a restart (FEATURES, "What makes active/active safe", 1). The record is on disk and synced before this returns. At
// 65535 it refuses: then every key that this node ever used must be replaced before the record may be removed.
Result<Incarnation> next_incarnation(const std::string& state_directory);

}  // namespace sluice::control
