// SPDX-License-Identifier: Apache-2.0
#include "control/host/host_table.hpp"

#include <linux/rtnetlink.h>

#include <algorithm>

namespace sluice::control {

void HostTable::clear() {
    addresses_.clear();
    routes_.clear();
    neighbours_.clear();
}

void HostTable::add(const AddressMessage& message) {
    const auto port = ports_.find(message.interface);
    if (port == ports_.end() || message.removed || !message.usable) return;
    addresses_.push_back({message.address, message.prefix_length, port->second});
}

void HostTable::add(const RouteMessage& message) {
    if (message.removed || message.table != RT_TABLE_MAIN) return;
    dataplane::Route route;
    route.destination = message.destination;
    route.metric = message.metric;
    route.blackhole = message.blackhole;
    if (!message.blackhole) {
        const auto usable = [&](const NextHop& hop) { return !hop.dead && ports_.contains(hop.interface); };
        const auto hop = std::find_if(message.hops.begin(), message.hops.end(), usable);
        if (hop == message.hops.end()) return;
        route.gateway = hop->gateway;
        route.port = ports_.at(hop->interface);
    }
    const auto [known, fresh] = routes_.try_emplace(route.destination, route);
    if (!fresh && route.metric < known->second.metric) known->second = route;
}

std::optional<HostTable::NeighbourChange> HostTable::apply(const NeighbourMessage& message) {
    const auto port = ports_.find(message.interface);
    if (port == ports_.end()) return {};
    const auto key = std::pair(port->second, message.address);
    NeighbourChange change{{message.address, message.mac, port->second}, !message.usable};
    if (change.removed) return neighbours_.erase(key) != 0 ? std::optional(change) : std::nullopt;
    const auto [known, fresh] = neighbours_.try_emplace(key, message.mac);
    if (!fresh && known->second == message.mac) return {};
    known->second = message.mac;
    return change;
}

dataplane::HostView HostTable::view() const {
    dataplane::HostView view;
    view.addresses = addresses_;
    for (const auto& [destination, route] : routes_) view.routes.push_back(route);
    for (const auto& [key, mac] : neighbours_) view.neighbours.push_back({key.second, mac, key.first});
    return view;
}

std::optional<int> HostTable::interface_of(PortId port) const {
    for (const auto& [interface, owner] : ports_)
        if (owner == port) return interface;
    return {};
}

}  // namespace sluice::control
