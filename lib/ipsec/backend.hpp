// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/ipsec/child_sa.hpp"
#include "lib/ipsec/policy.hpp"

namespace sluice::ipsec {

// Counters of one half of a child SA, as the workers add them up. Bytes are inner packet lengths.
struct SaCounters {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    Seq highest;      // highest sequence number sent, or verified
    Duration idle{};  // since the last packet; Duration::max() if there was none
};
struct ChildSaCounters {
    SaCounters inbound;
    SaCounters outbound;
};

// A packet met a protect policy with trap and no SA. Rate-limited per policy by the backend.
struct Acquire {
    PolicyId policy;
    PacketSelector packet;
};
// A limit of Lifetime in bytes, packets, sequence numbers or IVs was reached. Raised once each.
struct Expire {
    ChildSaId child;
    bool hard = false;
};
// An authenticated packet of an encapsulated SA came from another address or port than the SA has (TRAPS 24).
// Only reported; what follows is the IKE side's decision.
struct EndpointChanged {
    ChildSaId child;
    net::Endpoint remote;
};
using BackendEvent = std::variant<Acquire, Expire, EndpointChanged>;

// What carries ESP: workers (dataplane) or the kernel's XFRM (control/kernel). Called by the control thread only; no
// call blocks on a worker. A call that returns success has taken effect for every packet a worker starts after it, at
// the latest when the call's commands have drained.
class IpsecBackend {
  public:
    virtual ~IpsecBackend() = default;

    // Replaces the configured policies in one step. SAs keep serving the policies whose id stays.
    virtual Result<void> set_policies(const Spd& spd) = 0;

    // Packets for this inbound SPI are held, at most 16 of them, until install() or release(): they can arrive before
    // the keys are computed (TRAPS 53).
    virtual Result<void> reserve(Spi inbound) = 0;
    virtual void release(Spi inbound) = 0;

    // conflict where the id or the inbound SPI is installed already.
    virtual Result<void> install(const ChildSa& sa) = 0;
    // Lets the outbound half carry traffic, for an SA installed with outbound_ready = false.
    virtual Result<void> enable_outbound(ChildSaId child) = 0;
    // New outer endpoints or encapsulation; keys, sequence numbers and segment stay.
    virtual Result<void> update_endpoints(ChildSaId child, const net::Endpoint& local, const net::Endpoint& remote,
                                          bool encap) = 0;
    virtual Result<void> remove(ChildSaId child) = 0;
    virtual Result<ChildSaCounters> query(ChildSaId child) const = 0;

    // Hands out what has happened since the last call.
    virtual std::vector<BackendEvent> poll_events() = 0;
};

}  // namespace sluice::ipsec
