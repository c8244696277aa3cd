// SPDX-License-Identifier: Apache-2.0
// What happens to few packets: ICMP errors, fragments, events, commands of control.
#include <algorithm>
#include <cstring>

#include "dataplane/account.hpp"
#include "dataplane/path.hpp"
#include "lib/net/extension.hpp"

namespace sluice::dataplane {

Instant Path::instant() const {
    const std::uint64_t seconds = now_ / hz_;
    const std::uint64_t rest = now_ % hz_;
    return Instant{std::chrono::seconds{seconds} + std::chrono::nanoseconds{rest * 1'000'000'000 / hz_}};
}

// Who an error about m comes from. An address of ours: of the port that a routed packet came by; for a decrypted one,
// which the error quotes, one that an SA back to the source covers. To the kernel, in the name of the packet's
// destination: it takes nothing from an address of its own. None: nobody may say it.
net::IpAddress Path::error_source(rte_mbuf* m) const {
    const PacketNotes& n = notes(m);
    if (n.origin == Origin::host) return to_address(n.flow.destination, n.flow.family);
    const Fib& fib = *tables_.fib.load(std::memory_order_acquire);
    if (n.origin != Origin::tunnel) return fib.source_address(n.port, n.ip.family);
    Flow back{.destination = n.flow.source,
              .family = n.flow.family,
              .protocol = n.ip.is_v4() ? net::kProtocolIcmp : net::kProtocolIcmpv6,
              .ports_known = true};
    for (const LocalAddress& own : fib.addresses()) {
        if (own.address.family() != back.family) continue;
        back.source = to_number(own.address);
        if (tables_.spd.find_outbound(back).sa != nullptr) return own.address;
    }
    return {};
}

// To the source of m, which stays the caller's. The error goes through the SPD like any packet, in the next loop; one
// for the kernel goes straight there.
void Path::send_error(rte_mbuf* m, net::IcmpError error, std::size_t mtu) {
    const PacketNotes& n = notes(m);
    if (n.origin == Origin::self || n.origin == Origin::report || deferred_.full()) return;
    if (!net::icmp_error_allowed(error, n.ip, bytes_of(m)) || !icmp_limit_.take(instant())) return;
    const net::IpAddress source = error_source(m);
    if (!source) return;
    rte_mbuf* const out = rte_pktmbuf_alloc(&pool_);
    if (out == nullptr) return;
    const std::size_t size =
        net::write_icmp_error({.error = error, .source = source, .mtu = static_cast<std::uint32_t>(mtu)}, n.ip,
                              bytes_of(m), {data(out), tailroom(out)});
    set_length(out, size);
    notes(out).origin = n.origin == Origin::tunnel ? Origin::report : Origin::self;
    notes(out).port = n.port;
    notes(out).mark = 0;
    if (size == 0 || read_ip(out) != net::PacketFault::none) return rte_pktmbuf_free(out);
    counters_.icmp_sent.add(1);
    n.origin == Origin::host ? deliver_inner_to_host(out, n.port) : deferred_.add(out);
}

namespace {

struct Cut {
    std::size_t header = 0;    // bytes repeated in front of every piece, fragment header not counted
    std::size_t named_at = 0;  // IPv6: the field that names what follows them
    std::size_t extra = 0;     // the IPv6 fragment header
    std::size_t step = 0;      // payload of a piece, a multiple of 8
};

Cut plan(rte_mbuf* m, std::size_t mtu) {
    const bool v4 = data(m)[0] >> 4 == 4;
    Cut cut;
    if (v4) {
        cut.header = header<net::Ipv4Header>(m)->header_size();
    } else {
        const net::HeaderPlace place = net::transport_place(net::parse_packet(bytes_of(m), m->pkt_len), bytes_of(m));
        cut.header = place.offset;
        cut.named_at = place.named_at;
    }
    cut.extra = v4 ? 0 : sizeof(net::Ipv6FragmentHeader);
    cut.step = mtu > cut.header + cut.extra ? (mtu - cut.header - cut.extra) & ~std::size_t{7} : 0;
    return cut;
}

// RFC 791 3.2. Options are repeated in every piece.
void write_v4_piece(rte_mbuf* piece, std::size_t header_size, std::size_t offset, bool last) {
    auto* const ip = header<net::Ipv4Header>(piece);
    const bool more = !last || ip->more_fragments();
    const std::size_t at = ip->fragment_offset() + offset;
    ip->total_length = Be16::of(static_cast<std::uint16_t>(piece->pkt_len));
    ip->fragment = Be16::of(static_cast<std::uint16_t>(at / 8 | (more ? net::Ipv4Header::kMoreFragments : 0U)));
    net::set_ipv4_checksum(bytes_of(piece).first(header_size));
}

// RFC 8200 4.5, as the source of the packet: only outer headers of ours are cut this way.
void write_v6_piece(rte_mbuf* piece, const Cut& cut, std::uint32_t id, std::size_t offset, bool last) {
    auto* const ip = header<net::Ipv6Header>(piece);
    net::Ipv6FragmentHeader fragment{};
    fragment.next_header = data(piece)[cut.named_at];
    fragment.offset_flags = Be16::of(static_cast<std::uint16_t>(offset | (last ? 0U : 1U)));
    fragment.id = Be32::of(id);
    std::memcpy(data(piece) + cut.header, &fragment, sizeof(fragment));
    data(piece)[cut.named_at] = net::kProtocolFragment;
    ip->payload_length = Be16::of(static_cast<std::uint16_t>(piece->pkt_len - sizeof(net::Ipv6Header)));
}

}  // namespace

// Copies m into pieces of at most mtu bytes and frees it. All pieces or none.
void Path::fragment(rte_mbuf* m, std::size_t mtu, PacketList& out) {
    const Cut cut = plan(m, mtu);
    const std::size_t payload = m->pkt_len - cut.header;
    const std::size_t count = cut.step == 0 ? 0 : (payload + cut.step - 1) / cut.step;
    std::array<rte_mbuf*, PacketList::kMax> pieces{};
    if (count == 0 || count > PacketList::kMax - out.count ||
        rte_pktmbuf_alloc_bulk(&pool_, pieces.data(), static_cast<unsigned>(count)) != 0) {
        return drop(m, Drop::fragment);
    }
    ++fragment_id_;
    for (std::size_t i = 0; i < count; ++i) {
        rte_mbuf* const piece = pieces[i];
        const std::size_t offset = i * cut.step;
        const std::size_t size = std::min(cut.step, payload - offset);
        notes(piece) = notes(m);
        if (notes(m).origin == Origin::host)
            notes(piece).origin = Origin::self;  // the kernel's Ethernet header is gone
        set_length(piece, cut.header + cut.extra + size);
        std::memcpy(data(piece), data(m), cut.header);
        std::memcpy(data(piece) + cut.header + cut.extra, data(m) + cut.header + offset, size);
        const bool last = i + 1 == count;
        cut.extra == 0 ? write_v4_piece(piece, cut.header, offset, last)
                       : write_v6_piece(piece, cut, fragment_id_, offset, last);
        out.add(piece);
    }
    rte_pktmbuf_free(m);
}

// False: the ring is full, and control knows nothing of it.
bool Path::raise(const Event& event) {
    if (worker_.value >= rings_.size() || !rings_[worker_.value]->events.put(event)) {
        counters_.events_lost.add(1);
        return false;
    }
    raised_ = true;
    return true;
}

// At most one a second and policy, whichever worker comes first.
void Path::raise_acquire(PolicySlot& slot, const Flow& flow) {
    std::uint64_t last = slot.acquired_cycles.load(std::memory_order_relaxed);
    if (last != 0 && (now_ < last || now_ - last < hz_)) return;  // another worker's turn may have begun later
    if (!slot.acquired_cycles.compare_exchange_strong(last, now_, std::memory_order_relaxed)) return;
    raise({.kind = EventKind::acquire, .policy = slot.id, .flow = flow});
}

// Those halves of the SA of a command that this worker owns: of a shared one its slices and its lane.
template <class In, class Out>
void Path::change_own_halves(const Command& c, In change_in, Out change_out) {
    const auto change_owned = [&](InboundSa& in) {
        if (in.owner == worker_) change_in(in);
    };
    InboundSa* const in = tables_.sad.find(c.spi);
    if (in != nullptr && in->child == c.child) {
        if (in->shared == nullptr) change_owned(*in);
        for_each_slice(*in, change_owned);
    }
    OutboundSa* const head = tables_.outbound.find(Tables::child_key(c.child));
    if (head == nullptr || head->child != c.child) return;
    OutboundSa& out = head->shared == nullptr ? *head : *head->shared->lanes[worker_.value];
    if (out.owner != worker_) return;
    change_out(out);
    out.way = {};
}

void Path::update_endpoints(const Command& c) {
    change_own_halves(
        c,
        [&](InboundSa& in) {
            in.encap = c.outer.shape.udp;
            in.remote = c.remote;
            in.reported = {};
        },
        [&](OutboundSa& out) { out.outer = c.outer; });
}

// What control believes of the way to the peer.
void Path::set_path_mtu(const Command& c) {
    change_own_halves(
        c, [&](InboundSa& in) { in.path_mtu = c.mtu; }, [&](OutboundSa& out) { out.path_mtu = c.mtu; });
}

// An SPI has got its keys, or never will: what waited is ESP for it like any other.
void Path::release_spi(Spi spi) {
    for (rte_mbuf* m : spi_hold_.take({.value = spi.value, .family = net::Family::none, .port = {}})) esp_.add(m);
    run_stages();
}

}  // namespace sluice::dataplane
