// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/engine.hpp"
#include "ike/ike_sa.hpp"

namespace sluice::ike {

// What list-sas shows of an IKE SA.
IkeView view_of(const IkeSa& sa);

}  // namespace sluice::ike
