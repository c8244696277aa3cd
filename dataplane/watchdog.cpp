// SPDX-License-Identifier: Apache-2.0
#include "dataplane/watchdog.hpp"

namespace sluice::dataplane {

WorkerWatch::News WorkerWatch::look(const Sight& sight) {
    if (sight.loops != loops_ || sight.asleep) {
        loops_ = sight.loops;
        since_ = sight.now;
        if (!stuck_) return News::none;
        stuck_ = false;
        return News::recovered;
    }
    if (stuck_ || sight.now - since_ < patience_) return News::none;
    stuck_ = true;
    return News::stuck;
}

}  // namespace sluice::dataplane
