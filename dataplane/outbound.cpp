// SPDX-License-Identifier: Apache-2.0
// Clear packets meet the outbound SPD (RFC 4301 5.1): sealed, sent on, or dropped. ESP out (RFC 4303 3.3).
#include <cstring>

#include "dataplane/account.hpp"
#include "dataplane/path.hpp"
#include "dataplane/send.hpp"
#include "lib/esp/trailer.hpp"
#include "lib/net/tunnel.hpp"

namespace sluice::dataplane {

namespace {

bool routed(Origin o) { return o == Origin::port || o == Origin::tunnel; }

bool outer_df(const OutboundSa& sa, bool inner_df) {
    return sa.df == ipsec::CopyDf::set || (sa.df == ipsec::CopyDf::copy && inner_df);
}

}  // namespace

// What the SAs are made of comes into the cache while the verdicts on other packets are found.
[[gnu::flatten]] void Path::apply_policy() {
    if (clear_.count == 0) return;
    const FlowRuns runs(clear_);
    OutboundVerdict* const verdicts = outbound_verdicts_.data();
    tables_.spd.find_outbound(runs.flows(), verdicts);
    for (std::size_t r = 0; r < runs.flows().size(); ++r) {
        if (verdicts[r].sa != nullptr) verdicts[r].sa->prefetch();
    }
    for (unsigned i = 0; i < clear_.count; ++i) apply_verdict(clear_.packets[i], verdicts[runs.of(i)]);
    clear_.clear();
}

void Path::apply_verdict(rte_mbuf* m, const OutboundVerdict& verdict) {
    const PacketNotes& n = notes(m);
    if (n.origin == Origin::host && n.ip.is_fragment() && wants_whole(n.flow, verdict)) return join_own_fragments(m);
    if (verdict.action == ipsec::PolicyAction::protect) return protect(m, verdict);
    if (n.ip.is_icmp() && protected_by_quote(m)) return;
    if (n.origin == Origin::report) return drop(m, Drop::error_in_clear);
    if (!may_leave_clear(m, verdict)) return;
    n.origin == Origin::host ? send_unchanged(m) : forward_.add(m);
}

// For what is not to be protected as it is. False: it has been dropped.
bool Path::may_leave_clear(rte_mbuf* m, const OutboundVerdict& verdict) {
    const PacketNotes& n = notes(m);
    // The default action is about what came in clear and no policy let in: not about what an SA brought, whose
    // selectors are for it, nor about the gateway's own traffic.
    const bool let_in = n.origin != Origin::port || n.by_policy;
    if (verdict.action == ipsec::PolicyAction::discard && !(verdict.by_default && let_in)) {
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
    OutboundSa& sa = verdict.sa->shared == nullptr ? *verdict.sa : lane_of(*verdict.sa);
    sa.key.prefetch(sa.key_lines);
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
    if (!(sa.ruled ? fits_ruled(m, sa) : fits_tunnel(m, sa))) return;
    if (routed(n.origin)) {
        n.ip.is_v4() ? net::decrement_ipv4_ttl(bytes_of(m)) : net::decrement_ipv6_hop_limit(bytes_of(m));
    }
    (sa.shared == nullptr ? protect_ : spread_).add(m);
}

// The way of the outer packet, and whether it is wide enough (RFC 4301 8): an inner packet that must not be cut gets a
// "too big" with what is left for it; one that may be cut is fragmented outside, or inside where DF is to be set
// outside. False: the packet has gone elsewhere.
bool Path::fits_tunnel(rte_mbuf* m, OutboundSa& sa) {
    const SaWay& way = way_of(sa);
    notes(m).hop = way.hop;
    if (way.mtu == 0) {
        drop(m, way.hop->kind == HopKind::blackhole ? Drop::blackhole : Drop::no_route);
        return false;
    }
    return m->pkt_len <= way.room || !refuse_size(m, sa);
}

// False: it goes into the tunnel all the same, and is cut outside. True: it has gone elsewhere.
[[gnu::noinline]] bool Path::refuse_size(rte_mbuf* m, const OutboundSa& sa) {
    const PacketNotes& n = notes(m);
    const bool v4 = sa.outer.shape.family == net::Family::v4;
    if (v4 && sa.df == ipsec::CopyDf::clear) return false;
    if (!n.ip.dont_fragment) {
        if (!v4 || sa.df != ipsec::CopyDf::set) return false;
        fragment(m, sa.way.room, deferred_);
        return true;
    }
    const std::size_t least = n.ip.is_v4() ? net::kMinIpv4Mtu : net::kMinIpv6Mtu;
    if (m->pkt_len <= least) return false;
    send_error(m, net::IcmpError::packet_too_big, std::max<std::size_t>(sa.way.room, least));
    drop(m, Drop::too_big);
    return true;
}

// Where the outer packets of an SA go, and how much fits; looked up when the SA is new, has moved, or routes changed.
const SaWay& Path::way_of(OutboundSa& sa) const {
    const Fib& fib = *tables_.fib.load(std::memory_order_acquire);
    if (sa.way.generation != fib.generation()) find_way(sa, fib);
    return sa.way;
}

[[gnu::noinline]] void Path::find_way(OutboundSa& sa, const Fib& fib) const {
    const bool v4 = sa.outer.shape.family == net::Family::v4;
    const Byte* const destination =
        sa.outer.begin() + (v4 ? offsetof(net::Ipv4Header, destination) : offsetof(net::Ipv6Header, destination));
    const NextHop& hop = v4 ? fib.find_v4(destination) : fib.find_v6(destination);
    const bool leaves = hop.kind == HopKind::gateway || hop.kind == HopKind::on_link;
    const std::uint16_t mtu = leaves ? std::min(tables_.ports[hop.port.value].mtu, sa.path_mtu) : std::uint16_t{0};
    const auto room = static_cast<std::uint32_t>(esp::inner_mtu(sa.layout, sa.outer.shape, mtu));
    sa.way = {.generation = fib.generation(), .hop = &hop, .room = room, .mtu = mtu};
}

[[gnu::flatten]] void Path::seal_esp(const PacketList& packets, unsigned from, unsigned to) {
    if (from == to) return;
    crypto_list_.clear();
    for (sealing_ = from; sealing_ < to; ++sealing_) {
        rte_mbuf* const m = packets.packets[sealing_];
        if (prepare_seal(m, ops_[crypto_list_.count])) crypto_list_.add(m);
    }
    crypto_->seal_burst({ops_.data(), crypto_list_.count});
    std::uint64_t bytes = 0;
    for (rte_mbuf* m : crypto_list_) {
        bytes += notes(m).inner_size;
        finish_seal(m);
    }
    counters_.esp_out_packets.add(crypto_list_.count);
    counters_.esp_out_bytes.add(bytes);
}

// 1. Room. 2. Sequence number and IV, each once (RFC 4303 3.3.3, RFC 4106 3.1). 3. Trailer. 4. ESP header, IV, outer
// headers.
bool Path::prepare_seal(rte_mbuf* m, CryptoOp& op) {
    PacketNotes& n = notes(m);
    OutboundSa& sa = *n.out;
    if (sa.transport) return prepare_seal_transport(m, op);
    const std::size_t inner = m->pkt_len;
    const std::size_t tail = sa.layout.pad_length(inner) + esp::kTrailerSize;
    const std::size_t esp_front = sa.layout.text_offset();
    if (tailroom(m) < esp::kShortTrailer + sa.layout.icv_size || m->data_off < kOuterRoom + esp_front) {
        drop(m, Drop::no_room);
        return false;
    }
    if (!take_numbers(m, sa, data(m) - esp_front + esp::kHeaderSize)) return false;
    n.inner_size = static_cast<std::uint32_t>(inner - (sa.ruled ? n.tfc : 0U));
    push(m, static_cast<unsigned>(sa.outer.size + esp_front));
    set_length(m, sa.outer.size + esp_front + inner + tail + sa.layout.icv_size);
    Byte* const esp = data(m) + sa.outer.size;
    const net::EspHeader esp_header{Be32::of(sa.spi.value), Be32::of(static_cast<std::uint32_t>(n.seq))};
    std::memcpy(esp, &esp_header, sizeof(esp_header));
    esp::write_short_trailer(esp + esp_front + inner, tail, n.ip.is_v4() ? net::kProtocolIpv4 : net::kProtocolIpv6);
    write_outer(m, sa);
    op.key = &sa.key;
    op.esp = esp;
    op.text_length = static_cast<std::uint32_t>(inner + tail);
    op.seq_high = static_cast<std::uint32_t>(n.seq >> 32);
    op.esn = sa.esn;
    return true;
}

// False: there is none left, and the packet has been dropped.
bool Path::take_number(rte_mbuf* m, OutboundSa& sa) {
    const auto seq = sa.sequence.take();
    if (!seq) {
        if (sa.sequence.exhausted()) raise_hard(sa);
        drop(m, Drop::seq_overflow);
        return false;
    }
    notes(m).seq = seq->value;
    return true;
}

// False: there is none left, and the packet has been dropped.
bool Path::take_numbers(rte_mbuf* m, OutboundSa& sa, Byte* iv_place) {
    if (!(sa.shared == nullptr ? take_number(m, sa) : take_shared_number(m, sa))) return false;
    if (sa.random_iv) {
        crypto_->unpredictable_iv(iv_place);
    } else if (sa.layout.iv_size != 0) {
        const auto counter = sa.ivs.take();
        if (!counter) {
            raise_hard(sa);
            drop(m, Drop::iv_exhausted);
            return false;
        }
        const Be64 iv = esp::iv_of(sa.iv_prefix, *counter);
        std::memcpy(iv_place, &iv, sizeof(iv));
    }
    return true;
}

// The template with what differs from packet to packet (RFC 4301 5.1.2, RFC 6040 4.1, RFC 6864 4.1).
void Path::write_outer(rte_mbuf* m, const OutboundSa& sa) const {
    const PacketNotes& n = notes(m);
    const OuterTemplate& outer = sa.outer;
    std::memcpy(data(m) + outer.size - OuterTemplate::kMaxSize, outer.bytes, OuterTemplate::kMaxSize);
    const std::uint8_t tos = sa.tos.of(n.ip.tos);
    if (outer.shape.family == net::Family::v4) {
        // Inner IPv6 is never cut by a router, but an outer IPv4 header that may be cut carries it where the path
        // is narrower than 1280 bytes.
        const bool df = outer_df(sa, n.ip.dont_fragment && m->pkt_len <= sa.way.mtu);
        net::write_ipv4_variable(data(m), outer.ipv4_sum,
                                 {.total_size = m->pkt_len,
                                  .tos = tos,
                                  .dont_fragment = df,
                                  .id = static_cast<std::uint16_t>(n.seq + sa.spi.value)});
    } else {
        auto* const ip = header<net::Ipv6Header>(m);
        ip->version_class_flow = net::Ipv6Header::make_first_word(tos, sa.spi.value);
        ip->payload_length = Be16::of(static_cast<std::uint16_t>(m->pkt_len - sizeof(net::Ipv6Header)));
    }
    if (!outer.shape.udp) return;
    const std::size_t ip_size = outer.shape.ip_size();
    header<net::UdpHeader>(m, ip_size)->length = Be16::of(static_cast<std::uint16_t>(m->pkt_len - ip_size));
}

// UDP, behind an IP header of ip_size bytes with its extensions, over IPv6 has a checksum, over the sealed bytes (RFC
// 8200 8.1; TRAPS 26); over IPv4 it is zero (RFC 3948 2.1).
[[gnu::noinline]] void Path::write_udp_checksum(rte_mbuf* m, std::size_t ip_size) {
    const auto* ip = header<net::Ipv6Header>(m);
    const MutBytes segment = bytes_of(m).subspan(ip_size);
    header<net::UdpHeader>(m, ip_size)->checksum =
        net::udp_checksum({.source = ip->source,
                           .destination = ip->destination,
                           .protocol = net::kProtocolUdp,
                           .length = static_cast<std::uint32_t>(segment.size())},
                          segment);
}

void Path::finish_seal(rte_mbuf* m) {
    PacketNotes& n = notes(m);
    OutboundSa& sa = *n.out;
    if (sa.outer.shape.udp && sa.outer.shape.family == net::Family::v6) {
        write_udp_checksum(m, sa.transport ? n.ip.header_size : sizeof(net::Ipv6Header));
    }
    if (sa.ruled) n.mark = sa.rules.mark_out.applied_to(n.mark);
    account(sa, n.inner_size);
    sa.highest.set(n.seq);
    n.sealed = true;
    if (sa.shared != nullptr) return emission_.add(m, sa.child, Seq{n.seq});
    if (sa.sequence.rekey_due() || (!sa.random_iv && sa.layout.iv_size != 0 && sa.ivs.left() <= esp::kIvSoftLimit)) {
        raise_soft(sa);
    }
    const bool by_gateway = n.hop->gateway != nullptr;
    if (n.mark != 0 || !by_gateway || !send_at_once(m, *n.hop, sa.way.mtu, 0)) transmit(m);
}

}  // namespace sluice::dataplane
