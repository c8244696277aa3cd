// SPDX-License-Identifier: Apache-2.0
#include "lib/base/secret.hpp"

namespace sluice {

void wipe(MutBytes bytes) {
    if (bytes.empty()) return;
    std::memset(bytes.data(), 0, bytes.size());
    __asm__ __volatile__("" : : "r"(bytes.data()) : "memory");
}

}  // namespace sluice
