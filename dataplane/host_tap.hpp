// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "lib/base/result.hpp"
#include "lib/net/address.hpp"

struct rte_mbuf;
struct rte_mempool;

namespace sluice::dataplane {

struct HostTapConfig {
    std::string name;     // of the kernel interface, 1..15 characters
    net::MacAddress mac;  // the port's, so that the kernel answers ARP and ND for it
    std::uint16_t mtu = 1500;
};

// The host interface behind a port: a TAP device of the kernel with the port's MAC. What a worker writes, the kernel
// receives; what the kernel sends, a worker reads (and passes through the outbound SPD, TRAPS 59). It is not
// persistent: it goes with the descriptor, after kill -9 as well. Frames carry no offload header, checksums are whole.
//
// Opened and closed by the control thread; read and written by the worker that owns queue 0 of the port. Neither call
// blocks.
//
// Settings of the kernel side: rp_filter is off (loose, where conf.all insists on a filter), because decrypted inner
// packets arrive here with sources that are routed elsewhere; and IPv6 addresses skip duplicate address detection
// (accept_dad off), so that the link-local one serves at once and neighbours can be resolved from the first packet.
class HostTap {
  public:
    // conflict: an interface of that name exists; invalid: no interface name; io: the kernel refused.
    static Result<HostTap> open(const HostTapConfig& config);
    HostTap(HostTap&& other) noexcept;
    HostTap& operator=(HostTap&& other) noexcept;
    ~HostTap();  // removes the interface

    const std::string& name() const { return name_; }
    int interface_index() const { return index_; }
    // Readable when the kernel has sent something; for IdleWait. Borrowed.
    int fd() const { return fd_; }

    // Fills `out` from the front with what the kernel has sent, one mbuf of `pool` a frame, and returns how many. The
    // caller owns them. Less than out.size() where nothing more waits, or the pool is empty (frames stay queued then).
    std::uint16_t read_burst(rte_mempool& pool, std::span<rte_mbuf*> out);

    // Hands a frame of one or more segments to the kernel. The mbuf stays the caller's. false: the kernel did not take
    // it (interface down, frame shorter than an Ethernet header, more than kMaxSegments): count it as a drop.
    bool write(const rte_mbuf& frame);

    static constexpr unsigned kMaxSegments = 64;

  private:
    HostTap(int fd, std::string name, int index) : fd_(fd), index_(index), name_(std::move(name)) {}
    int fd_ = -1;
    int index_ = 0;
    rte_mbuf* spare_ = nullptr;  // allocated, but nothing was there to be read; worker only
    std::string name_;
};

}  // namespace sluice::dataplane
