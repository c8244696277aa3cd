// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/bytes.hpp"

namespace sluice::crypto {

// Where unpredictable bytes come from. Handed in, so that a test can replay a run from its seed.
class Random {
  public:
    virtual ~Random() = default;
    virtual void fill(MutBytes out) = 0;
};

// OpenSSL's generator, for the private half of its calls too. A failure of the system's entropy aborts: there is no
// safe way on. May be called by any thread.
class SystemRandom final : public Random {
  public:
    void fill(MutBytes out) override;
};

}  // namespace sluice::crypto
