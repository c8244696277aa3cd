// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/flow.hpp"
#include "lib/base/strong.hpp"

struct rte_mbuf;

namespace sluice::dataplane {

// What packets wait for: an SPI (family none) or a neighbour.
struct HoldKey {
    Address128 value = 0;
    net::Family family = net::Family::none;
    PortId port{};
    friend bool operator==(const HoldKey&, const HoldKey&) = default;
};

// A few packets for each of a few keys, bounded in both and in time. One worker owns it. Linear search: nothing here is
// on the fast path.
class Hold {
  public:
    struct Shape {
        unsigned keys;
        unsigned packets_per_key;
        std::uint64_t patience;  // cycles
    };
    enum class Put : std::uint8_t { first, more, full };

    explicit Hold(const Shape& shape);
    // full: the packet stays the caller's. first: it is the only one for this key.
    Put put(const HoldKey& key, rte_mbuf* m, std::uint64_t now);
    // All that waited for the key, in order; the caller owns them.
    std::vector<rte_mbuf*>& take(const HoldKey& key);
    // What has waited too long, of at most one key a call; empty where there is none.
    std::vector<rte_mbuf*>& take_expired(std::uint64_t now);
    unsigned held() const { return held_; }
    template <class F>
    void for_each(F&& f) const {
        for (const Slot& s : slots_) {
            for (rte_mbuf* m : s.packets) f(m);
        }
    }

  private:
    struct Slot {
        HoldKey key;
        std::uint64_t since = 0;
        std::vector<rte_mbuf*> packets;  // reserved to its bound
    };
    std::vector<rte_mbuf*>& move_out(Slot& slot);
    Shape shape_;
    std::vector<Slot> slots_;
    std::vector<rte_mbuf*> taken_;
    unsigned held_ = 0;
};

}  // namespace sluice::dataplane
