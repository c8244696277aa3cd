// SPDX-License-Identifier: Apache-2.0
#include "dataplane/path.hpp"

#include <rte_cycles.h>

#include <algorithm>

namespace sluice::dataplane {

namespace {
// Packets that go through the stages together: enough to wait for memory of many at once, few enough that what they
// touch stays in the first-level cache from stage to stage.
constexpr unsigned kStride = 16;
constexpr std::uint64_t kSpiPatience = 30;       // seconds: longer than a slow negotiation's last round trip
constexpr std::uint64_t kNeighbourPatience = 1;  // seconds
constexpr std::uint64_t kReassemblyPatience = 5;
constexpr unsigned kHeldSpis = 64;
constexpr unsigned kHeldPerSpi = 16;  // TRAPS 53
constexpr unsigned kHeldNeighbours = 64;
constexpr unsigned kHeldPerNeighbour = 4;
}  // namespace

Result<std::unique_ptr<Path>> Path::make(const Resources& resources) {
    std::unique_ptr<Path> path{new Path{resources}};
    auto crypto = CryptoEngine::make(resources.random);
    if (!crypto) return crypto.error();
    path->crypto_ = std::move(*crypto);
    return path;
}

Path::Path(const Resources& r)
    : worker_(r.worker),
      tables_(r.tables),
      pool_(r.pool),
      large_(r.large),
      rings_(r.rings.begin(), r.rings.end()),
      hz_(rte_get_tsc_hz()),
      port_out_(r.tables.ports.size()),
      host_out_(r.tables.ports.size()),
      spi_hold_({.keys = kHeldSpis, .packets_per_key = kHeldPerSpi, .patience = kSpiPatience * hz_}),
      neighbour_hold_(
          {.keys = kHeldNeighbours, .packets_per_key = kHeldPerNeighbour, .patience = kNeighbourPatience * hz_}),
      reassembly_(kReassemblyPatience * hz_),
      emission_(r.worker, r.tables.worker_count),
      fragment_id_(std::uint32_t{r.worker.value} << 28) {
    resync_copy_.reserve(UINT16_MAX);
    for (std::uint16_t p = 0; p < r.tables.ports.size(); ++p) {
        const PortInfo& port = r.tables.ports[p];
        exits_.push_back({.mac = port.mac.word(),
                          .mtu = port.mtu,
                          .own_queue = r.tables.queue_of(PortId{p}, worker_) >= 0,
                          .all_own_queues = port.queues >= r.tables.worker_count,
                          .unfinished_checksums = port.unfinished_checksums});
    }
}

Path::~Path() {
    const auto free = [](rte_mbuf* m) { rte_pktmbuf_free(m); };
    emission_.begin([](ChildSaId) -> SharedNumbers* { return nullptr; }, free);
    spi_hold_.for_each(free);
    neighbour_hold_.for_each(free);
    std::for_each(deferred_.begin(), deferred_.end(), free);
    for (PacketList& list : port_out_) std::for_each(list.begin(), list.end(), free);
    for (PacketList& list : host_out_) std::for_each(list.begin(), list.end(), free);
}

// The hot path, one burst at a time. A packet that comes in is either ESP for us, or clear and to be forwarded, or the
// kernel's; what is opened becomes clear and to be forwarded, or the kernel's; what is forwarded meets the outbound SPD
// and is sealed, sent on as it is, or dropped.
void Path::receive_from_port(PortId port, std::span<rte_mbuf*> frames) {
    deal_from(port);
    for (; !frames.empty(); frames = frames.subspan(std::min<std::size_t>(frames.size(), kStride))) {
        classify_port(port, frames.first(std::min<std::size_t>(frames.size(), kStride)));
        run_stride();
    }
    seal_spread();
}

void Path::receive_from_host(PortId port, std::span<rte_mbuf*> frames) {
    dealing_ = false;
    classify_host(port, frames);
    run_stages();
}

void Path::run_stride() {
    open_esp();                             // esp_     -> clear_ or the host interface
    apply_policy();                         // clear_   -> protect_, spread_ or forward_
    seal_esp(protect_, 0, protect_.count);  // protect_ -> port output
    protect_.clear();
    forward_clear();  // forward_ -> port output
}

void Path::run_stages() {
    run_stride();
    seal_spread();
}

// At the end of a burst, so that all numbers that it needs of a shared SA are taken at once: the fewer times two cores
// write one line, the better.
void Path::seal_spread() {
    if (spread_.count == 0) return;
    for (unsigned from = 0; from < spread_.count; from += kStride) {
        seal_esp(spread_, from, std::min<unsigned>(from + kStride, spread_.count));
    }
    spread_.clear();
    if (!emission_.empty()) release_sealed();
}

void Path::receive_handed_over(std::span<rte_mbuf*> packets) {
    dealing_ = false;
    for (rte_mbuf* m : packets) {
        switch (notes(m).entry) {
            case Entry::esp:
                esp_.add(m);
                break;
            case Entry::clear:
                notes(m).hop = nullptr;
                clear_.add(m);
                break;
            case Entry::fragment:
                reassemble(m);
                break;
            case Entry::transmit:
                send_frame(m, notes(m).port);
                break;
            case Entry::to_host:
                deliver_frame_to_host(m, notes(m).port);
                break;
        }
    }
    run_stages();
}

void Path::run_deferred() {
    for (rte_mbuf* m : deferred_) {
        notes(m).hop = nullptr;
        clear_.add(m);
    }
    deferred_.clear();
    run_stages();
    for (rte_mbuf* m : spi_hold_.take_expired(now_)) drop(m, Drop::hold_expired);
    for (rte_mbuf* m : neighbour_hold_.take_expired(now_)) drop(m, Drop::hold_expired);
    reassembly_.expire(now_);
    counters_.drops[static_cast<std::size_t>(Drop::reassembly)].add(reassembly_.reap());
}

void Path::run(const Command& command) {
    switch (command.kind) {
        case CommandKind::release_spi:
            release_spi(command.spi);
            break;
        case CommandKind::release_neighbour:
            release_neighbour(command.address, command.port);
            break;
        case CommandKind::update_endpoints:
            update_endpoints(command);
            break;
        case CommandKind::path_mtu:
            set_path_mtu(command);
            break;
    }
    counters_.commands.add(1);
}

void Path::flush() {
    for (std::uint16_t p = 0; output_ != nullptr && p < port_out_.size(); ++p) {
        if (port_out_[p].count != 0) output_->send_to_port(PortId{p}, port_out_[p]);
        if (host_out_[p].count != 0) output_->send_to_host(PortId{p}, host_out_[p]);
    }
    if (!emission_.empty()) emission_.publish();
}

// The one place where a packet is let go.
void Path::drop(rte_mbuf* m, Drop reason) {
    counters_.drops[static_cast<std::size_t>(reason)].add(1);
    rte_pktmbuf_free(m);
}

void Path::hand_over(rte_mbuf* m, WorkerId worker, Entry entry) {
    notes(m).entry = entry;
    if (worker.value >= rings_.size() || !rings_[worker.value]->handover.put(m)) return drop(m, Drop::handover_full);
    counters_.handed_over.add(1);
    handed_to_ |= std::uint64_t{1} << worker.value;
}

}  // namespace sluice::dataplane
