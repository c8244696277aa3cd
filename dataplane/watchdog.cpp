// SPDX-License-Identifier: Apache-2.0
#include "dataplane/watchdog.hpp"

#include <algorithm>
#include <utility>

namespace sluice::dataplane {

WorkerWatch::News WorkerWatch::look(const Sight& sight) {
    stood_ += std::min(sight.now - std::exchange(looked_, sight.now), patience_ / 2);
    if (sight.loops != loops_ || sight.asleep) {
        loops_ = sight.loops;
        stood_ = 0;
        if (!stuck_) return News::none;
        stuck_ = false;
        return News::recovered;
    }
    if (stuck_ || stood_ < patience_) return News::none;
    stuck_ = true;
    return News::stuck;
}

}  // namespace sluice::dataplane
