// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/version.hpp"

#include <openssl/crypto.h>

namespace sluice::crypto {

std::string library_version() { return OpenSSL_version(OPENSSL_VERSION); }

}  // namespace sluice::crypto
