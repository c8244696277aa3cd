// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdio>
#include <cstdlib>

namespace sluice::crypto {

// For calls into the cryptographic library that fail only when memory or the library itself is broken. Going on
// without the result (a zero key, a MAC never computed) would be worse than to stop, so it stops, in every build type.
inline void must(bool ok, const char* what) {
    if (ok) return;
    std::fputs("sluice: cryptographic library: ", stderr);
    std::fputs(what, stderr);
    std::fputc('\n', stderr);
    std::abort();
}

}  // namespace sluice::crypto
