// SPDX-License-Identifier: Apache-2.0
// SAs that several workers carry (shared_sa.hpp): numbers and the order on the wire out, slices of the window in.
#include "dataplane/shared_sa.hpp"

#include "dataplane/account.hpp"
#include "dataplane/path.hpp"
#include "dataplane/send.hpp"

namespace sluice::dataplane {

namespace {
constexpr std::uint64_t kIvShare = std::uint64_t{1} << 16;  // IVs that a worker takes at a time
constexpr std::uint64_t kAskPart = 100;                     // of a second, between two calls for a missing neighbour
}  // namespace

// What was sealed in earlier turns may go by now. Whoever was declared lost lets go of it (LostWorkers).
void Path::begin_shared() {
    last_slice_ = {};
    if (!emission_.empty()) {
        const auto find = [this](ChildSaId child) -> SharedNumbers* {
            const OutboundSa* const head = tables_.outbound.find(Tables::child_key(child));
            const bool there = head != nullptr && head->child == child && head->shared != nullptr;
            return there ? &head->shared->numbers : nullptr;
        };
        emission_.begin(find, [this](rte_mbuf* m) { drop(m, Drop::no_sa); });
        if (waits()) counters_.emission_waits.add(1);
        release_sealed();
    }
    if (tables_.lost.is_lost(worker_)) tables_.lost.has_let_go(worker_);
}

// Where a port has a queue for each worker, the NIC spreads what it receives; otherwise its workers share out what they
// can not all seal themselves.
void Path::deal_from(PortId port) {
    dealing_ = tables_.worker_count > 1 && !exits_[port.value].all_own_queues;
    dealt_ = 0;
}

// The first run of a burst is one's own, the next the next worker's, and so on: little traffic stays where it arrives.
OutboundSa& Path::lane_of(OutboundSa& head) {
    const auto& lanes = head.shared->lanes;
    std::size_t worker = worker_.value;
    if (dealing_) worker = (worker + dealt_++ / esp::kRun) % lanes.size();
    if (tables_.lost.is_lost(WorkerId{static_cast<std::uint16_t>(worker)})) worker = worker_.value;
    return *lanes[worker];
}

// False: there is none, and the packet has been dropped.
bool Path::take_shared_number(rte_mbuf* m, OutboundSa& lane) {
    if (tables_.lost.is_lost(worker_)) return drop(m, Drop::emission_lost), false;
    SharedNumbers& shared = lane.shared->numbers;
    const auto wanted = [&] {
        unsigned n = 0;
        for (unsigned i = sealing_; i < spread_.count; ++i) n += notes(spread_.packets[i]).out == &lane;
        if (shared.sequence.rekey_due() || shared.ivs.rekey_due()) raise_soft(lane);
        return n;
    };
    const Emission::Numbered numbered = emission_.number(lane.child, shared, wanted);
    switch (numbered.refusal) {
        case Emission::Refusal::no_number:
            if (shared.sequence.exhausted()) raise_hard(lane);
            return drop(m, Drop::seq_overflow), false;
        case Emission::Refusal::no_room:
            return drop(m, Drop::emission_full), false;
        case Emission::Refusal::none:
            break;
    }
    notes(m).seq = numbered.seq.value;
    if (!lane.random_iv && lane.layout.iv_size != 0 && lane.ivs.left() == 0) lane.ivs = shared.ivs.allocate(kIvShare);
    return true;
}

// What the gate lets go leaves, by a queue of one's own where each worker has one. Otherwise all of it goes through the
// ring of the one that has, in the order in which it is let go.
void Path::release_sealed() {
    emission_.end_burst();
    const std::uint64_t lost = tables_.lost.mask();
    if ((lost >> worker_.value & 1) != 0) {
        emission_.give_up([this](rte_mbuf* m) { drop(m, Drop::emission_lost); });
        return;
    }
    releasing_ = true;
    const unsigned went = emission_.release(lost, [this](rte_mbuf* m) {
        const SaWay& way = way_of(*notes(m).out);  // routes may have changed while it waited
        if (way.mtu == 0) return drop(m, Drop::no_route);
        notes(m).hop = way.hop;
        const bool at_once = way.hop->gateway != nullptr && exits_[way.hop->port.value].all_own_queues;
        if (!at_once || !send_at_once(m, *way.hop, way.mtu, 0)) transmit(m);
    });
    releasing_ = false;
    if (went == 0) return;
    progress_ = now_;
    if (output_ != nullptr) flush();  // others wait for it
}

// A packet that waited for a neighbour would come after what others send meanwhile.
void Path::drop_unresolved(rte_mbuf* m, const HoldKey& key) {
    drop(m, Drop::neighbour_missing);
    if (now_ - missed_ < hz_ / kAskPart) return;
    missed_ = now_;
    raise(
        {.kind = EventKind::neighbour_missing, .port = key.port, .flow = {.source = key.value, .family = key.family}});
}

// The slice that a packet of a shared SA belongs to, which goes on as its SA. False: it has been dropped.
bool Path::to_slice(rte_mbuf* m) {
    PacketNotes& n = notes(m);
    const std::size_t esp_at = n.ip.header_size + (n.ip.protocol == net::kProtocolUdp ? sizeof(net::UdpHeader) : 0);
    if (m->data_len < esp_at + sizeof(net::EspHeader)) return drop(m, Drop::esp_malformed), false;
    const std::uint32_t low = header<net::EspHeader>(m, esp_at)->sequence.host();
    SharedInbound* const shared = n.in->shared;
    if (last_slice_.shared != shared || last_slice_.run != low / esp::kRun) {
        last_slice_ = {
            .shared = shared, .run = static_cast<std::uint32_t>(low / esp::kRun), .slice = &shared->slice(low)};
    }
    InboundSa& slice = *last_slice_.slice;
    n.in = &slice;
    if (slice.owner != worker_) return true;
    const bool ours = tables_.segments.worker_of(slice.part) == worker_;
    if (!ours && leaving_count_ < leaving_.size()) leaving_[leaving_count_++] = &slice;
    return true;
}

// Between two bursts: no packet of these slices is under way here.
void Path::pass_on_slices() {
    for (unsigned i = 0; i < leaving_count_; ++i) {
        InboundSa& slice = *leaving_[i];
        const WorkerId next = tables_.segments.worker_of(slice.part);
        if (slice.owner != worker_ || next == worker_) continue;
        slice.owner = next;
        counters_.slices_passed.add(1);
    }
    leaving_count_ = 0;
}

}  // namespace sluice::dataplane
