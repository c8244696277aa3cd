// SPDX-License-Identifier: Apache-2.0
// ICMP errors, by the packets that they quote: about what is inside an SA (TRAPS 42), and about ESP of ours (TRAPS 40).
#include <utility>

#include "dataplane/path.hpp"
#include "lib/net/icmp_quote.hpp"

namespace sluice::dataplane {

namespace {

Flow flow_of(const net::Packet& packet, Bytes bytes) {
    return {.source = to_number(net::source_address(packet, bytes)),
            .destination = to_number(net::destination_address(packet, bytes)),
            .family = packet.family,
            .protocol = packet.protocol,
            .ports_known = packet.ports_known,
            .source_port = packet.source_port,
            .destination_port = packet.destination_port};
}

Flow reversed(Flow f) {
    std::swap(f.source, f.destination);
    std::swap(f.source_port, f.destination_port);
    return f;
}

}  // namespace

// TRAPS 42, inbound: an error about a packet that this SA's other half would carry, sent to where that packet came
// from.
bool Path::quotes_our_traffic(rte_mbuf* m, const InboundSa& sa) const {
    const PacketNotes& n = notes(m);
    if (!sa.rules.icmp || sa.transport) return false;
    const auto quote = net::read_icmp_quote(n.ip, bytes_of(m));
    if (!quote) return false;
    const Flow about = flow_of(quote->packet, quote->bytes);
    return about.source == n.flow.destination && sa.selectors.matches_outbound(about);
}

// TRAPS 42, outbound: an error that no policy is about by itself belongs where the packet that it quotes came from.
// What it quotes was inside an SA, so it leaves inside that one or not at all. True: it has been taken.
bool Path::protected_by_quote(rte_mbuf* m) {
    PacketNotes& n = notes(m);
    const auto quote = net::read_icmp_quote(n.ip, bytes_of(m));
    if (!quote) return false;
    const Flow about = flow_of(quote->packet, quote->bytes);
    if (about.source != n.flow.destination) return false;
    const OutboundVerdict verdict = tables_.spd.find_outbound(reversed(about));
    if (verdict.action != ipsec::PolicyAction::protect) return false;
    if (verdict.sa == nullptr || !verdict.sa->rules.icmp || verdict.sa->transport) {
        drop(m, Drop::error_in_clear);
    } else {
        protect(m, verdict);
    }
    return true;
}

// An ICMP error to us that says "too big" about ESP of ours. Nobody has authenticated it, so control is told seldom,
// and looks whether an SA here can have sent what it quotes (TRAPS 40). The error stays the caller's.
void Path::report_path_mtu(rte_mbuf* m) {
    const PacketNotes& n = notes(m);
    if (tables_.config.path_mtu_age == Duration{}) return;
    const auto quote = net::read_icmp_quote(n.ip, bytes_of(m));
    if (!quote || !quote->too_big || quote->packet.fragment_offset != 0) return;
    const bool udp = quote->packet.protocol == net::kProtocolUdp;
    if (!udp && quote->packet.protocol != net::kProtocolEsp) return;
    const std::size_t at = quote->packet.header_size + (udp ? sizeof(net::UdpHeader) : 0);
    if (quote->bytes.size() < at + sizeof(Be32) || !net::icmp_checksum_ok(n.ip, bytes_of(m))) return;
    if (!path_mtu_limit_.take(instant())) return;
    Event report{.kind = EventKind::path_mtu};
    report.spi = Spi{net::load<Be32>(quote->bytes.subspan(at)).host()};
    report.flow = flow_of(quote->packet, quote->bytes);
    report.mtu = quote->mtu;
    report.quoted = quote->packet.total_size;
    report.cycles = now_;
    if (raise(report)) counters_.path_mtu_reports.add(1);
}

}  // namespace sluice::dataplane
