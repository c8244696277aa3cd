// SPDX-License-Identifier: Apache-2.0
// Routing, neighbours, and the ways out.
#include <cstring>

#include "dataplane/path.hpp"
#include "dataplane/send.hpp"
#include "lib/net/tunnel.hpp"

namespace sluice::dataplane {

namespace {

// The source of frames that the worker itself makes for the kernel: locally administered, and no port's.
constexpr std::array<Byte, 6> kWorkerMac = {0x02, 0, 0, 0, 0, 0x01};

HoldKey next_hop_key(const NextHop& hop, rte_mbuf* m) {
    if (hop.kind == HopKind::gateway) {
        return {to_number(hop.gateway->address), hop.gateway->address.family(), hop.port};
    }
    const bool v4 = data(m)[0] >> 4 == 4;
    const Address128 destination = v4 ? load_number(header<net::Ipv4Header>(m)->destination)
                                      : load_number(header<net::Ipv6Header>(m)->destination);
    return {destination, v4 ? net::Family::v4 : net::Family::v6, hop.port};
}

}  // namespace

// Bypass: one hop as any router does it (RFC 1812 5.2, RFC 8200).
[[gnu::flatten]] void Path::forward_clear() {
    for (rte_mbuf* m : forward_) {
        PacketNotes& n = notes(m);
        if (n.hop == nullptr) n.hop = &route(m);
        const NextHop& hop = *n.hop;
        const bool leaves = hop.kind == HopKind::gateway || hop.kind == HopKind::on_link;
        if (!leaves || n.ip.ttl <= 1 || n.origin == Origin::self || n.mark != 0 ||
            m->pkt_len > exits_[hop.port.value].mtu) {
            forward_rarely(m);
            continue;
        }
        n.ip.is_v4() ? net::decrement_ipv4_ttl(bytes_of(m)) : net::decrement_ipv6_hop_limit(bytes_of(m));
        counters_.forwarded_packets.add(1);
        n.sealed = false;
        if (!send_at_once(m, hop, exits_[hop.port.value].mtu, n.flow.destination)) transmit(m);
    }
    forward_.clear();
}

// What has no way, has come too far, is too large, or was made here.
[[gnu::noinline]] void Path::forward_rarely(rte_mbuf* m) {
    PacketNotes& n = notes(m);
    if (n.hop->kind == HopKind::local) return deliver_inner_to_host(m, n.hop->port);
    if (n.hop->kind == HopKind::none || n.hop->kind == HopKind::blackhole) {
        send_error(m, net::IcmpError::no_route);
        return drop(m, n.hop->kind == HopKind::none ? Drop::no_route : Drop::blackhole);
    }
    if (n.origin != Origin::self && n.ip.ttl <= 1) {
        send_error(m, net::IcmpError::time_exceeded);
        return drop(m, Drop::ttl);
    }
    const std::size_t mtu = tables_.ports[n.hop->port.value].mtu;
    if (m->pkt_len > mtu && n.ip.dont_fragment) {
        send_error(m, net::IcmpError::packet_too_big, mtu);
        return drop(m, Drop::too_big);
    }
    if (n.origin != Origin::self) {
        n.ip.is_v4() ? net::decrement_ipv4_ttl(bytes_of(m)) : net::decrement_ipv6_hop_limit(bytes_of(m));
        counters_.forwarded_packets.add(1);
    }
    n.sealed = false;
    transmit(m);
}

// Sends what stands at its IP header by notes.hop, in fragments where the port, or an SA's path, is too narrow.
[[gnu::noinline]] void Path::transmit(rte_mbuf* m) {
    const PacketNotes& n = notes(m);
    if (n.mark != 0) classify_mark(m);
    const std::size_t mtu = n.sealed ? n.out->way.mtu : tables_.ports[n.hop->port.value].mtu;
    if (m->pkt_len > mtu) return transmit_fragments(m, mtu);
    resolve_and_send(m);
}

void Path::transmit_fragments(rte_mbuf* m, std::size_t mtu) {
    PacketList pieces;
    const NextHop* const hop = notes(m).hop;
    fragment(m, mtu, pieces);
    for (rte_mbuf* piece : pieces) {
        notes(piece).hop = hop;
        resolve_and_send(piece);
    }
    counters_.fragments_sent.add(pieces.count);
}

void Path::resolve_and_send(rte_mbuf* m) {
    PacketNotes& n = notes(m);
    const NextHop& hop = *n.hop;
    const bool v4 = data(m)[0] >> 4 == 4;
    if (m->data_off < kEthernetSize) return drop(m, Drop::no_room);
    const HoldKey key = next_hop_key(hop, m);
    const Adjacency* const next =
        hop.gateway != nullptr ? hop.gateway : tables_.neighbours.find(hop.port, key.value, key.family);
    if (const std::uint64_t mac = next != nullptr ? next->use() : 0; mac != 0) {
        push(m, kEthernetSize);
        write_ethernet_header(data(m), mac, exits_[hop.port.value].mac, v4 ? net::kEtherIpv4 : net::kEtherIpv6);
        return send_frame(m, hop.port);
    }
    // The kernel is asked to resolve it; a few packets wait (TRAPS 57).
    if (releasing_) return drop_unresolved(m, key);
    const Hold::Put put = neighbour_hold_.put(key, m, now_);
    if (put == Hold::Put::full) return drop(m, Drop::neighbour_missing);
    counters_.held.add(1);
    if (put != Hold::Put::first) return;
    raise(
        {.kind = EventKind::neighbour_missing, .port = hop.port, .flow = {.source = key.value, .family = key.family}});
}

// The policies may have changed while a clear packet waited (TRAPS 43). False: it has been dropped.
bool Path::still_clear(rte_mbuf* m) {
    const PacketNotes& n = notes(m);
    if (n.origin == Origin::port && !admitted(m, tables_.spd.find_inbound(n.flow))) return false;
    const OutboundVerdict verdict = tables_.spd.find_outbound(n.flow);
    if (verdict.action != ipsec::PolicyAction::protect) return may_leave_clear(m, verdict);
    drop(m, Drop::no_sa);
    return false;
}

void Path::release_neighbour(const net::IpAddress& address, PortId port) {
    PacketList waiting;
    for (rte_mbuf* m : neighbour_hold_.take({to_number(address), address.family(), port})) waiting.add(m);
    for (rte_mbuf* m : waiting) {
        if (!notes(m).sealed && !still_clear(m)) continue;
        notes(m).hop = &route(m);
        const HopKind kind = notes(m).hop->kind;
        kind == HopKind::gateway || kind == HopKind::on_link ? resolve_and_send(m) : drop(m, Drop::no_route);
    }
}

void Path::send_frame(rte_mbuf* m, PortId port) {
    if (const Exit& exit = exits_[port.value]; !exit.own_queue || (releasing_ && !exit.all_own_queues)) {
        notes(m).port = port;
        return hand_over(m, tables_.worker_of(port, 0), Entry::transmit);
    }
    PacketList& out = port_out_[port.value];
    if (out.full() && output_ != nullptr) output_->send_to_port(port, out);
    if (out.full()) return drop(m, Drop::tx_full);
    out.add(m);
}

// What the kernel sent and no policy is about: its Ethernet header is still in front.
void Path::send_unchanged(rte_mbuf* m) {
    push(m, kEthernetSize);
    send_frame(m, notes(m).port);
}

void Path::deliver_frame_to_host(rte_mbuf* m, PortId port) {
    const WorkerId owner = tables_.worker_of(port, 0);
    if (owner != worker_) {
        notes(m).port = port;
        return hand_over(m, owner, Entry::to_host);
    }
    PacketList& out = host_out_[port.value];
    if (out.full() && output_ != nullptr) output_->send_to_host(port, out);
    if (out.full()) return drop(m, Drop::host_full);
    out.add(m);
}

void Path::deliver_unchanged_to_host(rte_mbuf* m) {
    push(m, kEthernetSize);
    deliver_frame_to_host(m, notes(m).port);
}

void Path::write_ethernet(rte_mbuf* m, PortId port) {
    push(m, kEthernetSize);
    auto* const eth = header<net::EthernetHeader>(m);
    eth->destination = tables_.ports[port.value].mac.bytes;
    eth->source = kWorkerMac;
    eth->type = Be16::of(data(m)[kEthernetSize] >> 4 == 4 ? net::kEtherIpv4 : net::kEtherIpv6);
}

[[gnu::noinline]] void Path::deliver_inner_to_host(rte_mbuf* m, PortId port) {
    if (m->data_off < kEthernetSize) return drop(m, Drop::no_room);
    write_ethernet(m, port);
    deliver_frame_to_host(m, port);
}

}  // namespace sluice::dataplane
