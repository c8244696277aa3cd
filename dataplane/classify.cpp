// SPDX-License-Identifier: Apache-2.0
// From a received burst to lists: ESP for us, clear to be forwarded, and what the kernel takes.
#include <cstring>

#include "dataplane/path.hpp"
#include "lib/esp/encap.hpp"
#include "lib/net/checksum.hpp"

namespace sluice::dataplane {

namespace {

bool is_neighbour_discovery(const Flow& f) {
    return f.protocol == net::kProtocolIcmpv6 && f.family == net::Family::v6 && f.ports_known &&
           f.source_port >> 8 >= net::kIcmpv6RouterSolicitation && f.source_port >> 8 <= net::kIcmpv6Redirect;
}

// Destinations that no policy is about: they never leave the link (RFC 4291 2.5.6 and 2.7, RFC 5771 4, RFC 919).
bool is_link_group(const Flow& f) {
    if (f.family == net::Family::v4) {
        const auto v4 = static_cast<std::uint32_t>(f.destination);
        return v4 >> 8 == 0xe00000 || v4 == 0xffffffff;
    }
    return (static_cast<std::uint16_t>(f.destination >> 112) & 0xff0f) == 0xff02;
}
bool is_link_scope(const Flow& f) {
    const bool link_local = f.family == net::Family::v6 && f.destination >> 118 == 0xfe80 >> 6;
    return link_local || is_link_group(f);
}

bool is_ip(std::uint16_t ether_type) { return ether_type == net::kEtherIpv4 || ether_type == net::kEtherIpv6; }

// Where the IP header behind VLAN tags is; 0 where there is no tag, or no IP behind it.
std::size_t tagged_ip_offset(rte_mbuf* m) {
    std::uint16_t type = header<net::EthernetHeader>(m)->type.host();
    std::size_t at = kEthernetSize;
    while ((type == net::kEtherVlan || type == net::kEtherProviderVlan) && m->data_len >= at + sizeof(net::VlanTag)) {
        type = header<net::VlanTag>(m, at)->type.host();
        at += sizeof(net::VlanTag);
    }
    return at != kEthernetSize && is_ip(type) ? at : 0;
}

// The EtherType of a frame to this MAC with IP in it, in one piece: what nearly every frame is. 0: it is none.
std::uint16_t plain_frame_type(rte_mbuf* m, std::uint64_t mac) {
    if (!is_plain(m) || m->data_len < kEthernetSize) return 0;
    std::uint64_t destination;
    std::memcpy(&destination, data(m), sizeof(destination));
    const std::uint16_t type = header<net::EthernetHeader>(m)->type.host();
    return destination << 16 == mac << 16 && is_ip(type) ? type : std::uint16_t{0};
}

// What a burst needs first comes into the cache while the packets before it are looked at: a packet's headers, a short
// one's whole text, the line in front, which outer headers will be written to, and its notes.
void prefetch_frames(std::span<rte_mbuf*> frames) {
    for (rte_mbuf* m : frames) rte_prefetch0(m);
    for (rte_mbuf* m : frames) {
        const Byte* const first = data(m);
        rte_prefetch0(first);
        rte_prefetch0(first + RTE_CACHE_LINE_SIZE);
        rte_prefetch0(first + 2 * RTE_CACHE_LINE_SIZE);
        __builtin_prefetch(first - RTE_CACHE_LINE_SIZE, 1);
        __builtin_prefetch(&notes(m), 1);
        __builtin_prefetch(&notes(m).ip, 1);
    }
}

}  // namespace

[[gnu::always_inline]] inline bool Path::parse(rte_mbuf* m) {
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

// Of packets whose headers have just been read.
void Path::route_all(PacketList& packets) const {
    const Fib& fib = *tables_.fib.load(std::memory_order_acquire);
    for (rte_mbuf* m : packets) {
        PacketNotes& n = notes(m);
        n.hop = n.ip.is_v4() ? &fib.find_v4(header<net::Ipv4Header>(m)->destination.data())
                             : &fib.find_v6(header<net::Ipv6Header>(m)->destination.data());
    }
}

// Ours: the port at our end, so that nobody gets past a policy by choosing a source port.
bool Path::is_ike(const Flow& f, std::uint16_t our_port) const {
    return f.protocol == net::kProtocolUdp && f.ports_known &&
           (our_port == tables_.config.ike_port || our_port == tables_.config.nat_port);
}

// In walks over the whole burst, each of which waits for memory of many packets at once: headers, routes, and what
// follows from both.
[[gnu::flatten]] void Path::classify_port(PortId port, std::span<rte_mbuf*> frames) {
    prefetch_frames(frames);
    const std::uint64_t own = exits_[port.value].mac;
    std::uint64_t bytes = 0;
    for (rte_mbuf* m : frames) {
        bytes += m->pkt_len;
        PacketNotes& n = notes(m);
        n.origin = Origin::port;
        n.port = port;
        n.mark = 0;
        if (const std::uint16_t type = plain_frame_type(m, own); type != 0) {
            if (read_frame(m, type)) received_.add(m);
        } else if (linear(m)) {
            classify_frame(m);
        }
    }
    counters_.rx_bytes.add(bytes);
    counters_.rx_packets.add(frames.size());
    route_all(received_);
    for (rte_mbuf* m : received_) {
        notes(m).hop->kind == HopKind::local ? classify_local(m) : to_forward_.add(m);
    }
    received_.clear();
    admit_to_forward();
}

[[gnu::noinline]] void Path::classify_frame(rte_mbuf* m) {
    if (m->data_len < kEthernetSize) return drop(m, Drop::malformed);
    PacketNotes& n = notes(m);
    const auto* eth = header<net::EthernetHeader>(m);
    const bool group = (eth->destination[0] & 1) != 0;
    if (!group && eth->destination != tables_.ports[n.port.value].mac.bytes) return drop(m, Drop::foreign_mac);
    const std::uint16_t type = eth->type.host();
    if (!is_ip(type)) return classify_other(m);
    if (!read_frame(m, type)) return;
    if (group) return is_link_group(n.flow) ? deliver_unchanged_to_host(m) : admit_clear_to_host(m);
    received_.add(m);
}

// The IP packet of a frame. False: it is none, and has been dropped.
[[gnu::always_inline]] inline bool Path::read_frame(rte_mbuf* m, std::uint16_t ether_type) {
    pull(m, kEthernetSize);
    if (!parse(m)) return false;
    PacketNotes& n = notes(m);
    if ((ether_type == net::kEtherIpv4) != n.ip.is_v4()) {
        drop(m, Drop::malformed);
        return false;
    }
    if (exits_[n.port.value].unfinished_checksums) finish_checksum(m);
    return true;
}

// ARP and the like are the kernel's. So are VLANs, but a tag takes nobody past the inbound policy check (TRAPS 43).
void Path::classify_other(rte_mbuf* m) {
    const std::size_t offset = tagged_ip_offset(m);
    if (offset != 0) {
        pull(m, static_cast<unsigned>(offset));
        if (!parse(m)) return;
        const bool exempt = is_link_group(notes(m).flow);
        if (!exempt && !admitted_to_host(m)) return;
        push(m, static_cast<unsigned>(offset));
    }
    deliver_frame_to_host(m, notes(m).port);
}

// A neighbour on the same machine leaves TCP and UDP checksums to a NIC that never comes. They have to be whole before
// the packet is sealed or leaves by another port.
[[gnu::noinline]] void Path::finish_checksum(rte_mbuf* m) const {
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
    if (esp && m->data_len < n.ip.header_size + esp::kHeaderSize) return drop(m, Drop::esp_malformed);
    if (esp) return take_esp(m, n.ip.header_size);
    if (n.flow.protocol == net::kProtocolUdp && n.flow.destination_port == tables_.config.nat_port) {
        return classify_local_udp(m);
    }
    if (n.ip.is_icmp()) report_path_mtu(m);
    admit_clear_to_host(m);
}

void Path::take_esp(rte_mbuf* m, std::size_t offset) {
    notes(m).esp_offset = static_cast<std::uint16_t>(offset);
    esp_.add(m);
}

// RFC 3948 2: ESP, IKE behind four zero bytes, or a keepalive.
[[gnu::noinline]] void Path::classify_local_udp(rte_mbuf* m) {
    const net::Packet& ip = notes(m).ip;
    const MutBytes udp = bytes_of(m).subspan(ip.header_size);
    if (udp.size() < sizeof(net::UdpHeader)) return drop(m, Drop::malformed);
    const std::size_t length = net::load<net::UdpHeader>(udp).length.host();
    if (length < sizeof(net::UdpHeader) || length > udp.size()) return drop(m, Drop::malformed);
    switch (esp::classify_udp(udp.subspan(sizeof(net::UdpHeader), length - sizeof(net::UdpHeader)))) {
        case esp::UdpPayload::esp:
            return take_esp(m, ip.header_size + sizeof(net::UdpHeader));
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
bool Path::admitted_to_host(rte_mbuf* m) {
    const Flow& flow = notes(m).flow;
    return is_ike(flow, flow.destination_port) || is_neighbour_discovery(flow) ||
           admitted(m, tables_.spd.find_inbound(flow));
}

// The default action does not stop anything here: what is for us it is not about, and of what is to be forwarded the
// outbound policies have not been asked yet.
bool Path::admitted(rte_mbuf* m, const InboundVerdict& verdict) {
    const Flow& flow = notes(m).flow;
    notes(m).by_policy = !verdict.by_default;
    if (verdict.action == ipsec::PolicyAction::protect) {
        drop(m, Drop::clear_in_protected);
    } else if (verdict.action == ipsec::PolicyAction::discard && !verdict.by_default) {
        drop(m, Drop::policy_discard);
    } else if (!flow.ports_known && tables_.spd.may_protect_inbound(flow)) {
        drop(m, Drop::ports_unseen);
    } else {
        return true;
    }
    return false;
}

[[gnu::noinline]] void Path::admit_clear_to_host(rte_mbuf* m) {
    if (admitted_to_host(m)) deliver_unchanged_to_host(m);
}

void Path::admit_to_forward() {
    if (to_forward_.count == 0) return;
    const FlowRuns runs(to_forward_);
    InboundVerdict* const verdicts = inbound_verdicts_.data();
    tables_.spd.find_inbound(runs.flows(), verdicts);
    for (unsigned i = 0; i < to_forward_.count; ++i) {
        rte_mbuf* const m = to_forward_.packets[i];
        if (admitted(m, verdicts[runs.of(i)])) clear_.add(m);
    }
    to_forward_.clear();
}

// Fragments of ESP, or of UDP that may hold it, addressed to us (TRAPS 41). All of them go to one worker.
[[gnu::noinline]] void Path::reassemble(rte_mbuf* m) {
    const PacketNotes kept = notes(m);
    rte_mbuf* whole = join(m);
    if (whole == nullptr) return;
    notes(whole) = kept;
    if (!fits_a_buffer(whole)) return admit_long(whole);
    if (!linear(whole) || !parse(whole)) return;
    if (notes(whole).ip.is_fragment()) return drop(whole, Drop::reassembly);
    write_ethernet(whole, kept.port);  // what stood in front of the first fragment has been moved over
    pull(whole, kEthernetSize);
    classify_local(whole);
}

// What was put together and is larger than a buffer is no ESP that a port can have sent in one piece, but IKE with many
// certificates may be: the kernel takes it in segments.
void Path::admit_long(rte_mbuf* m) {
    if (!parse(m)) return;
    const PacketNotes& n = notes(m);
    if (n.ip.is_fragment()) return drop(m, Drop::reassembly);
    const std::size_t payload = n.ip.header_size + sizeof(net::UdpHeader);
    if (n.flow.protocol != net::kProtocolUdp || m->data_len < payload) return drop(m, Drop::no_room);
    const bool nat = n.flow.destination_port == tables_.config.nat_port;
    if (nat && esp::classify_udp(bytes_of(m).subspan(payload)) != esp::UdpPayload::ike) return drop(m, Drop::no_room);
    write_ethernet(m, n.port);
    pull(m, kEthernetSize);
    admit_clear_to_host(m);
}

void Path::classify_host(PortId port, std::span<rte_mbuf*> frames) {
    counters_.host_rx_packets.add(frames.size());
    for (rte_mbuf* m : frames) {
        PacketNotes& n = notes(m);
        n.origin = Origin::host;
        n.port = port;
        n.mark = 0;
        n.hop = nullptr;
        if (!linear(m)) continue;
        if (m->data_len < kEthernetSize) {
            drop(m, Drop::malformed);
            continue;
        }
        if (!is_ip(header<net::EthernetHeader>(m)->type.host())) {
            send_other(m);
            continue;
        }
        pull(m, kEthernetSize);
        if (!parse(m)) continue;
        leaves_unseen(n.flow) ? send_unchanged(m) : clear_.add(m);
    }
}

// What the kernel sends and no policy is about.
bool Path::leaves_unseen(const Flow& f) const {
    return is_ike(f, f.source_port) || is_neighbour_discovery(f) || is_link_scope(f);
}

// What is in a VLAN is not sealed, so what a policy protects does not leave through one (TRAPS 59).
void Path::send_other(rte_mbuf* m) {
    const std::size_t offset = tagged_ip_offset(m);
    if (offset != 0) {
        pull(m, static_cast<unsigned>(offset));
        if (!parse(m)) return;
        const Flow& flow = notes(m).flow;
        if (!leaves_unseen(flow)) {
            const OutboundVerdict verdict = tables_.spd.find_outbound(flow);
            if (verdict.action == ipsec::PolicyAction::protect) return drop(m, Drop::tagged);
            if (!may_leave_clear(m, verdict)) return;
        }
        push(m, static_cast<unsigned>(offset));
    }
    send_frame(m, notes(m).port);
}

}  // namespace sluice::dataplane
