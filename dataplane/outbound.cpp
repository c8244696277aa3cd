// SPDX-License-Identifier: Apache-2.0
// Clear packets meet the outbound SPD (RFC 4301 5.1): sealed, sent on, or dropped. ESP out (RFC 4303 3.3).
#include <cstring>

#include "dataplane/account.hpp"
#include "dataplane/path.hpp"
#include "lib/esp/trailer.hpp"
#include "lib/net/tunnel.hpp"

namespace sluice::dataplane {

namespace {

bool routed(Origin o) { return o == Origin::port || o == Origin::tunnel; }

bool outer_df(const OutboundSa& sa, bool inner_df) {
    return sa.df == ipsec::CopyDf::set || (sa.df == ipsec::CopyDf::copy && inner_df);
}

}  // namespace

// Neighbouring packets of a burst mostly belong to one flow, so the last answer is kept while it fits.
void Path::apply_policy() {
    if (clear_.count == 0) return;
    Flow last;
    OutboundVerdict verdict;
    for (rte_mbuf* m : clear_) {
        PacketNotes& n = notes(m);
        if (!(n.flow == last)) {
            verdict = tables_.spd.find_outbound(n.flow);
            last = n.flow;
        }
        apply_verdict(m, verdict);
    }
    clear_.clear();
}

void Path::apply_verdict(rte_mbuf* m, const OutboundVerdict& verdict) {
    const PacketNotes& n = notes(m);
    if (verdict.action == ipsec::PolicyAction::protect) return protect(m, verdict);
    if (n.origin == Origin::report) return drop(m, Drop::error_in_clear);
    if (!may_leave_clear(m, verdict)) return;
    n.origin == Origin::host ? send_unchanged(m) : forward_.add(m);
}

// For what is not to be protected as it is. False: it has been dropped.
bool Path::may_leave_clear(rte_mbuf* m, const OutboundVerdict& verdict) {
    const PacketNotes& n = notes(m);
    // The default action is about what is routed here, not about the gateway's own traffic.
    const bool own_default = verdict.by_default && n.origin == Origin::host;
    if (verdict.action == ipsec::PolicyAction::discard && !own_default) {
        drop(m, Drop::policy_discard);
        return false;
    }
    if (!n.flow.ports_known && tables_.spd.may_protect_outbound(n.flow)) {
        drop(m, Drop::ports_unseen);
        return false;
    }
    return true;
}

// A protect policy never lets a packet go in clear, whatever its SAs do (TRAPS 54).
void Path::protect(rte_mbuf* m, const OutboundVerdict& verdict) {
    PacketNotes& n = notes(m);
    if (verdict.sa == nullptr) {
        if (verdict.trap && verdict.slot != nullptr) raise_acquire(*verdict.slot, n.flow);
        return drop(m, verdict.has_sas ? Drop::selector_mismatch : Drop::no_sa);
    }
    OutboundSa& sa = *verdict.sa;
    sa.prefetch();
    if (!tables_.segments.responsible(sa.segment)) return drop(m, Drop::not_responsible);
    if (sa.owner != worker_) return hand_over(m, sa.owner, Entry::clear);
    if (sa.limits.hard_reached) {
        raise_hard(sa);
        return drop(m, Drop::lifetime);
    }
    if (routed(n.origin) && n.ip.ttl <= 1) {
        send_error(m, net::IcmpError::time_exceeded);
        return drop(m, Drop::ttl);
    }
    n.out = &sa;
    if (!fits_tunnel(m, sa)) return;
    if (routed(n.origin)) {
        n.ip.is_v4() ? net::decrement_ipv4_ttl(bytes_of(m)) : net::decrement_ipv6_hop_limit(bytes_of(m));
    }
    protect_.add(m);
}

// The way of the outer packet, and whether it is wide enough (RFC 4301 8): an inner packet that must not be cut gets a
// "too big" with what is left for it; one that may be cut is fragmented outside, or inside where DF is to be set
// outside. False: the packet has gone elsewhere.
bool Path::fits_tunnel(rte_mbuf* m, const OutboundSa& sa) {
    PacketNotes& n = notes(m);
    const Fib& fib = *tables_.fib.load(std::memory_order_acquire);
    const bool v4 = sa.outer.shape.family == net::Family::v4;
    const Byte* destination =
        sa.outer.bytes + (v4 ? offsetof(net::Ipv4Header, destination) : offsetof(net::Ipv6Header, destination));
    n.hop = v4 ? &fib.find_v4(destination) : &fib.find_v6(destination);
    if (n.hop->kind != HopKind::gateway && n.hop->kind != HopKind::on_link) {
        drop(m, n.hop->kind == HopKind::blackhole ? Drop::blackhole : Drop::no_route);
        return false;
    }
    const std::size_t room = esp::inner_mtu(sa.layout, sa.outer.shape, tables_.ports[n.hop->port.value].mtu);
    if (m->pkt_len <= room) return true;
    if (v4 && sa.df == ipsec::CopyDf::clear) return true;  // cut outside
    if (!n.ip.dont_fragment) {
        if (!v4 || sa.df != ipsec::CopyDf::set) return true;
        fragment(m, room, deferred_);
        return false;
    }
    const std::size_t least = n.ip.is_v4() ? net::kMinIpv4Mtu : net::kMinIpv6Mtu;
    if (m->pkt_len <= least) return true;
    send_error(m, net::IcmpError::packet_too_big, std::max(room, least));
    drop(m, Drop::too_big);
    return false;
}

void Path::seal_esp() {
    if (protect_.count == 0) return;
    crypto_list_.clear();
    for (rte_mbuf* m : protect_) notes(m).out->key.prefetch();
    for (rte_mbuf* m : protect_) {
        if (prepare_seal(m, ops_[crypto_list_.count])) crypto_list_.add(m);
    }
    protect_.clear();
    crypto_->seal_burst({ops_.data(), crypto_list_.count});
    for (rte_mbuf* m : crypto_list_) finish_seal(m);
}

// 1. Room. 2. Sequence number and IV, each once (RFC 4303 3.3.3, RFC 4106 3.1). 3. Trailer. 4. ESP header, IV, outer
// headers.
bool Path::prepare_seal(rte_mbuf* m, CryptoOp& op) {
    PacketNotes& n = notes(m);
    OutboundSa& sa = *n.out;
    const std::size_t inner = m->pkt_len;
    const std::size_t tail = sa.layout.pad_length(inner) + esp::kTrailerSize;
    const std::size_t front = sa.outer.size + sa.layout.text_offset();
    if (tailroom(m) < tail + sa.layout.icv_size || m->data_off < front + kEthernetSize) {
        drop(m, Drop::no_room);
        return false;
    }
    const auto seq = sa.sequence.take();
    if (!seq) {
        if (sa.sequence.exhausted()) raise_hard(sa);
        drop(m, Drop::seq_overflow);
        return false;
    }
    n.seq = seq->value;
    n.inner_size = static_cast<std::uint32_t>(inner);
    push(m, static_cast<unsigned>(front));
    set_length(m, front + inner + tail + sa.layout.icv_size);
    Byte* const esp = data(m) + sa.outer.size;
    if (sa.random_iv) {
        crypto_->unpredictable_iv(esp + esp::kHeaderSize);
    } else if (sa.layout.iv_size != 0) {
        const auto counter = sa.ivs.take();
        if (!counter) {
            raise_hard(sa);
            drop(m, Drop::iv_exhausted);
            return false;
        }
        const Be64 iv = esp::iv_of(sa.iv_prefix, *counter);
        std::memcpy(esp + esp::kHeaderSize, &iv, sizeof(iv));
    }
    const net::EspHeader esp_header{Be32::of(sa.spi.value), Be32::of(static_cast<std::uint32_t>(n.seq))};
    std::memcpy(esp, &esp_header, sizeof(esp_header));
    esp::write_trailer({data(m) + front + inner, tail}, n.ip.is_v4() ? net::kProtocolIpv4 : net::kProtocolIpv6);
    write_outer(m, sa);
    op.key = &sa.key;
    op.esp = esp;
    op.text_length = static_cast<std::uint32_t>(inner + tail);
    op.seq_high = static_cast<std::uint32_t>(n.seq >> 32);
    op.esn = sa.esn;
    return true;
}

// The template with what differs from packet to packet (RFC 4301 5.1.2, RFC 6040 4.1, RFC 6864 4.1).
void Path::write_outer(rte_mbuf* m, const OutboundSa& sa) const {
    const PacketNotes& n = notes(m);
    Byte* const at = data(m);
    std::memcpy(at, sa.outer.bytes, sa.outer.size);
    const net::TunnelRules rules{.dscp_out = sa.dscp == ipsec::CopyDscp::both || sa.dscp == ipsec::CopyDscp::out,
                                 .ecn_out = sa.copy_ecn};
    const std::uint8_t tos = net::outer_tos(n.ip.tos, rules);
    if (sa.outer.shape.family == net::Family::v4) {
        auto* const ip = header<net::Ipv4Header>(m);
        ip->tos = tos;
        ip->total_length = Be16::of(static_cast<std::uint16_t>(m->pkt_len));
        ip->id = Be16::of(static_cast<std::uint16_t>(n.seq + sa.spi.value));
        // Inner IPv6 is never cut by a router, but an outer IPv4 header that may be cut carries it where the path
        // is narrower than 1280 bytes.
        ip->fragment = Be16::of(outer_df(sa, n.ip.dont_fragment && m->pkt_len <= tables_.ports[n.hop->port.value].mtu)
                                    ? net::Ipv4Header::kDontFragment
                                    : std::uint16_t{0});
        net::ChecksumSum sum{sa.outer.ipv4_sum};
        sum.add(Be16::of(tos));
        sum.add(ip->total_length);
        sum.add(ip->id);
        sum.add(ip->fragment);
        ip->checksum = sum.finish();
    } else {
        auto* const ip = header<net::Ipv6Header>(m);
        ip->version_class_flow = net::Ipv6Header::make_first_word(tos, sa.spi.value);
        ip->payload_length = Be16::of(static_cast<std::uint16_t>(m->pkt_len - sizeof(net::Ipv6Header)));
    }
    if (!sa.outer.shape.udp) return;
    const std::size_t ip_size = sa.outer.shape.ip_size();
    header<net::UdpHeader>(m, ip_size)->length = Be16::of(static_cast<std::uint16_t>(m->pkt_len - ip_size));
}

// UDP over IPv6 has a checksum, over the sealed bytes (RFC 8200 8.1; TRAPS 26); over IPv4 it is zero (RFC 3948 2.1).
void Path::finish_seal(rte_mbuf* m) {
    PacketNotes& n = notes(m);
    OutboundSa& sa = *n.out;
    if (sa.outer.shape.udp && sa.outer.shape.family == net::Family::v6) {
        const auto* ip = header<net::Ipv6Header>(m);
        const MutBytes segment = bytes_of(m).subspan(sizeof(net::Ipv6Header));
        header<net::UdpHeader>(m, sizeof(net::Ipv6Header))->checksum =
            net::udp_checksum({.source = ip->source,
                               .destination = ip->destination,
                               .protocol = net::kProtocolUdp,
                               .length = static_cast<std::uint32_t>(segment.size())},
                              segment);
    }
    account(sa, n.seq, n.inner_size);
    if (sa.sequence.rekey_due() || (!sa.random_iv && sa.layout.iv_size != 0 && sa.ivs.left() <= esp::kIvSoftLimit)) {
        raise_soft(sa);
    }
    counters_.esp_out_packets.add(1);
    counters_.esp_out_bytes.add(n.inner_size);
    n.sealed = true;
    transmit(m);
}

}  // namespace sluice::dataplane
