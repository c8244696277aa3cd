// SPDX-License-Identifier: Apache-2.0
#include "dataplane/sa.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "dataplane/segment_map.hpp"
#include "dataplane/shared_sa.hpp"
#include "lib/net/checksum.hpp"
#include "lib/net/tunnel.hpp"
#include "lib/net/wire.hpp"

namespace sluice::dataplane {

namespace {

constexpr std::uint8_t kOuterHopLimit = 64;

void write_v4(OuterTemplate& t, const net::Endpoint& local, const net::Endpoint& remote) {
    net::Ipv4Header ip{};
    ip.version_ihl = 0x45;
    ip.ttl = kOuterHopLimit;
    ip.protocol = t.shape.udp ? net::kProtocolUdp : net::kProtocolEsp;
    std::memcpy(ip.source.data(), local.address.bytes().data(), 4);
    std::memcpy(ip.destination.data(), remote.address.bytes().data(), 4);
    std::memcpy(t.begin(), &ip, sizeof(ip));
    net::ChecksumSum sum;
    sum.add(Bytes{t.begin(), sizeof(ip)});
    t.ipv4_sum = sum.folded();
}

void write_v6(OuterTemplate& t, const net::Endpoint& local, const net::Endpoint& remote) {
    net::Ipv6Header ip{};
    ip.version_class_flow = net::Ipv6Header::make_first_word(0, 0);
    ip.hop_limit = kOuterHopLimit;
    ip.next_header = t.shape.udp ? net::kProtocolUdp : net::kProtocolEsp;
    std::memcpy(ip.source.data(), local.address.bytes().data(), 16);
    std::memcpy(ip.destination.data(), remote.address.bytes().data(), 16);
    std::memcpy(t.begin(), &ip, sizeof(ip));
}

std::uint64_t next_limit(std::uint64_t soft, std::uint64_t hard) {
    const std::uint64_t s = soft == 0 ? ~0ULL : soft;
    const std::uint64_t h = hard == 0 ? ~0ULL : hard;
    return std::min(s, h);
}

// Bits of the inner TOS that go outside, and those that always stand there (RFC 6040 4.1, RFC 2983).
TosRule tos_rule(const ipsec::ChildSa& c) {
    const bool copied = c.dscp == ipsec::CopyDscp::both || c.dscp == ipsec::CopyDscp::out;
    const bool fixed = c.rules.dscp != ipsec::kNoDscp;
    TosRule rule;
    rule.keep = static_cast<std::uint8_t>((copied && !fixed ? ~net::kEcnMask : 0) | (c.copy_ecn ? net::kEcnMask : 0));
    rule.set = fixed ? static_cast<std::uint8_t>(c.rules.dscp << 2) : std::uint8_t{0};
    return rule;
}

esp::Layout layout_of(const Algorithm& a) { return {.iv_size = a.iv, .icv_size = a.icv, .align = a.align}; }

// Transport mode is between two hosts (RFC 4301 4.1): more would be a tunnel without a tunnel's header.
Result<void> check_transport(const ipsec::ChildSa& c) {
    const auto only = [](const ipsec::TrafficSelectors& list, const net::IpAddress& host) {
        return std::all_of(list.begin(), list.end(), [&](const ipsec::TrafficSelector& s) {
            return s.range.first == host && s.range.last == host;
        });
    };
    if (!only(c.local_ts, c.local.address) || !only(c.remote_ts, c.remote.address)) {
        return fail(ErrorCode::invalid, "in transport mode the selectors are those of the two ends");
    }
    if (c.rules.tfc_padding != 0) return fail(ErrorCode::invalid, "TFC padding is for tunnel mode");
    return {};
}

Result<void> check(const ipsec::ChildSa& c) {
    if (c.local.address.family() != c.remote.address.family() || !c.local.address) {
        return fail(ErrorCode::invalid, "an SA needs a local and a remote address of one family");
    }
    if (c.inbound.spi.value < 256 || c.outbound.spi.value < 256) {
        return fail(ErrorCode::invalid, "SPIs 0 to 255 are reserved (RFC 4303 2.1)");
    }
    if (c.replay_window > esp::ReplayWindow::kMaxSize) {
        return fail(ErrorCode::invalid,
                    "replay window of " + std::to_string(c.replay_window) + " packets, at most 65536");
    }
    if (c.local_ts.empty() || c.remote_ts.empty()) return fail(ErrorCode::invalid, "an SA without traffic selectors");
    return c.mode == ipsec::Mode::transport ? check_transport(c) : Result<void>{};
}

// Whether the path has more to do for an SA than to seal or open whole packets.
bool is_ruled(const ipsec::ChildSa& c, const ipsec::Mark& mark) {
    return c.mode == ipsec::Mode::transport || c.rules.tfc_padding != 0 || c.rules.mss_clamp != 0 || mark.any();
}

Result<std::unique_ptr<InboundSa>> make_inbound(const ipsec::ChildSa& c, const KeyExpander& expander,
                                                const SaPlacement& placement) {
    auto sa = std::make_unique<InboundSa>(c.replay_window, c.esn);
    if (const auto done = expander.expand(c.inbound.keys, sa->key); !done) return done.error();
    sa->spi = c.inbound.spi;
    sa->child = c.id;
    sa->owner = placement.inbound_owner;
    sa->segment = placement.inbound_segment;
    sa->layout = layout_of(sa->key.algorithm());
    sa->key_lines = static_cast<std::uint8_t>(CryptoKey::front_lines(sa->key.algorithm()));
    sa->encap = c.encap;
    sa->copy_ecn = c.copy_ecn;
    sa->dscp = c.dscp;
    sa->ruled = is_ruled(c, c.rules.mark_in);
    sa->transport = c.mode == ipsec::Mode::transport;
    sa->rules = c.rules;
    sa->selectors = CompiledSelectors::of(c.local_ts, c.remote_ts);
    sa->lifetime = c.lifetime;
    sa->limits = SaLimits::of(c.lifetime);
    sa->remote = c.remote;
    return sa;
}

Result<std::unique_ptr<OutboundSa>> make_outbound(const ipsec::ChildSa& c, const KeyExpander& expander,
                                                  const SaPlacement& placement) {
    auto sa = std::make_unique<OutboundSa>(c.esn);
    if (const auto done = expander.expand(c.outbound.keys, sa->key); !done) return done.error();
    const Algorithm& algorithm = sa->key.algorithm();
    sa->spi = c.outbound.spi;
    sa->child = c.id;
    sa->owner = placement.outbound_owner;
    sa->segment = placement.outbound_segment;
    sa->layout = layout_of(algorithm);
    sa->key_lines = static_cast<std::uint8_t>(CryptoKey::front_lines(algorithm));
    sa->random_iv = algorithm.random_iv;
    sa->ruled = is_ruled(c, c.rules.mark_out);
    sa->transport = c.mode == ipsec::Mode::transport;
    sa->rules = c.rules;
    sa->tos = tos_rule(c);
    sa->df = c.df;
    sa->iv_prefix = esp::iv_prefix(c.iv_node, c.iv_incarnation);
    sa->lifetime = c.lifetime;
    sa->outer = OuterTemplate::of(c.local, c.remote, c.encap);
    sa->limits = SaLimits::of(c.lifetime);
    // A single node owns all of the space; a cluster reserves it in chunks.
    sa->sequence.reserve(esp::OutboundSequence::last_number(c.esn));
    esp::IvSource source;
    sa->ivs = source.allocate(esp::kIvHardLimit);
    return sa;
}

// The first share of a lifetime; those who get none carry nothing.
template <class Shared>
SaLimits first_share(Shared& shared) {
    SaLimits limits;
    limits.check_packets = shared.packets.take();
    limits.check_bytes = shared.bytes.take();
    limits.hard_reached = limits.check_packets == 0 || limits.check_bytes == 0;
    return limits;
}

Result<void> add_slices(InboundSa& head, const ipsec::ChildSa& c, const KeyExpander& expander,
                        const SaPlacement& placement) {
    const SegmentMap& map = placement.segments;
    const ipsec::SequenceSegments by_number(map.part_hash(), c.local.address, c.inbound.spi);
    head.owned = std::make_unique<SharedInbound>(c.lifetime, by_number, map.parts());
    for (std::uint16_t part = 0; part < map.parts(); ++part) {
        auto slice = make_inbound(c, expander, placement);
        if (!slice) return slice.error();
        InboundSa& s = **slice;
        s.sharing = Sharing::slice;
        s.shared = head.owned.get();
        s.part = part;
        s.owner = map.worker_of(part);
        s.segment = map.segment_of(part);
        s.limits = first_share(*head.owned);
        head.owned->slices.push_back(std::move(*slice));
    }
    head.sharing = Sharing::head;
    head.shared = head.owned.get();
    return {};
}

Result<void> add_lanes(OutboundSa& head, const ipsec::ChildSa& c, const KeyExpander& expander,
                       const SaPlacement& placement) {
    head.owned = std::make_unique<SharedOutbound>(c.lifetime, c.esn, placement.workers);
    head.shared = head.owned.get();
    head.shared->numbers.sequence.reserve(esp::OutboundSequence::last_number(c.esn));
    for (std::uint16_t w = 0; w < placement.workers; ++w) {
        auto lane = make_outbound(c, expander, placement);
        if (!lane) return lane.error();
        OutboundSa& l = **lane;
        l.shared = head.shared;
        l.owner = WorkerId(w);
        l.ivs = {};
        l.limits = first_share(*head.shared);
        head.shared->lanes.push_back(std::move(*lane));
    }
    return {};
}

}  // namespace

OutboundSa::OutboundSa(bool extended) : esn(extended), sequence(extended) {}
OutboundSa::~OutboundSa() = default;

InboundSa::InboundSa(std::uint32_t window_size, bool extended)
    : InboundSa(window_size, extended, far_bitmap(window_size)) {}
InboundSa::InboundSa(std::uint32_t window_size, bool extended, std::unique_ptr<std::uint64_t[]> far)
    : esn(extended),
      window({far ? far.get() : near_bitmap_, esp::ReplayWindow::words_needed(window_size)}, window_size, extended),
      far_bitmap_(std::move(far)) {}
std::unique_ptr<std::uint64_t[]> InboundSa::far_bitmap(std::uint32_t window_size) {
    const std::size_t words = esp::ReplayWindow::words_needed(window_size);
    return words > kNearWords ? std::make_unique<std::uint64_t[]>(words) : nullptr;
}
InboundSa::~InboundSa() = default;

OuterTemplate OuterTemplate::of(const net::Endpoint& local, const net::Endpoint& remote, bool encap) {
    OuterTemplate t;
    t.shape = {.family = local.address.family(), .udp = encap};
    t.size = static_cast<std::uint8_t>(t.shape.size());
    t.shape.family == net::Family::v4 ? write_v4(t, local, remote) : write_v6(t, local, remote);
    if (encap) {
        net::UdpHeader udp{};
        udp.source_port = Be16::of(local.port);
        udp.destination_port = Be16::of(remote.port);
        std::memcpy(t.begin() + t.shape.ip_size(), &udp, sizeof(udp));
    }
    return t;
}

SaLimits SaLimits::of(const ipsec::Lifetime& l) {
    SaLimits limits;
    limits.check_packets = next_limit(l.soft_packets, l.hard_packets);
    limits.check_bytes = next_limit(l.soft_bytes, l.hard_bytes);
    return limits;
}

Result<SaPair> make_sa(const ipsec::ChildSa& child, const KeyExpander& expander, const SaPlacement& placement) {
    if (const auto checked = check(child); !checked) return checked.error();
    auto inbound = make_inbound(child, expander, placement);
    if (!inbound) return inbound.error();
    auto outbound = make_outbound(child, expander, placement);
    if (!outbound) return outbound.error();
    if (child.workers == ipsec::Workers::spread && placement.workers > 1) {
        if (const auto done = add_slices(**inbound, child, expander, placement); !done) return done.error();
        if (const auto done = add_lanes(**outbound, child, expander, placement); !done) return done.error();
    }
    return SaPair{std::move(*inbound), std::move(*outbound)};
}

}  // namespace sluice::dataplane
