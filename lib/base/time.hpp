// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace sluice {

// Time is handed in, never read: this clock has no now(). The epoch is the caller's and steady; Instant{} is "never"
// where a field says so.
struct VirtualClock {
    using rep = std::int64_t;
    using period = std::nano;
    using duration = std::chrono::nanoseconds;
    using time_point = std::chrono::time_point<VirtualClock>;
    static constexpr bool is_steady = true;
};
using Duration = VirtualClock::duration;
using Instant = VirtualClock::time_point;

}  // namespace sluice
