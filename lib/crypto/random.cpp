// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/random.hpp"

#include <openssl/rand.h>

#include <algorithm>

#include "lib/crypto/must.hpp"

namespace sluice::crypto {

void SystemRandom::fill(MutBytes out) {
    constexpr std::size_t kMost = 1 << 20;  // OpenSSL counts in int
    while (!out.empty()) {
        const auto chunk = out.first(std::min(out.size(), kMost));
        must(RAND_priv_bytes(chunk.data(), static_cast<int>(chunk.size())) == 1, "no random bytes");
        out = out.subspan(chunk.size());
    }
}

}  // namespace sluice::crypto
