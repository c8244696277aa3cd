// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <x86intrin.h>

#include <algorithm>
#include <cstdint>

namespace sluice::bench {

// TSC cycles around a piece of work: what comes before the first reading has retired, and nothing of the work is left
// behind the second. No rdtscp, which valgrind does not know: instructions are counted with it.
inline std::uint64_t clock_start() {
    _mm_lfence();
    const std::uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
}
inline std::uint64_t clock_stop() { return clock_start(); }

// What a pair of readings around nothing costs: taken off every piece.
inline std::uint64_t clock_overhead() {
    std::uint64_t least = ~0ULL;
    for (int i = 0; i < 10000; ++i) {
        const std::uint64_t start = clock_start();
        least = std::min(least, clock_stop() - start);
    }
    return least;
}

}  // namespace sluice::bench
