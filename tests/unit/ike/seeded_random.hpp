// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>

#include "lib/crypto/random.hpp"

namespace sluice::ike {

// Repeatable bytes. Every test that uses one names the seed in its output.
class SeededRandom final : public crypto::Random {
  public:
    explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}
    void fill(MutBytes out) override {
        for (Byte& b : out) b = static_cast<Byte>(engine_() >> 13);
    }
    std::size_t below(std::size_t limit) { return static_cast<std::size_t>(engine_() % limit); }
    ByteVec bytes(std::size_t size) {
        ByteVec made(size);
        fill(made);
        return made;
    }

  private:
    std::mt19937_64 engine_;
};

}  // namespace sluice::ike
