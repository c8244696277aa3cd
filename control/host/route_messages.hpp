// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <variant>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "lib/base/bytes.hpp"
#include "lib/net/address.hpp"

// rtnetlink messages to values and back: functions over bytes, no socket. Interfaces are kernel indices here; ports
// come in with HostTable. Attributes that are too short count as absent.
namespace sluice::control {

struct AddressMessage {
    bool removed = false;
    int interface = 0;
    net::IpAddress address;  // the local one, also on a point-to-point link
    std::uint8_t prefix_length = 0;
    bool usable = true;  // not failed in duplicate address detection
};

struct NextHop {
    net::IpAddress gateway;  // none: on link
    int interface = 0;       // 0 with a blackhole
    bool dead = false;       // the kernel would not use it: carrier or interface down
};

struct RouteMessage {
    bool removed = false;
    net::Prefix destination;
    std::vector<NextHop> hops;  // several where it is multipath, in the kernel's order
    std::uint32_t metric = 0;
    std::uint32_t table = 0;
    bool blackhole = false;  // blackhole, unreachable, prohibit
};

struct NeighbourMessage {
    bool removed = false;
    int interface = 0;
    net::IpAddress address;
    net::MacAddress mac;
    bool usable = false;  // has a link-layer address and is not INCOMPLETE, FAILED or NOARP
};

// An interface appeared, changed its state or went.
struct LinkMessage {
    int interface = 0;
};

struct DoneMessage {};
struct ErrorMessage {
    int code = 0;  // positive errno; 0 is an acknowledgement
};

using RouteNetlink =
    std::variant<AddressMessage, RouteMessage, NeighbourMessage, LinkMessage, DoneMessage, ErrorMessage>;

// Who a message answers, from its header.
struct MessageContext {
    std::uint32_t sequence = 0;
    std::uint32_t port_id = 0;
    bool interrupted = false;  // NLM_F_DUMP_INTR: the table changed under the dump, which must be repeated
};

// Calls `visit` for each message of a datagram that has a meaning here. What is malformed, unknown, of another address
// family, a cached route, or a route type other than unicast and the blackholes is passed over.
void decode_datagram(Bytes datagram, const std::function<void(const MessageContext&, const RouteNetlink&)>& visit);

// Requests, ready to be sent. sequence is the caller's.
enum class DumpKind : std::uint8_t { addresses, routes_v4, routes_v6, neighbours };
ByteVec dump_request(DumpKind kind, std::uint32_t sequence);
// IPv6 addresses skip duplicate address detection (IFA_F_NODAD).
ByteVec add_address_request(const dataplane::LocalAddress& address, int interface, std::uint32_t sequence);
ByteVec remove_address_request(const AddressMessage& address, std::uint32_t sequence);
// Table main, protocol static; replaces a route of the same destination and metric.
ByteVec add_route_request(const dataplane::Route& route, int interface, std::uint32_t sequence);
// Makes the kernel resolve the address, or confirm it again where it is stale (NTF_USE).
ByteVec use_neighbour_request(const net::IpAddress& address, int interface, std::uint32_t sequence);
// Takes an XDP program off the interface, if there is one.
ByteVec detach_xdp_request(int interface, std::uint32_t sequence);

}  // namespace sluice::control
