// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dataplane/gateway.hpp"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include "dataplane/port.hpp"

namespace sluice::test {

using namespace dataplane;

void start_eal_once() {
    static const bool started = [] {
        std::vector<std::string> words = {"test",           "--no-shconf", "--no-huge", "-m", "256", "--no-pci",
                                          "--no-telemetry", "--log-level", "4",         "-l", "0"};
        std::vector<char*> args;
        for (std::string& w : words) args.push_back(w.data());
        if (rte_eal_init(static_cast<int>(args.size()), args.data()) < 0) {
            throw std::runtime_error(std::string("EAL: ") + rte_strerror(rte_errno));
        }
        return true;
    }();
    static_cast<void>(started);
}

namespace {

rte_mempool* shared_pool() {
    start_eal_once();
    static rte_mempool* pool =
        rte_pktmbuf_pool_create("test_pool", 8191, 0, kPrivateBytes, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (pool == nullptr) throw std::runtime_error("no mbuf pool");
    return pool;
}

rte_mempool* large_pool() {
    start_eal_once();
    static const PacketPool pool = std::move(*make_large_pool(kPrivateBytes));
    return pool.get();
}

DataplaneConfig config_of(const Shape& shape) {
    DataplaneConfig c;
    c.ports = {{.name = "lan", .driver = PortDriver::vdev, .device = "", .host_interface = "lan"},
               {.name = "wan", .driver = PortDriver::vdev, .device = "", .host_interface = "wan"}};
    c.workers.resize(shape.workers);
    c.classes = shape.classes;
    c.path_mtu_age = shape.path_mtu_age;
    return c;
}

}  // namespace

Gateway::Gateway(const Shape& shape) : pool_(shared_pool()), hz_(rte_get_tsc_hz()), now_(rte_rdtsc()) {
    const std::uint16_t queues = static_cast<std::uint16_t>(shape.queues == 0 ? shape.workers : shape.queues);
    tables_ = std::make_unique<Tables>(
        config_of(shape),
        std::vector<PortInfo>{{.mac = kLanMac,
                               .mtu = shape.lan_mtu,
                               .queues = queues,
                               .unfinished_checksums = shape.unfinished_checksums},
                              {.mac = kWanMac, .mtu = shape.wan_mtu, .queues = queues, .unfinished_checksums = false}},
        shape.workers);
    for (std::uint16_t w = 0; w < shape.workers; ++w) {
        auto rings = WorkerRings::make(WorkerId{w});
        if (!rings) throw std::runtime_error(rings.error().text);
        rings_.push_back(std::move(*rings));
        ring_pointers_.push_back(rings_.back().get());
    }
    for (std::uint16_t w = 0; w < shape.workers; ++w) {
        auto path = Path::make({.worker = WorkerId{w},
                                .tables = *tables_,
                                .pool = *pool_,
                                .rings = ring_pointers_,
                                .random = random_,
                                .large = shape.large_buffers ? large_pool() : nullptr});
        if (!path) throw std::runtime_error(path.error().text);
        paths_.push_back(std::move(*path));
    }
    event_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    backend_ = std::make_unique<WorkersBackend>(WorkersBackend::Parts{.tables = *tables_,
                                                                      .expander = std::move(*KeyExpander::make()),
                                                                      .rings = ring_pointers_,
                                                                      .wake = [](WorkerId) {},
                                                                      .event_fd = event_fd_});
    tables_->set_host_view(host_view());
}

Gateway::~Gateway() {
    backend_.reset();
    for (auto& rings : rings_) {
        rte_mbuf* m = nullptr;
        while (rings->handover.take(m)) rte_pktmbuf_free(m);
    }
    paths_.clear();
    close(event_fd_);
}

rte_mbuf* Gateway::make(Bytes frame, unsigned segments) {
    rte_mbuf* first = nullptr;
    const std::size_t piece = (frame.size() + segments - 1) / segments;
    for (std::size_t at = 0; at < frame.size() || first == nullptr; at += piece) {
        rte_mbuf* m = rte_pktmbuf_alloc(pool_);
        if (m == nullptr) throw std::runtime_error("pool is empty");
        const std::size_t n = std::min(piece, frame.size() - at);
        std::memcpy(rte_pktmbuf_append(m, static_cast<std::uint16_t>(n)), frame.data() + at, n);
        if (first == nullptr) {
            first = m;
        } else {
            rte_pktmbuf_chain(first, m);
        }
        if (frame.empty()) break;
    }
    return first;
}

void Gateway::begin(std::size_t worker) {
    now_ += hz_ / 1'000'000;
    paths_[worker]->begin(now_);
}

void Gateway::from_port(PortId port, const ByteVec& frame) { from_port(port, std::vector<ByteVec>{frame}); }

void Gateway::from_port(PortId port, const std::vector<ByteVec>& frames) {
    begin(0);
    std::vector<rte_mbuf*> mbufs;
    for (const ByteVec& f : frames) mbufs.push_back(make(f));
    path(0).receive_from_port(port, mbufs);
    settle();
}

void Gateway::from_port(PortId port, rte_mbuf* m) {
    begin(0);
    path(0).receive_from_port(port, {&m, 1});
    settle();
}

void Gateway::from_port_chained(PortId port, const ByteVec& frame, unsigned segments) {
    begin(0);
    rte_mbuf* m = make(frame, segments);
    path(0).receive_from_port(port, {&m, 1});
    settle();
}

InboundSa& Gateway::inbound(const ipsec::ChildSa& child) { return *tables_->sad.find(child.inbound.spi); }
OutboundSa& Gateway::outbound(const ipsec::ChildSa& child) {
    return *tables_->outbound.find(Tables::child_key(child.id));
}

void Gateway::from_host(PortId port, const ByteVec& frame) {
    begin(0);
    rte_mbuf* m = make(frame);
    path(0).receive_from_host(port, {&m, 1});
    settle();
}

void Gateway::settle() {
    bool moved = true;
    while (moved) {
        moved = false;
        for (std::size_t w = 0; w < paths_.size(); ++w) {
            const bool waited = paths_[w]->waits();
            begin(w);
            const unsigned n = run_commands(w) + take_handed_over(w);
            moved = moved || n != 0 || paths_[w]->has_deferred();
            paths_[w]->run_deferred();
            paths_[w]->flush();
            moved = moved || (waited && !paths_[w]->waits());
        }
    }
}

unsigned Gateway::run_commands(std::size_t worker) {
    Command command;
    unsigned n = 0;
    for (; rings_[worker]->commands.take(command); ++n) paths_[worker]->run(command);
    return n;
}

unsigned Gateway::take_handed_over(std::size_t worker) {
    rte_mbuf* burst[kMaxBurst];
    const unsigned n = rings_[worker]->handover.take_burst({burst, kMaxBurst});
    if (n != 0) paths_[worker]->receive_handed_over({burst, n});
    return n;
}

std::vector<ByteVec> Gateway::drain(PacketList& list) {
    std::vector<ByteVec> out;
    for (rte_mbuf* m : list) {
        ByteVec& frame = out.emplace_back();
        for (rte_mbuf* s = m; s != nullptr; s = s->next) frame.insert(frame.end(), data(s), data(s) + s->data_len);
        rte_pktmbuf_free(m);
    }
    list.clear();
    return out;
}

std::vector<ByteVec> Gateway::take_port(PortId port) {
    std::vector<ByteVec> out;
    for (auto& p : paths_) {
        for (ByteVec& f : drain(p->port_output(port))) out.push_back(std::move(f));
    }
    return out;
}

std::vector<ByteVec> Gateway::take_host(PortId port) {
    std::vector<ByteVec> out;
    for (auto& p : paths_) {
        for (ByteVec& f : drain(p->host_output(port))) out.push_back(std::move(f));
    }
    return out;
}

std::uint64_t Gateway::drops(Drop reason) const {
    std::uint64_t n = 0;
    for (const auto& p : paths_) n += p->counters().drops[static_cast<std::size_t>(reason)].get();
    return n;
}

std::uint64_t Gateway::all_drops() const {
    std::uint64_t n = 0;
    for (std::size_t r = 0; r < kDropReasons; ++r) n += drops(static_cast<Drop>(r));
    return n;
}

std::uint64_t Gateway::counter(Count WorkerCounters::*field) const {
    std::uint64_t n = 0;
    for (const auto& p : paths_) n += (p->counters().*field).get();
    return n;
}

void Gateway::fill_events() {
    while (rings_[0]->events.put({.kind = EventKind::soft_expire, .child = ChildSaId{0xffff}})) {
    }
}

unsigned Gateway::in_use() const { return rte_mempool_in_use_count(pool_); }

}  // namespace sluice::test
