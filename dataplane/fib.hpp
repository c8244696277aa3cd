// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "dataplane/lpm.hpp"
#include "dataplane/neighbours.hpp"
#include "dataplane/reclaimer.hpp"

namespace sluice::dataplane {

enum class HopKind : std::uint8_t { none, local, on_link, gateway, blackhole };

// Where a destination leads. Read only.
struct NextHop {
    HopKind kind = HopKind::none;
    PortId port;
    const Adjacency* gateway = nullptr;  // where kind is gateway
};

// One state of the kernel's routes and addresses, immutable. Local addresses, IPv4 subnet broadcasts, multicast and
// IPv6 link-local destinations are local: the kernel behind the host interface takes them.
class Fib {
  public:
    Fib(const HostView& view, Neighbours& neighbours);
    const NextHop& find_v4(const Byte* address) const { return at(v4_.find(address)); }
    const NextHop& find_v6(const Byte* address) const { return at(v6_.find(address)); }
    std::size_t memory() const { return v4_.memory() + v6_.memory(); }
    // Never the same for two of them, and never 0: what was looked up in one is good until this changes.
    std::uint64_t generation() const { return generation_; }
    const std::vector<LocalAddress>& addresses() const { return addresses_; }
    // An address of ours on this port to send from, of this family; none where there is none.
    net::IpAddress source_address(PortId port, net::Family family) const;

  private:
    const NextHop& at(Lpm::Value v) const { return hops_[v < hops_.size() ? v : 0]; }
    struct Entry {
        net::Prefix prefix;
        std::uint32_t metric;
        Lpm::Value value;
    };
    void add_locals(const HostView& view, std::vector<Entry>& entries);
    void add_routes(const HostView& view, Neighbours& neighbours, std::vector<Entry>& entries);
    void build(std::vector<Entry>& entries);

    const std::uint64_t generation_;
    std::vector<NextHop> hops_;  // 0: none, 1: blackhole
    std::vector<std::shared_ptr<Adjacency>> pinned_;
    std::vector<LocalAddress> addresses_;
    Lpm v4_;
    Lpm v6_;
};

}  // namespace sluice::dataplane
