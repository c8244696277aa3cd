// SPDX-License-Identifier: Apache-2.0
// ESP in (RFC 4303 3.4, RFC 4301 5.2): SA, replay check, open, replay accept, unwrap, selectors (TRAPS 31).
#include <cstring>

#include "dataplane/account.hpp"
#include "dataplane/path.hpp"
#include "lib/esp/trailer.hpp"
#include "lib/net/tunnel.hpp"

namespace sluice::dataplane {

namespace {

const net::EspHeader& esp_header(rte_mbuf* m) { return *header<net::EspHeader>(m, notes(m).esp_offset); }

// The whole ESP packet; a UDP length below what IP says cuts it.
std::size_t esp_size(rte_mbuf* m) {
    const PacketNotes& n = notes(m);
    if (n.ip.protocol != net::kProtocolUdp) return m->data_len - std::size_t{n.esp_offset};
    return header<net::UdpHeader>(m, n.ip.header_size)->length.host() - sizeof(net::UdpHeader);
}

Drop to_drop(esp::Fault fault) {
    switch (fault) {
        case esp::Fault::pad_length:
        case esp::Fault::padding:
            return Drop::padding;
        case esp::Fault::dummy:
            return Drop::dummy;
        case esp::Fault::inner_length:
            return Drop::inner_malformed;
        default:
            return Drop::esp_malformed;
    }
}

// A later fragment that overlaps the flags of a first one would get past whoever looked at that (RFC 1858 4.2).
bool splits_tcp_header(const net::Packet& ip) {
    return ip.protocol == net::kProtocolTcp && ip.fragment_offset < sizeof(net::TcpHeader) - 4;
}

}  // namespace

// Before the stages proper, two walks that bring SAs and keys into the cache.
[[gnu::flatten]] void Path::open_esp() {
    if (esp_.count == 0) return;
    crypto_list_.clear();
    Spi spis[kMaxBurst];
    InboundSa* sas[kMaxBurst];
    for (unsigned i = 0; i < esp_.count; ++i) spis[i] = Spi{esp_header(esp_.packets[i]).spi.host()};
    tables_.sad.find_burst({spis, esp_.count}, sas);
    for (unsigned i = 0; i < esp_.count; ++i) {
        notes(esp_.packets[i]).in = sas[i];
        if (sas[i] != nullptr) sas[i]->prefetch();
    }
    for (rte_mbuf* m : esp_) admit_esp(m);
    esp_.clear();
    crypto_->open_burst({ops_.data(), crypto_list_.count});
    std::uint64_t bytes = 0;
    for (unsigned i = 0; i < crypto_list_.count; ++i) {
        rte_mbuf* const m = crypto_list_.packets[i];
        if (!accept(m, ops_[i])) continue;
        bytes += m->data_len;
        opened_.add(m);
    }
    resync_packet_ = nullptr;
    if (leaving_count_ != 0) pass_on_slices();
    counters_.esp_in_packets.add(opened_.count);
    counters_.esp_in_bytes.add(bytes);
    route_all(opened_);
    for (rte_mbuf* m : opened_) {
        const NextHop& hop = *notes(m).hop;
        hop.kind == HopKind::local ? deliver_inner_to_host(m, hop.port) : clear_.add(m);
    }
    opened_.clear();
}

// 1. The SA by its SPI, ours, in service here. 2. Sizes. 3. The full sequence number, and whether it can be new.
void Path::admit_esp(rte_mbuf* m) {
    PacketNotes& n = notes(m);
    const Spi spi{esp_header(m).spi.host()};
    if (n.in == nullptr || n.in->spi != spi) return hold_for_spi(m, spi);
    if (n.in->sharing == Sharing::head && !to_slice(m)) return;
    InboundSa* const sa = n.in;
    if (!sa_serves(m, *sa)) return;
    const std::size_t size = esp_size(m);
    if (!sa->layout.size_valid(size)) return drop(m, Drop::esp_malformed);
    const std::uint32_t low = esp_header(m).sequence.host();
    const auto seq = sa->window.infer(low);
    if (!seq || sa->window.check(*seq) != esp::ReplayVerdict::fresh) return drop(m, Drop::replay);
    n.seq = seq->value;
    prepare_open(m, *sa, size);
    if (sa->resync_attempt != 0 && resync_packet_ == nullptr) {
        resync_packet_ = m;
        resync_copy_.assign(data(m), data(m) + m->data_len);
    }
}

bool Path::sa_serves(rte_mbuf* m, InboundSa& sa) {
    if (!tables_.segments.responsible(sa.segment)) {
        drop(m, Drop::not_responsible);
    } else if (sa.owner != worker_) {
        hand_over(m, sa.owner, Entry::esp);
    } else if (sa.encap && notes(m).ip.protocol != net::kProtocolUdp) {
        // ESP in UDP is taken whether a NAT was detected or not (RFC 7296 2.23), plain ESP only where it was agreed.
        drop(m, Drop::endpoint_mismatch);
    } else if (sa.limits.hard_reached) {
        raise_hard(sa);
        drop(m, Drop::lifetime);
    } else {
        return true;
    }
    return false;
}

void Path::prepare_open(rte_mbuf* m, InboundSa& sa, std::size_t size) {
    sa.key.prefetch(sa.key_lines);
    CryptoOp& op = ops_[crypto_list_.count];
    op.key = &sa.key;
    op.esp = data(m) + notes(m).esp_offset;
    op.text_length = static_cast<std::uint32_t>(sa.layout.text_size_of(size));
    op.seq_high = static_cast<std::uint32_t>(notes(m).seq >> 32);
    op.esn = sa.esn;
    crypto_list_.add(m);
}

// The peer may send on an SPI that was offered before the keys are there (TRAPS 53).
[[gnu::noinline]] void Path::hold_for_spi(rte_mbuf* m, Spi spi) {
    const Reservation* reserved = tables_.reserved.find(spi);
    if (reserved == nullptr || reserved->spi != spi) return drop(m, Drop::unknown_spi);
    const HoldKey key{.value = spi.value, .family = net::Family::none, .port = {}};
    if (spi_hold_.put(key, m, now_) == Hold::Put::full) return drop(m, Drop::spi_hold_full);
    counters_.held.add(1);
}

// 4. The ICV has the last word; only then the window moves, by the number that verified. 5. What was inside. False: the
// packet has been dropped.
bool Path::accept(rte_mbuf* m, CryptoOp& op) {
    PacketNotes& n = notes(m);
    InboundSa& sa = *n.in;
    if (!op.verified && !resynchronised(m, op)) return refuse(m, Drop::icv);
    sa.resync.verified();
    sa.resync_attempt = 0;
    if (sa.window.accept(Seq{n.seq}) != esp::ReplayVerdict::fresh) return refuse(m, Drop::replay);
    if (sa.encap && sa.window.top().value == n.seq) note_endpoint(m, sa);
    if (!(sa.ruled ? unwrap_ruled(m, op) : unwrap(m, op))) return false;
    account(sa, m->data_len);
    n.origin = Origin::tunnel;
    return true;
}

// RFC 4303 A3: after many failures in a row the peer may have passed a high half that we did not see. Then now and then
// a packet is kept as it came, and where it does not verify with the number inferred it is tried once more, some high
// halves further. A good packet never pays for it.
[[gnu::noinline]] bool Path::resynchronised(rte_mbuf* m, CryptoOp& op) {
    PacketNotes& n = notes(m);
    InboundSa& sa = *n.in;
    if (!sa.esn) return false;
    if (resync_packet_ == m && sa.resync_attempt != 0) {
        std::memcpy(data(m), resync_copy_.data(), resync_copy_.size());
        const auto seq = sa.window.resync_candidate(static_cast<std::uint32_t>(n.seq), sa.resync_attempt);
        sa.resync_attempt = 0;
        if (seq) {
            n.seq = seq->value;
            op.seq_high = static_cast<std::uint32_t>(n.seq >> 32);
            crypto_->open_burst({&op, 1});
            if (op.verified) return true;
        }
    }
    const std::uint32_t attempt = sa.resync.failed();
    if (attempt != 0) sa.resync_attempt = attempt;
    return false;
}

// A dummy packet counts as one of no bytes (RFC 4303 2.6). Always false.
bool Path::fail_trailer(rte_mbuf* m, esp::Fault fault) {
    InboundSa& sa = *notes(m).in;
    if (fault == esp::Fault::dummy) account(sa, 0);
    drop(m, to_drop(fault));
    return false;
}

// Trailer, ECN and DSCP of the outer header (RFC 6040 4.2), inner packet, and whether the SA is for it (X1).
bool Path::unwrap(rte_mbuf* m, const CryptoOp& op) {
    PacketNotes& n = notes(m);
    const InboundSa& sa = *n.in;
    const Bytes text{op.text(), op.text_length};
    const auto fail_with = [&](Drop reason) {
        drop(m, reason);
        return false;
    };
    const esp::Trailer trailer = esp::read_trailer(text);
    if (trailer.fault != esp::Fault::none) return fail_trailer(m, trailer.fault);
    if (trailer.next_header != net::kProtocolIpv4 && trailer.next_header != net::kProtocolIpv6) {
        return fail_with(Drop::inner_malformed);
    }
    const std::uint8_t outer_tos = n.ip.tos;
    pull(m, static_cast<unsigned>(op.text() - data(m)));
    set_length(m, trailer.payload_size);
    if (read_ip(m) != net::PacketFault::none) return fail_with(Drop::inner_malformed);
    if (n.ip.is_v4() != (trailer.next_header == net::kProtocolIpv4)) return fail_with(Drop::inner_malformed);
    if (!sa.selectors.matches_inbound(n.flow) && !quotes_our_traffic(m, sa)) return fail_with(Drop::policy_mismatch);
    if (n.ip.fragment_offset != 0 && splits_tcp_header(n.ip)) return fail_with(Drop::fragment_overlap);
    if (n.ip.tos == outer_tos) return true;  // whatever the rules, the same comes out
    const net::TunnelRules rules{.dscp_in = sa.dscp == ipsec::CopyDscp::both || sa.dscp == ipsec::CopyDscp::in,
                                 .ecn_out = sa.copy_ecn};
    const auto tos = net::inner_tos(n.ip.tos, outer_tos, rules);
    if (!tos) return fail_with(Drop::ecn_illegal);
    if (*tos == n.ip.tos) return true;
    n.ip.is_v4() ? net::set_ipv4_tos(bytes_of(m), *tos) : net::set_ipv6_traffic_class(bytes_of(m), *tos);
    n.ip.tos = *tos;
    return true;
}

// A NAT has moved the peer: told once for each new place, at most one a second, and only by the newest authenticated
// packet (TRAPS 24).
[[gnu::noinline]] void Path::note_endpoint(rte_mbuf* m, InboundSa& sa) {
    const PacketNotes& n = notes(m);
    const auto* udp = header<net::UdpHeader>(m, n.ip.header_size);
    const net::Endpoint from{net::source_address(n.ip, bytes_of(m)), udp->source_port.host()};
    if (from == sa.remote || from == sa.reported) return;
    if (sa.reported_cycles != 0 && now_ - sa.reported_cycles < hz_) return;
    if (!raise({.kind = EventKind::endpoint_changed, .child = sa.child, .remote_port = from.port, .flow = n.flow}))
        return;
    sa.reported = from;
    sa.reported_cycles = now_;
}

}  // namespace sluice::dataplane
