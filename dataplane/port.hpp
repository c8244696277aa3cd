// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "lib/base/result.hpp"
#include "lib/net/address.hpp"

struct rte_mempool;

namespace sluice::dataplane {

// The packet buffers of all ports and workers: one pool, so that AF_XDP sends a forwarded mbuf without a copy.
struct PacketPoolDeleter {
    void operator()(rte_mempool* pool) const;
};
using PacketPool = std::unique_ptr<rte_mempool, PacketPoolDeleter>;

// Sizes of the pool that a configuration needs.
struct PacketPoolShape {
    std::uint32_t mbufs = 0;
    // Bytes behind each mbuf header, RTE_PKTMBUF_HEADROOM (128) included: a frame of the largest MTU in one segment and
    // what an ESP tunnel adds to it.
    std::uint16_t data_room = 0;
};
// 4096 mbufs and 8192 for each port queue, less where half of memory_mb would not hold them. AF_XDP limits an mbuf,
// headers included, to one page: an MTU up to 3500. With a larger one on any port, whatever its driver, AF_XDP does not
// start and its ports fall back to AF_PACKET.
PacketPoolShape packet_pool_shape(const DataplaneConfig& config, std::uint16_t private_bytes = 0);
// EAL must run. All memory is one virtually contiguous block, which AF_XDP's umem relies on. private_bytes are reserved
// between the mbuf header and its data (rte_mbuf_to_priv()); a multiple of 8. exhausted: memory_mb is too little.
Result<PacketPool> make_packet_pool(const PacketPoolShape& shape, std::uint16_t private_bytes = 0);
// A few buffers of 64 KiB, for packets in chains or in fragments that are longer than a buffer of the first pool. No
// port receives into them.
Result<PacketPool> make_large_pool(std::uint16_t private_bytes = 0);

// A DPDK port that is configured and started. Owned by the control thread; workers use ethdev() with
// rte_eth_rx_burst() and rte_eth_tx_burst(), each queue by one worker alone.
//
// What the drivers here do not do, and a worker therefore must: no checksum, VLAN or segmentation offloads are on;
// frames for other MAC addresses can arrive; a checksum of a peer on the same machine can be unfinished; and AF_XDP
// sends the first segment of a chain only (all that workers send is linear).
class Port {
  public:
    // Opens the device with `queues` receive and as many transmit queues, all fed from `pool`, sets the MTU where the
    // driver can, receives all multicast, and starts it. AF_XDP that does not start falls back to AF_PACKET, with a
    // warning in the log. not_found: no such interface; io: DPDK's words.
    static Result<Port> open(PortId id, const PortConfig& config, rte_mempool& pool);
    Port(Port&&) noexcept;
    Port& operator=(Port&&) noexcept;
    ~Port();  // stops, closes and unplugs the device; no worker may use it any more

    PortId id() const;
    std::uint16_t ethdev() const;  // DPDK's port number
    const std::string& name() const;
    // What drives it: differs from the configuration after a fall-back.
    PortDriver driver() const;
    const net::MacAddress& mac() const;
    std::uint16_t mtu() const;     // of IP packets, without the Ethernet header
    std::uint16_t queues() const;  // receive queues 0..n-1, and transmit queues too

    // Descriptors that become readable when the queue has packets: for IdleWait. Borrowed. Empty where the driver has
    // none (net_ring, net_null, PCI): such a queue can only be looked at from time to time.
    const std::vector<int>& receive_fds(std::uint16_t queue) const;

  private:
    struct State;
    explicit Port(std::unique_ptr<State> state);
    static Result<Port> open_as(PortDriver driver, PortId id, const PortConfig& config, rte_mempool& pool);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::dataplane
