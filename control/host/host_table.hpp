// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/host/route_messages.hpp"
#include "dataplane/dataplane.hpp"

namespace sluice::control {

struct HostInterface {
    PortId port;
    std::string name;
};

// What the kernel says about the host interfaces, gathered message by message. No I/O. Other interfaces count for
// nothing, and of routes only table main does.
class HostTable {
  public:
    explicit HostTable(std::map<int, PortId> ports) : ports_(std::move(ports)) {}

    // Forgets everything, before a new dump.
    void clear();
    void add(const AddressMessage& message);
    void add(const RouteMessage& message);

    // What became of a neighbour; nothing where the message changes nothing or is about another interface.
    struct NeighbourChange {
        dataplane::Neighbour neighbour;
        bool removed = false;
    };
    std::optional<NeighbourChange> apply(const NeighbourMessage& message);

    // One route a destination: the least metric, and of equals the first. A multipath route is its first hop that is
    // alive and leads to a port; a route whose hops all lead elsewhere is left out.
    dataplane::HostView view() const;

    bool is_host_interface(int interface) const { return ports_.contains(interface); }
    std::optional<int> interface_of(PortId port) const;

  private:
    std::map<int, PortId> ports_;  // by kernel index
    std::vector<dataplane::LocalAddress> addresses_;
    std::map<net::Prefix, dataplane::Route> routes_;
    std::map<std::pair<PortId, net::IpAddress>, net::MacAddress> neighbours_;
};

}  // namespace sluice::control
