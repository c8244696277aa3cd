// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>

#include "dataplane/path.hpp"

// The last step of nearly every packet, for the stages that end with it.
namespace sluice::dataplane {

// 14 bytes at `at`. The MACs are words whose low 48 bits are the bytes in memory order.
inline void write_ethernet_header(Byte* at, std::uint64_t destination, std::uint64_t source, std::uint16_t type) {
    const std::uint64_t rest = (source & 0xffff'ffff'ffff) | std::uint64_t{Be16::of(type).raw()} << 48;
    std::memcpy(at, &destination, sizeof(destination));  // two bytes too many, which the next line is written over
    std::memcpy(at + 6, &rest, sizeof(rest));
}

// Sends what stands at its IP header where nothing is in the way: it fits, the neighbour's MAC is known, this worker
// serves the port, and there is room. destination: what the IP header says. False: nothing has happened, and transmit()
// has more to do.
[[gnu::always_inline]] inline bool Path::send_at_once(rte_mbuf* m, const NextHop& hop, std::size_t mtu,
                                                      Address128 destination) {
    const Exit& exit = exits_[hop.port.value];
    PacketList& out = port_out_[hop.port.value];
    if (m->pkt_len > mtu || m->data_off < kEthernetSize || !exit.own_queue || out.full()) return false;
    const bool v4 = data(m)[0] >> 4 == 4;
    const Adjacency* const next =
        hop.gateway != nullptr ? hop.gateway
                               : tables_.neighbours.find(hop.port, destination, v4 ? net::Family::v4 : net::Family::v6);
    const std::uint64_t mac = next != nullptr ? next->use() : 0;
    if (mac == 0) return false;
    push(m, kEthernetSize);
    write_ethernet_header(data(m), mac, exit.mac, v4 ? net::kEtherIpv4 : net::kEtherIpv6);
    out.add(m);
    return true;
}

}  // namespace sluice::dataplane
