// SPDX-License-Identifier: Apache-2.0
#include "control/host/host_mirror.hpp"

#include <linux/rtnetlink.h>
#include <net/if.h>

#include <array>
#include <cstring>

#include "lib/base/log.hpp"

namespace sluice::control {
namespace {

constexpr std::array kStages{DumpKind::addresses, DumpKind::routes_v4, DumpKind::routes_v6, DumpKind::neighbours};
constexpr std::uint32_t kGroups =
    RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_NEIGH;
constexpr std::size_t kMaxAsked = 4096;        // remembered neighbour requests
constexpr std::size_t kMaxMeanwhile = 65'536;  // beyond it the dump is repeated
constexpr unsigned kDatagramsAtOnce = 256;     // a flood must not hold the loop

}  // namespace

Result<std::unique_ptr<HostMirror>> HostMirror::open(const std::vector<HostInterface>& interfaces,
                                                     Callbacks callbacks) {
    std::map<int, PortId> ports;
    for (const HostInterface& interface : interfaces) {
        const unsigned index = if_nametoindex(interface.name.c_str());
        if (index == 0) return fail(ErrorCode::not_found, "host interface " + interface.name + " does not exist");
        ports[static_cast<int>(index)] = interface.port;
    }
    auto events = RouteSocket::open(kGroups);
    if (!events) return events.error();
    auto commands = RouteSocket::open(0);
    if (!commands) return commands.error();
    std::unique_ptr<HostMirror> mirror(
        new HostMirror(HostTable(ports), std::move(*events), std::move(*commands), std::move(callbacks)));
    mirror->start_dump();
    return mirror;
}

HostMirror::HostMirror(HostTable table, RouteSocket events, RouteSocket commands, Callbacks callbacks)
    : table_(table),
      gathered_(std::move(table)),
      events_(std::move(events)),
      commands_(std::move(commands)),
      callbacks_(std::move(callbacks)),
      stage_(kStages.size()) {}

void HostMirror::start_dump() {
    gathered_.clear();
    meanwhile_.clear();
    again_ = false;
    interrupted_ = false;
    stale_ = false;
    stage_ = 0;
    give_up_at_ = {};
    next_dump();
}

// One dump at a time runs on a socket; NLMSG_DONE of one starts the next.
void HostMirror::next_dump() {
    dump_sequence_ = events_.next_sequence();
    if (auto sent = events_.send(dump_request(kStages[stage_], dump_sequence_)); !sent) {
        log_warning("net", sent.error().text);
        stage_ = kStages.size();
        again_ = true;
    }
}

void HostMirror::on_readable(Instant now) {
    for (unsigned i = 0; i < kDatagramsAtOnce; ++i) {
        const auto got = events_.receive([&](const MessageContext& context, const RouteNetlink& message) {
            const bool answer = context.port_id == events_.port_id() && context.sequence == dump_sequence_;
            if (answer && stage_ < kStages.size()) {
                interrupted_ = interrupted_ || context.interrupted;
                on_dump(context, message);
            } else {
                on_notification(message, now);
            }
        });
        if (got == RouteSocket::Received::overrun) change_seen(now);
        if (got == RouteSocket::Received::nothing) return;
    }
}

void HostMirror::on_dump(const MessageContext&, const RouteNetlink& message) {
    if (const auto* address = std::get_if<AddressMessage>(&message)) gathered_.add(*address);
    if (const auto* route = std::get_if<RouteMessage>(&message)) gathered_.add(*route);
    if (const auto* neighbour = std::get_if<NeighbourMessage>(&message)) gathered_.apply(*neighbour);
    const auto* error = std::get_if<ErrorMessage>(&message);
    if (error != nullptr && error->code != 0) {
        log_warning("net", std::string("rtnetlink dump: ") + std::strerror(error->code));
        interrupted_ = true;
    }
    if (error == nullptr && !std::holds_alternative<DoneMessage>(message)) return;
    if (++stage_ < kStages.size()) {
        next_dump();
        return;
    }
    if (stale_) {
        start_dump();
        return;
    }
    if (interrupted_) {
        again_ = true;
        return;
    }
    for (const NeighbourMessage& late : meanwhile_) gathered_.apply(late);
    table_ = gathered_;
    callbacks_.view(table_.view());
}

void HostMirror::on_notification(const RouteNetlink& message, Instant now) {
    if (const auto* neighbour = std::get_if<NeighbourMessage>(&message)) {
        const auto change = table_.apply(*neighbour);
        if (change && change->removed) callbacks_.neighbour_removed(change->neighbour.address, change->neighbour.port);
        if (change && !change->removed) callbacks_.neighbour_set(change->neighbour);
        if (stage_ >= kStages.size()) return;
        meanwhile_.push_back(*neighbour);
        if (meanwhile_.size() > kMaxMeanwhile) interrupted_ = true;
        return;
    }
    const auto* route = std::get_if<RouteMessage>(&message);
    const auto* address = std::get_if<AddressMessage>(&message);
    const auto* link = std::get_if<LinkMessage>(&message);
    if (address != nullptr && !table_.is_host_interface(address->interface)) return;
    if (link != nullptr && !table_.is_host_interface(link->interface)) return;
    if (route != nullptr && route->table != RT_TABLE_MAIN) return;
    if (route != nullptr || address != nullptr || link != nullptr) change_seen(now);
}

void HostMirror::change_seen(Instant now) {
    if (again_) return;
    again_ = true;
    again_at_ = now + kSettle;
}

void HostMirror::maintain(Instant now) {
    const bool dumping = stage_ < kStages.size();
    if (dumping && give_up_at_ == Instant{}) give_up_at_ = now + kDumpLimit;
    if (dumping && now > give_up_at_) start_dump();
    if (again_ && stage_ >= kStages.size() && now >= again_at_) start_dump();
    if (asked_.size() > kMaxAsked) std::erase_if(asked_, [&](const auto& one) { return now - one.second > kAskAgain; });
}

Result<void> HostMirror::apply(const std::vector<dataplane::LocalAddress>& addresses,
                               const std::vector<dataplane::Route>& routes) {
    const auto checked = [&](const ByteVec& message, const std::string& what) -> Result<void> {
        const auto code = commands_.request(message);
        if (!code) return code.error();
        if (*code != 0) return fail(ErrorCode::io, what + ": " + std::strerror(*code));
        return {};
    };
    for (const dataplane::LocalAddress& address : addresses) {
        const auto interface = table_.interface_of(address.port);
        const std::string what = "address " + address.address.to_string() + "/" + std::to_string(address.prefix_length);
        if (!interface) return fail(ErrorCode::not_found, what + ": its port has no host interface");
        if (auto done = checked(add_address_request(address, *interface, commands_.next_sequence()), what); !done)
            return done;
    }
    for (const dataplane::Route& route : routes) {
        const auto interface = table_.interface_of(route.port);
        const std::string what = "route to " + route.destination.to_string();
        if (!interface && !route.blackhole)
            return fail(ErrorCode::not_found, what + ": its port has no host interface");
        const int index = interface.value_or(0);
        if (auto done = checked(add_route_request(route, index, commands_.next_sequence()), what); !done) return done;
    }
    // A dump under way may have passed the addresses before they were there: half a view is worse than none.
    if (stage_ < kStages.size())
        stale_ = true;
    else
        start_dump();
    return {};
}

void HostMirror::request(const dataplane::NeighbourWanted& wanted, Instant now) {
    const auto interface = table_.interface_of(wanted.port);
    if (!interface || !wanted.address) return;
    const auto [asked, fresh] = asked_.try_emplace({wanted.port, wanted.address}, now);
    if (!fresh && now - asked->second < kAskAgain) return;
    asked->second = now;
    const auto sent = commands_.send(use_neighbour_request(wanted.address, *interface, commands_.next_sequence()));
    if (!sent) log_warning("net", "neighbour " + wanted.address.to_string() + ": " + sent.error().text);
}

}  // namespace sluice::control
