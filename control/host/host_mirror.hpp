// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "control/host/host_table.hpp"
#include "control/host/route_socket.hpp"
#include "dataplane/dataplane.hpp"
#include "lib/base/result.hpp"
#include "lib/base/time.hpp"

namespace sluice::control {

// Follows the kernel's addresses, routes and neighbours behind the host interfaces, and tells the dataplane. Control
// thread only. Nothing here waits, but for the kernel's own immediate answers to apply().
//
// Addresses and routes: any change of them, or of a link, starts a new dump of everything, kSettle after the first
// change (the kernel takes routes away with a link or an address without saying so); the whole view is handed on when
// the dump is complete. Neighbours are handed on one by one. Lost notifications (ENOBUFS) and interrupted dumps start
// over.
class HostMirror {
  public:
    struct Callbacks {
        std::function<void(const dataplane::HostView&)> view;
        std::function<void(const dataplane::Neighbour&)> neighbour_set;
        std::function<void(const net::IpAddress&, PortId)> neighbour_removed;
    };
    static constexpr Duration kSettle = std::chrono::milliseconds(20);
    // A dump whose end does not come is started over.
    static constexpr Duration kDumpLimit = std::chrono::seconds(5);
    // A neighbour is asked of the kernel this often at most, however often workers want it.
    static constexpr Duration kAskAgain = std::chrono::seconds(1);

    // Subscribes, and starts the first dump. The interfaces exist (Dataplane::host_interface()) and stay for the
    // mirror's life. not_found: an interface is missing; io: netlink.
    static Result<std::unique_ptr<HostMirror>> open(const std::vector<HostInterface>& interfaces, Callbacks callbacks);

    // Watch it for reading and call on_readable().
    int fd() const { return events_.fd(); }
    void on_readable(Instant now);
    // Call every 100 ms or sooner: starts the dump that a change has asked for.
    void maintain(Instant now);

    // Sets addresses (IPv6 without duplicate address detection), then routes, on the host interfaces; what is there
    // already stays. The first refusal of the kernel, naming the address or route. They come back through `view`.
    Result<void> apply(const std::vector<dataplane::LocalAddress>& addresses,
                       const std::vector<dataplane::Route>& routes);

    // Makes the kernel resolve a neighbour, or probe one that is in use and stale: traffic of the dataplane does not
    // refresh the kernel's entry, and one that ages out must not stop it (TRAPS 57). For each of
    // Dataplane::poll_neighbours().
    void request(const dataplane::NeighbourWanted& wanted, Instant now);

  private:
    HostMirror(HostTable table, RouteSocket events, RouteSocket commands, Callbacks callbacks);
    void start_dump();
    void next_dump();
    void on_dump(const MessageContext& context, const RouteNetlink& message);
    void on_notification(const RouteNetlink& message, Instant now);
    void change_seen(Instant now);

    HostTable table_;     // what is handed out
    HostTable gathered_;  // what the running dump has brought
    RouteSocket events_;
    RouteSocket commands_;
    Callbacks callbacks_;
    std::size_t stage_ = 0;  // of the dump; past the last one: none runs
    bool interrupted_ = false;
    Instant give_up_at_{};  // of the running dump; Instant{} before maintain() has seen it
    bool stale_ = false;    // apply() changed things during the dump: it is thrown away and repeated at once
    std::uint32_t dump_sequence_ = 0;
    bool again_ = false;  // a change came during the dump, or since
    Instant again_at_{};
    std::vector<NeighbourMessage> meanwhile_;  // neighbour changes during the dump, which it may have missed
    std::map<std::pair<PortId, net::IpAddress>, Instant> asked_;
};

}  // namespace sluice::control
