// SPDX-License-Identifier: Apache-2.0
// What SAs with rules of their own ask for (ipsec::PacketRules): the path comes here for those alone.
#include <algorithm>
#include <cstring>

#include "dataplane/path.hpp"
#include "lib/net/extension.hpp"
#include "lib/net/mss.hpp"
#include "lib/net/tunnel.hpp"

namespace sluice::dataplane {

// For an SA with rules, or in transport mode. False: the packet has gone elsewhere.
bool Path::fits_ruled(rte_mbuf* m, OutboundSa& sa) {
    notes(m).tfc = 0;
    if (sa.transport) return fits_transport(m, sa);
    clamp_mss(m, sa.rules, way_of(sa).room);
    if (!fits_tunnel(m, sa)) return false;
    if (sa.rules.tfc_padding != 0) pad_flow(m, sa);
    return true;
}

// TFC padding (RFC 4303 2.7) is zeros behind the inner packet, which its own length does not cover. A packet that fills
// its way, or its buffer, has none.
void Path::pad_flow(rte_mbuf* m, OutboundSa& sa) {
    const std::size_t size = std::min<std::size_t>(sa.rules.tfc_padding, way_of(sa).room);
    const std::size_t kept = esp::kShortTrailer + sa.layout.icv_size;
    if (size <= m->pkt_len || tailroom(m) < size - m->pkt_len + kept) return;
    notes(m).tfc = static_cast<std::uint16_t>(size - m->pkt_len);
    std::memset(data(m) + m->pkt_len, 0, notes(m).tfc);
    set_length(m, size);
}

// room: the largest packet that fits the SA, bytes; 0: not known.
void Path::clamp_mss(rte_mbuf* m, const ipsec::PacketRules& rules, std::size_t room) {
    const net::Packet& ip = notes(m).ip;
    if (rules.mss_clamp == 0 || ip.protocol != net::kProtocolTcp) return;
    const std::uint16_t most = rules.mss_clamp == ipsec::kByPathMtu ? net::mss_for(ip, room) : rules.mss_clamp;
    if (most != 0 && net::clamp_mss(ip, bytes_of(m), most)) counters_.mss_clamped.add(1);
}

// What the SA's other half carries in one outer packet, as far as it is known here; 0 where there is no way back.
std::size_t Path::room_back(rte_mbuf* m, const InboundSa& sa) const {
    const Fib& fib = *tables_.fib.load(std::memory_order_acquire);
    const bool v4 = sa.remote.address.is_v4();
    const Byte* const to = sa.remote.address.bytes().data();
    const NextHop& hop = v4 ? fib.find_v4(to) : fib.find_v6(to);
    if (hop.kind != HopKind::gateway && hop.kind != HopKind::on_link) return 0;
    const std::size_t mtu = std::min(tables_.ports[hop.port.value].mtu, sa.path_mtu);
    const esp::OuterShape shape{.family = sa.remote.address.family(), .udp = sa.encap};
    if (!sa.transport) return esp::inner_mtu(sa.layout, shape, mtu);
    return esp::transport_mtu(sa.layout, sa.encap, net::transport_place(notes(m).ip, bytes_of(m)).offset, mtu);
}

bool Path::unwrap_ruled(rte_mbuf* m, const CryptoOp& op) {
    PacketNotes& n = notes(m);
    const InboundSa& sa = *n.in;
    if (!(sa.transport ? unwrap_transport(m, op) : unwrap(m, op))) return false;
    if (sa.rules.mss_clamp != 0) clamp_mss(m, sa.rules, room_back(m, sa));
    n.mark = sa.rules.mark_in.applied_to(n.mark);
    return true;
}

// A marked packet on its way to a port, at its IP header: the first class that its mark is of gives it a DSCP.
void Path::classify_mark(rte_mbuf* m) {
    const auto& classes = tables_.config.classes;
    const auto found = std::find_if(classes.begin(), classes.end(),
                                    [&](const TrafficClass& c) { return c.mark.matches(notes(m).mark); });
    if (found == classes.end()) return;
    counters_.classes[static_cast<std::size_t>(found - classes.begin())].add(1);
    const MutBytes packet = bytes_of(m);
    const bool v4 = packet[0] >> 4 == 4;
    const std::uint8_t old = v4 ? packet[1] : net::load<net::Ipv6Header>(packet).traffic_class();
    const auto tos = static_cast<std::uint8_t>(found->dscp << 2 | (old & net::kEcnMask));
    v4 ? net::set_ipv4_tos(packet, tos) : net::set_ipv6_traffic_class(packet, tos);
}

}  // namespace sluice::dataplane
