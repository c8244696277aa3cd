// SPDX-License-Identifier: Apache-2.0
// From a received burst to lists: ESP for us, clear to be forwarded, and what the kernel takes.
#include <cstring>

#include "dataplane/path.hpp"
#include "lib/esp/encap.hpp"
#include "lib/net/checksum.hpp"

namespace sluice::dataplane {

namespace {

constexpr std::size_t kAhead = 4;  // packets between prefetch and use

bool is_neighbour_discovery(const Flow& f) {
    return f.protocol == net::kProtocolIcmpv6 && f.family == net::Family::v6 && f.ports_known &&
           f.source_port >> 8 >= net::kIcmpv6RouterSolicitation && f.source_port >> 8 <= net::kIcmpv6Redirect;
}

// Destinations that no policy is about: they never leave the link (RFC 4291 2.5.6 and 2.7, RFC 5771 4, RFC 919).
bool is_link_scope(const Flow& f) {
    if (f.family == net::Family::v4) {
        const auto v4 = static_cast<std::uint32_t>(f.destination);
        return v4 >> 8 == 0xe00000 || v4 == 0xffffffff;
    }
    const auto top = static_cast<std::uint16_t>(f.destination >> 112);
    return (top & 0xffc0) == 0xfe80 || (top & 0xff0f) == 0xff02;
}

}  // namespace

// Chained segments are made one, so that every later stage sees plain bytes (TRAPS 45).
bool Path::linear(rte_mbuf* m) {
    if (m->nb_segs == 1 || rte_pktmbuf_linearize(m) == 0) return true;
    drop(m, Drop::no_room);
    return false;
}

bool Path::parse(rte_mbuf* m) {
    const net::PacketFault fault = read_ip(m);
    if (fault == net::PacketFault::none) return true;
    drop(m, fault == net::PacketFault::checksum ? Drop::ip_checksum : Drop::malformed);
    return false;
}

const NextHop& Path::route(rte_mbuf* m) const {
    const Fib& fib = *tables_.fib.load(std::memory_order_acquire);
    if (data(m)[0] >> 4 == 4) return fib.find_v4(header<net::Ipv4Header>(m)->destination.data());
    return fib.find_v6(header<net::Ipv6Header>(m)->destination.data());
}

// Ours: the port at our end, so that nobody gets past a policy by choosing a source port.
bool Path::is_ike(const Flow& f, std::uint16_t our_port) const {
    return f.protocol == net::kProtocolUdp && f.ports_known &&
           (our_port == tables_.config.ike_port || our_port == tables_.config.nat_port);
}

void Path::classify_port(PortId port, std::span<rte_mbuf*> frames) {
    for (std::size_t i = 0; i < frames.size() && i < kAhead; ++i) rte_prefetch0(data(frames[i]));
    for (std::size_t i = 0; i < frames.size(); ++i) {
        if (i + kAhead < frames.size()) rte_prefetch0(data(frames[i + kAhead]));
        rte_mbuf* const m = frames[i];
        counters_.rx_bytes.add(m->pkt_len);
        PacketNotes& n = notes(m);
        n.origin = Origin::port;
        n.port = port;
        if (linear(m)) classify_frame(m);
    }
    counters_.rx_packets.add(frames.size());
}

void Path::classify_frame(rte_mbuf* m) {
    if (m->data_len < kEthernetSize) return drop(m, Drop::malformed);
    PacketNotes& n = notes(m);
    const auto* eth = header<net::EthernetHeader>(m);
    const bool group = (eth->destination[0] & 1) != 0;
    if (!group && eth->destination != tables_.ports[n.port.value].mac.bytes) return drop(m, Drop::foreign_mac);
    const std::uint16_t type = eth->type.host();
    if (group || (type != net::kEtherIpv4 && type != net::kEtherIpv6)) return deliver_frame_to_host(m, n.port);
    pull(m, kEthernetSize);
    if (!parse(m)) return;
    if ((type == net::kEtherIpv4) != n.ip.is_v4()) return drop(m, Drop::malformed);
    if (tables_.ports[n.port.value].unfinished_checksums) finish_checksum(m);
    route(m).kind == HopKind::local ? classify_local(m) : admit_clear_to_forward(m);
}

// A neighbour on the same machine leaves TCP and UDP checksums to a NIC that never comes. They have to be whole before
// the packet is sealed or leaves by another port.
void Path::finish_checksum(rte_mbuf* m) const {
    const net::Packet& ip = notes(m).ip;
    if (ip.is_fragment() || (ip.protocol != net::kProtocolTcp && ip.protocol != net::kProtocolUdp)) return;
    const MutBytes packet = bytes_of(m);
    if (packet.size() - ip.header_size < sizeof(net::UdpHeader)) return;
    net::finish_partial_checksum(net::pseudo_header(ip, packet), packet.subspan(ip.header_size));
}

void Path::classify_local(rte_mbuf* m) {
    const PacketNotes& n = notes(m);
    const bool esp = n.flow.protocol == net::kProtocolEsp;
    if (n.ip.is_fragment() && (esp || n.flow.protocol == net::kProtocolUdp)) {
        if (worker_.value != 0 && tables_.worker_count > 1) return hand_over(m, WorkerId{0}, Entry::fragment);
        return reassemble(m);
    }
    if (esp) return esp_.add(m);
    if (n.flow.protocol == net::kProtocolUdp && n.flow.destination_port == tables_.config.nat_port) {
        return classify_local_udp(m);
    }
    admit_clear_to_host(m);
}

// RFC 3948 2: ESP, IKE behind four zero bytes, or a keepalive.
void Path::classify_local_udp(rte_mbuf* m) {
    const net::Packet& ip = notes(m).ip;
    const MutBytes udp = bytes_of(m).subspan(ip.header_size);
    if (udp.size() < sizeof(net::UdpHeader)) return drop(m, Drop::malformed);
    const std::size_t length = net::load<net::UdpHeader>(udp).length.host();
    if (length < sizeof(net::UdpHeader) || length > udp.size()) return drop(m, Drop::malformed);
    switch (esp::classify_udp(udp.subspan(sizeof(net::UdpHeader), length - sizeof(net::UdpHeader)))) {
        case esp::UdpPayload::esp:
            return esp_.add(m);
        case esp::UdpPayload::ike:
            return admit_clear_to_host(m);
        case esp::UdpPayload::keepalive:
            return drop(m, Drop::keepalive);
        case esp::UdpPayload::runt:
            return drop(m, Drop::malformed);
    }
}

// RFC 4301 5.2: what a policy protects does not get in in clear, to ourselves neither; IKE and neighbour discovery are
// what makes the rest possible (TRAPS 43, 49, 59).
void Path::admit_clear_to_host(rte_mbuf* m) {
    const Flow& flow = notes(m).flow;
    if (!is_ike(flow, flow.destination_port) && !is_neighbour_discovery(flow)) {
        const InboundVerdict verdict = tables_.spd.find_inbound(flow);
        if (verdict.action == ipsec::PolicyAction::protect) return drop(m, Drop::clear_in_protected);
        if (verdict.action == ipsec::PolicyAction::discard && !verdict.by_default) return drop(m, Drop::policy_discard);
        if (!flow.ports_known && tables_.spd.may_protect_inbound(flow)) return drop(m, Drop::ports_unseen);
    }
    deliver_unchanged_to_host(m);
}

void Path::admit_clear_to_forward(rte_mbuf* m) {
    const Flow& flow = notes(m).flow;
    const InboundVerdict verdict = tables_.spd.find_inbound(flow);
    if (verdict.action == ipsec::PolicyAction::protect) return drop(m, Drop::clear_in_protected);
    if (verdict.action == ipsec::PolicyAction::discard) return drop(m, Drop::policy_discard);
    if (!flow.ports_known && tables_.spd.may_protect_inbound(flow)) return drop(m, Drop::ports_unseen);
    clear_.add(m);
}

// Fragments of ESP, or of UDP that may hold it, addressed to us (TRAPS 41). All of them go to one worker.
void Path::reassemble(rte_mbuf* m) {
    counters_.fragments_received.add(1);
    const PacketNotes kept = notes(m);
    rte_mbuf* const whole = reassembly_.put(m, now_);
    counters_.drops[static_cast<std::size_t>(Drop::reassembly)].add(reassembly_.reap());
    if (whole == nullptr) return;
    counters_.reassembled.add(1);
    notes(whole) = kept;
    if (!linear(whole) || !parse(whole)) return;
    if (notes(whole).ip.is_fragment()) return drop(whole, Drop::reassembly);
    write_ethernet(whole, kept.port);  // what stood in front of the first fragment has been moved over
    pull(whole, kEthernetSize);
    classify_local(whole);
}

void Path::classify_host(PortId port, std::span<rte_mbuf*> frames) {
    counters_.host_rx_packets.add(frames.size());
    for (rte_mbuf* m : frames) {
        PacketNotes& n = notes(m);
        n.origin = Origin::host;
        n.port = port;
        if (!linear(m)) continue;
        if (m->data_len < kEthernetSize) {
            drop(m, Drop::malformed);
            continue;
        }
        const std::uint16_t type = header<net::EthernetHeader>(m)->type.host();
        if (type != net::kEtherIpv4 && type != net::kEtherIpv6) {
            send_frame(m, port);
            continue;
        }
        pull(m, kEthernetSize);
        if (!parse(m)) continue;
        const bool exempt =
            is_ike(n.flow, n.flow.source_port) || is_neighbour_discovery(n.flow) || is_link_scope(n.flow);
        exempt ? send_unchanged(m) : clear_.add(m);
    }
}

}  // namespace sluice::dataplane
