// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/gateway.hpp"

#include <rte_mbuf.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "dataplane/shared_sa.hpp"

namespace sluice::bench {

using namespace dataplane;

namespace {

constexpr std::uint32_t kProgressInterval = 1024;  // SAs

}  // namespace

Result<std::unique_ptr<Gateway>> Gateway::make(const GatewayShape& shape, rte_mempool& pool, std::uint16_t mtu,
                                               const Progress& progress) {
    auto suite = parse_aead(shape.aead);
    if (!suite) return suite.error();
    std::unique_ptr<Gateway> gateway{new Gateway{shape, std::move(*suite)}};
    if (const auto made = gateway->make_workers(pool, mtu); !made) return made.error();
    if (const auto installed = gateway->install_sas(progress); !installed) return installed.error();
    return gateway;
}

Result<void> Gateway::make_workers(rte_mempool& pool, std::uint16_t mtu) {
    const auto queues = static_cast<std::uint16_t>(shape_.workers);
    tables_ = std::make_unique<Tables>(make_config(shape_.sas + shape_.spare_sas, shape_.workers, mtu),
                                       std::vector<PortInfo>{{.mac = kLanMac, .mtu = mtu, .queues = queues},
                                                             {.mac = kWanMac, .mtu = mtu, .queues = queues}},
                                       shape_.workers);
    for (std::uint16_t w = 0; w < shape_.workers; ++w) {
        auto rings = WorkerRings::make(WorkerId{w});
        if (!rings) return rings.error();
        rings_.push_back(std::move(*rings));
        ring_pointers_.push_back(rings_.back().get());
    }
    for (std::uint16_t w = 0; w < shape_.workers; ++w) {
        auto path = Path::make(
            {.worker = WorkerId{w}, .tables = *tables_, .pool = pool, .rings = ring_pointers_, .random = random_});
        if (!path) return path.error();
        paths_.push_back(std::move(*path));
    }
    auto expander = KeyExpander::make();
    if (!expander) return expander.error();
    event_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    backend_ = std::make_unique<WorkersBackend>(WorkersBackend::Parts{.tables = *tables_,
                                                                      .expander = std::move(*expander),
                                                                      .rings = ring_pointers_,
                                                                      .wake = [](WorkerId) {},
                                                                      .event_fd = event_fd_});
    tables_->set_host_view(host_view());
    return {};
}

// Both halves of SA i belong to worker i mod workers, so that every worker has its share whatever the hash says.
SaSpis Gateway::choose_spis(std::uint32_t sa) const {
    const WorkerId wanted{static_cast<std::uint16_t>(sa % shape_.workers)};
    const std::uint32_t step = kMaxSas;
    SaSpis spis{Spi{0x10000000 + sa}, Spi{0x80000000 + sa}};
    while (tables_->owner_of(outer_local(shape_.outer), spis.in) != wanted) spis.in.value += step;
    while (tables_->owner_of(outer_remote(shape_.outer, sa), spis.out) != wanted) spis.out.value += step;
    return spis;
}

Result<void> Gateway::install_sas(const Progress& progress) {
    progress_.resize(shape_.sas);
    const std::string what = "installing " + std::to_string(shape_.sas) + " SAs";
    for (std::uint32_t sa = 0; sa < shape_.sas; ++sa) {
        spis_.push_back(choose_spis(sa));
        if (const auto done = backend_->install(make_child(shape_, suite_, sa, spis_[sa])); !done) return done.error();
        tables_->reclaimer.collect();
        if (sa % kProgressInterval == kProgressInterval - 1) progress(what, static_cast<double>(sa) / shape_.sas);
    }
    return {};
}

Result<void> Gateway::add(std::uint32_t sa) {
    return backend_->install(make_child(shape_, suite_, sa, choose_spis(sa)));
}

Result<void> Gateway::remove(std::uint32_t sa) { return backend_->remove(ChildSaId{sa + 1}); }

Gateway::~Gateway() {
    backend_.reset();
    for (auto& rings : rings_) {
        rte_mbuf* m = nullptr;
        while (rings->handover.take(m)) rte_pktmbuf_free(m);
    }
    paths_.clear();
    if (event_fd_ >= 0) close(event_fd_);
}

unsigned Gateway::worker_of(Direction direction, std::uint32_t sa, std::uint64_t seq) const {
    if (shape_.workers == 1) return 0;
    if (direction == Direction::in) {
        const InboundSa& head = *tables_->sad.find(spis_[sa].in);
        const InboundSa& half = head.shared == nullptr ? head : head.shared->slice(static_cast<std::uint32_t>(seq));
        return WorkerId(half.owner).value;
    }
    if (shape_.sas < shape_.workers) return static_cast<unsigned>(seq / esp::kRun % shape_.workers);
    return tables_->outbound.find(Tables::child_key(ChildSaId{sa + 1}))->owner.value;
}

std::uint64_t Gateway::counter(Count WorkerCounters::*field) const {
    std::uint64_t n = 0;
    for (const auto& p : paths_) n += (p->counters().*field).get();
    return n;
}

std::string Gateway::drops() const {
    std::string text;
    for (std::size_t reason = 0; reason < kDropReasons; ++reason) {
        std::uint64_t n = 0;
        for (const auto& p : paths_) n += p->counters().drops[reason].get();
        if (n != 0) text += (text.empty() ? "" : ", ") + std::string(kDropInfo[reason].name) + " " + std::to_string(n);
    }
    return text;
}

}  // namespace sluice::bench
