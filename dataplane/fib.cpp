// SPDX-License-Identifier: Apache-2.0
#include "dataplane/fib.hpp"

#include <algorithm>

namespace sluice::dataplane {

namespace {

net::Prefix prefix_of(const char* text) { return *net::Prefix::parse(text); }

std::uint64_t next_generation() {
    static std::uint64_t last = 0;  // of the control thread
    return ++last;
}

}  // namespace

Fib::Fib(const HostView& view, Neighbours& neighbours)
    : generation_(next_generation()), hops_(2), addresses_(view.addresses) {
    hops_[1].kind = HopKind::blackhole;
    std::vector<Entry> entries;
    add_routes(view, neighbours, entries);
    add_locals(view, entries);
    build(entries);
}

void Fib::add_locals(const HostView& view, std::vector<Entry>& entries) {
    // Metric 0 last among equals: what is ours wins over any route of the same length.
    const auto add = [&](const net::Prefix& prefix, PortId port) {
        entries.push_back({prefix, 0, static_cast<Lpm::Value>(hops_.size())});
        hops_.push_back({HopKind::local, port, nullptr});
    };
    add(prefix_of("224.0.0.0/4"), PortId{});
    add(prefix_of("255.255.255.255/32"), PortId{});
    add(prefix_of("127.0.0.0/8"), PortId{});
    add(prefix_of("ff00::/8"), PortId{});
    add(prefix_of("fe80::/10"), PortId{});
    add(prefix_of("::/127"), PortId{});
    for (const LocalAddress& local : view.addresses) {
        add(net::Prefix::host(local.address), local.port);
        if (!local.address.is_v4() || local.prefix_length == 0 || local.prefix_length >= 31) continue;
        add(net::Prefix::host(net::Prefix::of(local.address, local.prefix_length).last()), local.port);
    }
}

void Fib::add_routes(const HostView& view, Neighbours& neighbours, std::vector<Entry>& entries) {
    for (const Route& r : view.routes) {
        if (r.blackhole) {
            entries.push_back({r.destination, r.metric, 1});
            continue;
        }
        NextHop hop{.kind = HopKind::on_link, .port = r.port, .gateway = nullptr};
        if (r.gateway) {
            pinned_.push_back(neighbours.get(r.gateway, r.port));
            hop.kind = HopKind::gateway;
            hop.gateway = pinned_.back().get();
        }
        entries.push_back({r.destination, r.metric, static_cast<Lpm::Value>(hops_.size())});
        hops_.push_back(hop);
    }
    // An address with a prefix means an on-link route, also where the kernel was told not to make one: lowest rank.
    for (const LocalAddress& local : view.addresses) {
        if (local.prefix_length == 0) continue;
        entries.push_back(
            {net::Prefix::of(local.address, local.prefix_length), ~0U, static_cast<Lpm::Value>(hops_.size())});
        hops_.push_back({HopKind::on_link, local.port, nullptr});
    }
}

void Fib::build(std::vector<Entry>& entries) {
    // Shortest first; of equal prefixes the lowest metric is added last and wins.
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
        if (a.prefix.length != b.prefix.length) return a.prefix.length < b.prefix.length;
        return a.metric > b.metric;
    });
    for (const Entry& e : entries) {
        Lpm& lpm = e.prefix.address.is_v4() ? v4_ : v6_;
        lpm.add(e.prefix.address.bytes(), e.prefix.length, e.value);
    }
}

net::IpAddress Fib::source_address(PortId port, net::Family family) const {
    const LocalAddress* any = nullptr;
    for (const LocalAddress& a : addresses_) {
        if (a.address.family() != family || a.address.is_link_local()) continue;
        if (a.port == port) return a.address;
        if (any == nullptr) any = &a;
    }
    return any != nullptr ? any->address : net::IpAddress{};
}

}  // namespace sluice::dataplane
