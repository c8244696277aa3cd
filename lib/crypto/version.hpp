// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace sluice::crypto {

// The OpenSSL that runs: "OpenSSL 3.0.11 19 Sep 2023".
std::string library_version();

}  // namespace sluice::crypto
