// SPDX-License-Identifier: Apache-2.0
#include "dataplane/neighbours.hpp"

#include <unordered_set>
#include <utility>

namespace sluice::dataplane {

Neighbours::Neighbours(Reclaimer& reclaimer) : reclaimer_(reclaimer), table_(std::make_unique<Table>(64)) {
    current_.store(table_.get(), std::memory_order_release);
}

void Neighbours::place(Table& table, const Adjacency* adjacency) {
    std::size_t i = hash(adjacency->port, adjacency->number) & table.mask;
    while (table.slots[i].load(std::memory_order_relaxed) != nullptr) i = (i + 1) & table.mask;
    table.slots[i].store(adjacency, std::memory_order_release);
}

// A new neighbour goes into a free slot of the table that workers read; a full or outdated table is made anew beside it
// and swapped.
void Neighbours::publish(const Adjacency* added) {
    if (added != nullptr && all_.size() * 2 <= table_->slots.size()) {
        place(*table_, added);
        return;
    }
    std::size_t size = 64;
    while (size < all_.size() * 4) size *= 2;
    auto fresh = std::make_unique<Table>(size);
    for (const auto& [key, adjacency] : all_) place(*fresh, adjacency.get());
    current_.store(fresh.get(), std::memory_order_release);
    std::swap(table_, fresh);
    reclaimer_.retire(std::move(fresh));
}

std::shared_ptr<Adjacency> Neighbours::get(const net::IpAddress& address, PortId port) {
    auto& slot = all_[Key{address, port}];
    if (!slot) {
        slot = std::make_shared<Adjacency>();
        slot->address = address;
        slot->number = to_number(address);
        slot->port = port;
        publish(slot.get());
    }
    return slot;
}

bool Neighbours::set(const Neighbour& n) { return get(n.address, n.port)->set_mac(n.mac); }

void Neighbours::remove(const net::IpAddress& address, PortId port) {
    const auto found = all_.find(Key{address, port});
    if (found == all_.end()) return;
    found->second->mac.store(0, std::memory_order_relaxed);
    if (found->second.use_count() > 1) return;  // a FIB names it
    auto gone = std::move(found->second);
    all_.erase(found);
    publish(nullptr);
    reclaimer_.retire([gone] {});
}

std::vector<Neighbour> Neighbours::replace(const std::vector<Neighbour>& neighbours) {
    std::unordered_set<Key, KeyHash> stay;
    for (const Neighbour& n : neighbours) stay.insert(Key{n.address, n.port});
    std::vector<Key> leave;
    for (const auto& [key, adjacency] : all_) {
        if (!stay.contains(key)) leave.push_back(key);
    }
    for (const Key& key : leave) remove(key.address, key.port);
    std::vector<Neighbour> fresh;
    for (const Neighbour& n : neighbours) {
        if (set(n)) fresh.push_back(n);
    }
    return fresh;
}

std::vector<NeighbourWanted> Neighbours::take_used() {
    std::vector<NeighbourWanted> out;
    for (const auto& [key, adjacency] : all_) {
        if (adjacency->used.exchange(0, std::memory_order_relaxed) != 0) out.push_back({key.address, key.port, false});
    }
    return out;
}

}  // namespace sluice::dataplane
