// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "dataplane/flow.hpp"
#include "dataplane/reclaimer.hpp"

namespace sluice::dataplane {

// One next hop's link address. Made and freed by control; kept while the neighbour table or a FIB names it. The MAC is
// one atomic word, so an update is seen whole; used is set by workers and cleared by control (TRAPS 57).
struct Adjacency {
    net::IpAddress address;                      // read only
    Address128 number = 0;                       // read only: the address as a worker compares it
    PortId port;                                 // read only
    std::atomic<std::uint64_t> mac{0};           // control writes: kUsable | 48 bits in memory order
    mutable std::atomic<std::uint32_t> used{0};  // workers set 1, control takes it back
    static constexpr std::uint64_t kUsable = std::uint64_t{1} << 63;

    // A worker is about to send by it: the MAC in the low 48 bits, in memory order; 0 where it has none.
    std::uint64_t use() const {
        const std::uint64_t word = mac.load(std::memory_order_relaxed);
        if (word != 0 && used.load(std::memory_order_relaxed) == 0) used.store(1, std::memory_order_relaxed);
        return word;
    }
    // False where it had one already.
    bool set_mac(const net::MacAddress& m) {
        std::uint64_t word = 0;
        std::memcpy(&word, m.bytes.data(), 6);
        return mac.exchange(word | kUsable, std::memory_order_relaxed) == 0;
    }
};

// Neighbours by (port, address): open addressing as in SpiTable, with the same protocol; the reader compares the
// address inside the adjacency. Control writes, workers read.
class Neighbours {
  public:
    explicit Neighbours(Reclaimer& reclaimer);

    // Worker.
    const Adjacency* find(PortId port, Address128 address, net::Family family) const {
        const Table& t = *current_.load(std::memory_order_acquire);
        for (std::size_t i = hash(port, address) & t.mask;; i = (i + 1) & t.mask) {
            const Adjacency* a = t.slots[i].load(std::memory_order_acquire);
            if (a == nullptr) return nullptr;
            if (a->number == address && a->port == port && a->address.family() == family) return a;
        }
    }

    // Control. The adjacency of a neighbour, made without a MAC where there is none. Pinned ones (gateways) survive
    // remove() as unusable.
    std::shared_ptr<Adjacency> get(const net::IpAddress& address, PortId port);
    // True where it was not usable before: packets may wait for it.
    bool set(const Neighbour& neighbour);
    void remove(const net::IpAddress& address, PortId port);
    // Replaces all that is known; adjacencies of neighbours that stay are kept. Those that were not usable before.
    std::vector<Neighbour> replace(const std::vector<Neighbour>& neighbours);
    // Those that carried packets since the last call.
    std::vector<NeighbourWanted> take_used();
    std::size_t size() const { return all_.size(); }

  private:
    struct Key {
        net::IpAddress address;
        PortId port;
        friend bool operator==(const Key&, const Key&) = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& k) const noexcept {
            return std::hash<net::IpAddress>{}(k.address) ^ (std::size_t{k.port.value} << 24);
        }
    };
    struct Table {
        explicit Table(std::size_t size) : slots(size), mask(size - 1) {}
        std::vector<std::atomic<const Adjacency*>> slots;
        std::size_t mask;
    };
    static std::size_t hash(PortId port, Address128 address) {
        std::uint64_t h =
            static_cast<std::uint64_t>(address) ^ (static_cast<std::uint64_t>(address >> 64) * 0x9e3779b97f4a7c15);
        h = (h ^ port.value) * 0xff51afd7ed558ccd;
        return static_cast<std::size_t>(h ^ (h >> 32));
    }
    static void place(Table& table, const Adjacency* adjacency);
    void publish(const Adjacency* added);

    Reclaimer& reclaimer_;
    std::unordered_map<Key, std::shared_ptr<Adjacency>, KeyHash> all_;  // control
    std::unique_ptr<Table> table_;                                      // control
    std::atomic<const Table*> current_{nullptr};                        // control writes, workers read
};

}  // namespace sluice::dataplane
