// SPDX-License-Identifier: Apache-2.0
#include "dataplane/hold.hpp"

#include <algorithm>

namespace sluice::dataplane {

Hold::Hold(const Shape& shape) : shape_(shape), slots_(shape.keys) {
    for (Slot& s : slots_) s.packets.reserve(shape.packets_per_key);
    taken_.reserve(shape.packets_per_key);
}

Hold::Put Hold::put(const HoldKey& key, rte_mbuf* m, std::uint64_t now) {
    Slot* free = nullptr;
    for (Slot& s : slots_) {
        if (s.packets.empty()) {
            if (free == nullptr) free = &s;
        } else if (s.key == key) {
            if (s.packets.size() >= shape_.packets_per_key) return Put::full;
            s.packets.push_back(m);
            ++held_;
            return Put::more;
        }
    }
    if (free == nullptr) return Put::full;
    free->key = key;
    free->since = now;
    free->packets.push_back(m);
    ++held_;
    return Put::first;
}

std::vector<rte_mbuf*>& Hold::move_out(Slot& slot) {
    taken_.assign(slot.packets.begin(), slot.packets.end());
    slot.packets.clear();
    held_ -= static_cast<unsigned>(taken_.size());
    return taken_;
}

std::vector<rte_mbuf*>& Hold::take(const HoldKey& key) {
    taken_.clear();
    for (Slot& s : slots_) {
        if (!s.packets.empty() && s.key == key) return move_out(s);
    }
    return taken_;
}

std::vector<rte_mbuf*>& Hold::take_expired(std::uint64_t now) {
    taken_.clear();
    if (held_ == 0) return taken_;
    for (Slot& s : slots_) {
        if (!s.packets.empty() && now - s.since > shape_.patience) return move_out(s);
    }
    return taken_;
}

}  // namespace sluice::dataplane
