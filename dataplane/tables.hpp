// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "dataplane/fib.hpp"
#include "dataplane/neighbours.hpp"
#include "dataplane/reclaimer.hpp"
#include "dataplane/sa.hpp"
#include "dataplane/segment_map.hpp"
#include "dataplane/spd_index.hpp"
#include "dataplane/spi_table.hpp"
#include "dataplane/watchdog.hpp"

namespace sluice::dataplane {

// What a worker knows of a port. Read only after start.
struct PortInfo {
    net::MacAddress mac;
    std::uint16_t mtu = 1500;
    std::uint16_t queues = 1;
    bool unfinished_checksums = false;  // frames may come from this machine with the checksum left to a NIC
};

// An SPI that was offered to a peer and has no keys yet.
struct Reservation {
    Spi spi;
};

// What commands name an SA by.
struct ByChild {
    static std::uint32_t key(const OutboundSa& sa) { return sa.child.value + 256; }
};

// Everything that all workers read and control changes. Each member's header says by which protocol.
struct Tables {
    Tables(const DataplaneConfig& c, std::vector<PortInfo> port_infos, unsigned workers)
        : config(c),
          ports(std::move(port_infos)),
          worker_count(workers),
          segments(c.segments, workers, c.node),
          sad(reclaimer, c.max_sas),
          outbound(reclaimer, c.max_sas),
          reserved(reclaimer, c.max_sas),
          spd(reclaimer),
          neighbours(reclaimer),
          owned_fib(std::make_unique<Fib>(HostView{}, neighbours)),
          fib(owned_fib.get()) {}

    const DataplaneConfig config;
    const std::vector<PortInfo> ports;
    const unsigned worker_count;
    SegmentMap segments;
    LostWorkers lost;
    Reclaimer reclaimer{64};
    SpiTable<InboundSa> sad;
    SpiTable<OutboundSa, ByChild> outbound;  // by child_key(); for commands, not for packets
    SpiTable<Reservation> reserved;
    SpdIndex spd;
    Neighbours neighbours;
    std::unique_ptr<Fib> owned_fib;  // control
    std::atomic<const Fib*> fib;     // control writes, workers read

    // Control: builds a FIB beside the old one and swaps. The neighbours that were not usable before.
    std::vector<Neighbour> set_host_view(const HostView& view) {
        std::vector<Neighbour> fresh = neighbours.replace(view.neighbours);
        auto next = std::make_unique<Fib>(view, neighbours);
        fib.store(next.get(), std::memory_order_release);
        std::swap(owned_fib, next);
        reclaimer.retire(std::move(next));
        return fresh;
    }

    // Queue q of port p belongs to worker (p + q) mod workers, for receiving and for sending.
    WorkerId worker_of(PortId port, std::uint16_t queue) const {
        return WorkerId{static_cast<std::uint16_t>((port.value + unsigned{queue}) % worker_count)};
    }
    // The queue that a worker sends through, or -1 where it has none on this port.
    int queue_of(PortId port, WorkerId worker) const {
        const unsigned q = (worker.value + worker_count - port.value % worker_count) % worker_count;
        return q < ports[port.value].queues ? static_cast<int>(q) : -1;
    }
    static Spi child_key(ChildSaId child) { return Spi{child.value + 256}; }
    // Which worker carries an SA that one worker carries: the one of its part of the segment map.
    WorkerId owner_of(const net::IpAddress& address, Spi spi) const;
};

}  // namespace sluice::dataplane
