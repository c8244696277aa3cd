// SPDX-License-Identifier: Apache-2.0
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>

#include <algorithm>

#include "dataplane/eal.hpp"
#include "dataplane/port.hpp"
#include "dataplane/port_device.hpp"

namespace sluice::dataplane {
namespace {

constexpr std::uint32_t kMbufsBase = 4096;
constexpr std::uint32_t kMbufsPerQueue = 8192;  // AF_XDP: 2048 in the fill ring, 2048 received, 2048 being sent
constexpr unsigned kCache = 256;                // mbufs that an lcore keeps for itself
constexpr unsigned kSmallestRoom = RTE_MBUF_DEFAULT_BUF_SIZE;
constexpr unsigned kEthernetOverhead = 18;  // header and one VLAN tag
constexpr unsigned kXdpHeadroom = 256;      // the kernel's XDP_PACKET_HEADROOM, on top of DPDK's
constexpr unsigned kTailroom = 128;         // ESP padding, ICV
constexpr unsigned kMempoolHeader = 64;     // a cache line before each object
constexpr unsigned kXdpChunk = 4096;        // AF_XDP: an mbuf with all its headers is one page at most

constexpr unsigned kLargeBuffers = 64;
constexpr unsigned kXdpMtu = 3500;  // the largest that fits; beyond it AF_PACKET takes the port over

constexpr unsigned round_up(unsigned value, unsigned unit) { return (value + unit - 1) / unit * unit; }

unsigned room_for(const PortConfig& port, std::uint16_t private_bytes) {
    const unsigned frame = port.mtu + kEthernetOverhead;
    const unsigned room = round_up(RTE_PKTMBUF_HEADROOM + kXdpHeadroom + frame + kTailroom, RTE_CACHE_LINE_SIZE);
    if (port.driver == PortDriver::af_xdp && port.mtu <= kXdpMtu) {
        const unsigned most = kXdpChunk - kMempoolHeader - static_cast<unsigned>(sizeof(rte_mbuf)) - private_bytes;
        return std::min(room, most / RTE_CACHE_LINE_SIZE * RTE_CACHE_LINE_SIZE);
    }
    return std::max(room, packet_ring_frame(port.mtu) + RTE_PKTMBUF_HEADROOM);
}

}  // namespace

PacketPoolShape packet_pool_shape(const DataplaneConfig& config, std::uint16_t private_bytes) {
    unsigned room = kSmallestRoom;
    std::uint32_t mbufs = kMbufsBase;
    for (const PortConfig& port : config.ports) {
        room = std::max(room, room_for(port, private_bytes));
        mbufs += kMbufsPerQueue * std::max<std::uint32_t>(port.queues, 1);
    }
    room = std::min(room, static_cast<unsigned>(UINT16_MAX));
    const std::uint64_t each = kMempoolHeader + sizeof(rte_mbuf) + private_bytes + room;
    const std::uint64_t budget = std::uint64_t{config.memory_mb} * 1024 * 1024 / 2;
    mbufs = static_cast<std::uint32_t>(std::min<std::uint64_t>(mbufs, budget / each));
    return {mbufs, static_cast<std::uint16_t>(room)};
}

Result<PacketPool> make_packet_pool(const PacketPoolShape& shape, std::uint16_t private_bytes) {
    rte_pktmbuf_pool_private area{};
    area.mbuf_data_room_size = shape.data_room;
    area.mbuf_priv_size = private_bytes;
    // With virtual IOVAs no object minds a page boundary. Without the flag 4 KiB pages would leave gaps between
    // objects, which AF_XDP's umem, counted as objects times their size, would not cover.
    const bool contiguous = rte_eal_iova_mode() == RTE_IOVA_VA;
    const unsigned flags = RTE_MEMPOOL_F_NO_SPREAD | (contiguous ? RTE_MEMPOOL_F_NO_IOVA_CONTIG : 0U);
    const unsigned size = static_cast<unsigned>(sizeof(rte_mbuf)) + private_bytes + shape.data_room;
    PacketPool pool(rte_mempool_create_empty("packets", shape.mbufs, size, kCache, sizeof area, SOCKET_ID_ANY, flags));
    const auto failed = [](const std::string& what) {
        return fail(ErrorCode::exhausted, "packet pool: " + what + ": " + take_eal_errors());
    };
    if (!pool) return failed("no memory");
    if (rte_mempool_set_ops_byname(pool.get(), rte_mbuf_best_mempool_ops(), nullptr) != 0) return failed("no handler");
    rte_pktmbuf_pool_init(pool.get(), &area);
    if (rte_mempool_populate_default(pool.get()) < 0) return failed("memory_mb is too little");
    if (contiguous && pool->nb_mem_chunks != 1) return failed("memory is not one block");
    rte_mempool_obj_iter(pool.get(), rte_pktmbuf_init, nullptr);
    return pool;
}

Result<PacketPool> make_large_pool(std::uint16_t private_bytes) {
    PacketPool pool(rte_pktmbuf_pool_create("large", kLargeBuffers, 0, private_bytes, UINT16_MAX, SOCKET_ID_ANY));
    if (!pool) return fail(ErrorCode::exhausted, "pool of large packets: " + take_eal_errors());
    return pool;
}

void PacketPoolDeleter::operator()(rte_mempool* pool) const { rte_mempool_free(pool); }

}  // namespace sluice::dataplane
