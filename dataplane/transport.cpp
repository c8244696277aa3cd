// SPDX-License-Identifier: Apache-2.0
// Transport mode (RFC 4303 3.1.1, RFC 4301 4.1): what this host and the peer send to each other keeps its IP header. It
// is for the kernel's own packets, since nothing that is routed here has an address of ours.
#include <algorithm>
#include <cstring>

#include "dataplane/account.hpp"
#include "dataplane/path.hpp"
#include "lib/esp/trailer.hpp"
#include "lib/net/extension.hpp"

namespace sluice::dataplane {

// RFC 4303 3.3.4: ESP goes around whole packets, and what is too long is cut afterwards. False: the packet has gone
// elsewhere.
bool Path::fits_transport(rte_mbuf* m, OutboundSa& sa) {
    PacketNotes& n = notes(m);
    if (n.origin != Origin::host && n.origin != Origin::self) {
        drop(m, Drop::transport_routed);
        return false;
    }
    const SaWay& way = way_of(sa);
    n.hop = way.hop;
    if (way.mtu == 0) {
        drop(m, way.hop->kind == HopKind::blackhole ? Drop::blackhole : Drop::no_route);
        return false;
    }
    const std::size_t head = net::transport_place(n.ip, bytes_of(m)).offset;
    const std::size_t room = esp::transport_mtu(sa.layout, sa.outer.shape.udp, head, way.mtu);
    clamp_mss(m, sa.rules, room);
    const std::size_t least = n.ip.is_v4() ? net::kMinIpv4Mtu : net::kMinIpv6Mtu;
    if (m->pkt_len <= room || !n.ip.dont_fragment || m->pkt_len <= least) return true;
    send_error(m, net::IcmpError::packet_too_big, std::max(room, least));
    drop(m, Drop::too_big);
    return false;
}

// Whether the kernel's own fragments of this flow are put together before a policy decides: where it does not see the
// ports of them all but goes by ports (RFC 4301 7.4), and where transport mode takes whole packets.
bool Path::wants_whole(Flow flow, const OutboundVerdict& verdict) const {
    if (verdict.sa != nullptr && verdict.sa->transport) return true;
    flow.ports_known = false;
    return tables_.spd.may_protect_outbound(flow);
}

// The kernel cuts what is longer than its interface's MTU. The pieces come back as one packet of the worker's own,
// which knows its ports, and is cut again where it has to be.
void Path::join_own_fragments(rte_mbuf* m) {
    const PacketNotes kept = notes(m);
    rte_mbuf* whole = join(m);
    if (whole == nullptr) return;
    notes(whole) = kept;
    if (!linear(whole)) return;
    const bool is_whole = read_ip(whole) == net::PacketFault::none && !notes(whole).ip.is_fragment();
    if (!is_whole || deferred_.full()) return drop(whole, Drop::reassembly);
    notes(whole).origin = Origin::self;
    notes(whole).ip.dont_fragment = false;  // nor for IPv6: its source has cut it once
    deferred_.add(whole);
}

// The IP header moves to the front; UDP and ESP headers go into the gap.
bool Path::prepare_seal_transport(rte_mbuf* m, CryptoOp& op) {
    PacketNotes& n = notes(m);
    OutboundSa& sa = *n.out;
    const net::HeaderPlace place = net::transport_place(n.ip, bytes_of(m));
    const std::size_t inner = m->pkt_len - place.offset;
    const std::size_t tail = sa.layout.pad_length(inner) + esp::kTrailerSize;
    const std::size_t udp = sa.outer.shape.udp ? sizeof(net::UdpHeader) : 0;
    const std::size_t front = udp + sa.layout.text_offset();
    if (tailroom(m) < esp::kShortTrailer + sa.layout.icv_size || m->data_off < front + kEthernetSize) {
        drop(m, Drop::no_room);
        return false;
    }
    n.inner_size = m->pkt_len;
    push(m, static_cast<unsigned>(front));
    std::memmove(data(m), data(m) + front, place.offset);
    set_length(m, place.offset + front + inner + tail + sa.layout.icv_size);
    Byte* const esp = data(m) + place.offset + udp;
    if (!take_numbers(m, sa, esp + esp::kHeaderSize)) return false;
    if (udp != 0) write_transport_udp(m, sa, place.offset);
    net::rewrite_ip(bytes_of(m), place, udp != 0 ? net::kProtocolUdp : net::kProtocolEsp);
    n.ip.header_size = static_cast<std::uint16_t>(place.offset);
    const net::EspHeader header{Be32::of(sa.spi.value), Be32::of(static_cast<std::uint32_t>(n.seq))};
    std::memcpy(esp, &header, sizeof(header));
    esp::write_short_trailer(esp + sa.layout.text_offset() + inner, tail, place.protocol);
    op.key = &sa.key;
    op.esp = esp;
    op.text_length = static_cast<std::uint32_t>(inner + tail);
    op.seq_high = static_cast<std::uint32_t>(n.seq >> 32);
    op.esn = sa.esn;
    return true;
}

void Path::write_transport_udp(rte_mbuf* m, const OutboundSa& sa, std::size_t at) {
    auto* const udp = header<net::UdpHeader>(m, at);
    std::memcpy(udp, sa.outer.begin() + sa.outer.shape.ip_size(), sizeof(*udp));
    udp->length = Be16::of(static_cast<std::uint16_t>(m->pkt_len - at));
}

// The IP header moves back to what was inside, which it names from now on. The SA is for what the selectors say and for
// nothing else (X1). False: it has been dropped.
bool Path::unwrap_transport(rte_mbuf* m, const CryptoOp& op) {
    PacketNotes& n = notes(m);
    const InboundSa& sa = *n.in;
    const esp::Trailer trailer = esp::read_trailer({op.text(), op.text_length});
    if (trailer.fault != esp::Fault::none) return fail_trailer(m, trailer.fault);
    const bool encapsulated = n.ip.protocol == net::kProtocolUdp;
    const net::HeaderPlace place = net::upper_place(n.ip, bytes_of(m));
    const auto gap = static_cast<std::size_t>(op.text() - data(m)) - place.offset;
    std::memmove(data(m) + gap, data(m), place.offset);
    pull(m, static_cast<unsigned>(gap));
    set_length(m, place.offset + trailer.payload_size);
    net::rewrite_ip(bytes_of(m), place, trailer.next_header);
    // RFC 4303 3.3.4: there are no fragments inside.
    const bool whole = read_ip(m) == net::PacketFault::none && !n.ip.is_fragment();
    if (!whole || !sa.selectors.matches_inbound(n.flow)) {
        drop(m, whole ? Drop::policy_mismatch : Drop::inner_malformed);
        return false;
    }
    // TRAPS 25: a NAT on the way has changed addresses that the sender's checksum covers; the ICV vouches for the rest.
    if (encapsulated) {
        const MutBytes packet = bytes_of(m);
        net::renew_upper_checksum(net::pseudo_header(n.ip, packet), packet.subspan(n.ip.header_size));
    }
    return true;
}

}  // namespace sluice::dataplane
