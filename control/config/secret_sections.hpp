// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "control/config/schema.hpp"

// [secrets]: preshared keys, postquantum ones and private keys.
namespace sluice::control {

// Fills secrets and credentials.
void load_secrets(const ConfigNode& root, Config& config, Findings& findings);

// The first secret that can serve a peer with these identities; null where there is none. An identity that is any, not
// known before the peer has said it, fits every secret.
const ike::PskSecret* find_secret(const std::vector<ike::PskSecret>& secrets, const ike::Identity& local,
                                  const ike::Identity& remote);

std::vector<SectionDoc> secret_reference();

}  // namespace sluice::control
