// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dataplane.hpp"

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mempool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "dataplane/backend.hpp"
#include "dataplane/eal.hpp"
#include "dataplane/metrics.hpp"
#include "dataplane/port.hpp"
#include "dataplane/self_test.hpp"
#include "dataplane/watchdog.hpp"
#include "dataplane/worker.hpp"
#include "lib/base/log.hpp"

namespace sluice::dataplane {

namespace {

constexpr std::uint64_t kKeepAliveSeconds = 5;
constexpr std::size_t kMaxWorkers = 16;

int run_worker(void* worker) {
    static_cast<Worker*>(worker)->run();
    return 0;
}

// Runs f on a worker's core before the worker does, so that the memory it takes is of that core's NUMA node: rings, the
// path with its notes and its crypto state.
template <class F>
Result<void> on_core_of(WorkerId worker, F f) {
    struct Call {
        F* f;
        Result<void> result;
    } call{&f, {}};
    const auto run = [](void* argument) {
        auto& c = *static_cast<Call*>(argument);
        c.result = (*c.f)();
        return 0;
    };
    const int failed = rte_eal_remote_launch(run, &call, worker_lcore(worker));
    if (failed != 0) {
        return fail(ErrorCode::io,
                    "worker " + std::to_string(worker.value) + " has no core: " + std::strerror(-failed));
    }
    rte_eal_wait_lcore(worker_lcore(worker));
    return call.result;
}

}  // namespace

// In the order in which they are made; they go in the opposite one.
struct Dataplane::State {
    ~State();
    Result<void> open_ports();
    Result<void> make_workers();
    Result<void> make_rings(WorkerId id);
    Result<void> make_worker(WorkerId id, std::span<WorkerRings* const> rings, crypto::Random& random);
    void make_steering();
    Result<void> launch();
    void watch_workers(std::uint64_t now);

    DataplaneConfig config;
    bool eal = false;
    int event_fd = -1;
    PacketPool pool;
    PacketPool large;
    std::vector<Port> ports;
    std::vector<HostTap> hosts;
    std::unique_ptr<Tables> tables;
    std::unique_ptr<Steering> steering;  // where a port has several queues
    std::vector<std::unique_ptr<WorkerRings>> rings;
    std::vector<WorkerRings*> ring_pointers;
    std::vector<std::unique_ptr<Worker>> workers;
    std::vector<WorkerWatch> watch;
    unsigned launched = 0;
    std::unique_ptr<WorkersBackend> backend;
    AlgorithmSet usable;           // those that passed their self-test
    std::uint64_t kept_alive = 0;  // cycles
};

Dataplane::State::~State() {
    for (unsigned w = 0; w < launched; ++w) workers[w]->stop();
    for (std::uint16_t w = 0; w < launched; ++w) rte_eal_wait_lcore(worker_lcore(WorkerId{w}));
    backend.reset();
    workers.clear();
    for (auto& r : rings) {
        rte_mbuf* m = nullptr;
        while (r->handover.take(m)) rte_pktmbuf_free(m);
    }
    rings.clear();
    steering.reset();
    tables.reset();
    hosts.clear();
    ports.clear();
    large.reset();
    pool.reset();
    if (event_fd >= 0) close(event_fd);
    if (eal) stop_eal();
}

Result<void> Dataplane::State::open_ports() {
    auto made = make_packet_pool(packet_pool_shape(config, kPrivateBytes), kPrivateBytes);
    if (!made) return made.error();
    pool = std::move(*made);
    auto large_made = make_large_pool(kPrivateBytes);
    if (!large_made) return large_made.error();
    large = std::move(*large_made);
    std::vector<PortInfo> infos;
    for (std::uint16_t p = 0; p < config.ports.size(); ++p) {
        PortConfig wanted = config.ports[p];
        wanted.queues = static_cast<std::uint16_t>(std::clamp<std::size_t>(wanted.queues, 1, config.workers.size()));
        auto port = Port::open(PortId{p}, wanted, *pool);
        if (!port) return port.error();
        ports.push_back(std::move(*port));
        const std::string& name = wanted.host_interface.empty() ? wanted.name : wanted.host_interface;
        auto host = HostTap::open({.name = name, .mac = ports.back().mac(), .mtu = ports.back().mtu()});
        if (!host) return host.error();
        hosts.push_back(std::move(*host));
        infos.push_back({.mac = ports.back().mac(),
                         .mtu = ports.back().mtu(),
                         .queues = ports.back().queues(),
                         .unfinished_checksums = ports.back().driver() != PortDriver::pci});
    }
    tables = std::make_unique<Tables>(config, std::move(infos), static_cast<unsigned>(config.workers.size()));
    return {};
}

Result<void> Dataplane::State::make_workers() {
    for (std::uint16_t w = 0; w < config.workers.size(); ++w) {
        const WorkerId id{w};
        if (const auto made = on_core_of(id, [&] { return make_rings(id); }); !made) return made.error();
    }
    crypto::SystemRandom random;
    workers.reserve(config.workers.size());
    for (std::uint16_t w = 0; w < config.workers.size(); ++w) {
        const WorkerId id{w};
        const auto made = on_core_of(id, [&] { return make_worker(id, ring_pointers, random); });
        if (!made) return made.error();
    }
    watch.resize(workers.size(), WorkerWatch(rte_get_tsc_hz()));
    return {};
}

Result<void> Dataplane::State::make_rings(WorkerId id) {
    auto made = WorkerRings::make(id);
    if (!made) return made.error();
    rings.push_back(std::move(*made));
    ring_pointers.push_back(rings.back().get());
    return {};
}

Result<void> Dataplane::State::make_worker(WorkerId id, std::span<WorkerRings* const> all, crypto::Random& random) {
    auto path = Path::make(
        {.worker = id, .tables = *tables, .pool = *pool, .rings = all, .random = random, .large = large.get()});
    if (!path) return path.error();
    IdleSources sources;
    std::vector<WorkerPort> served;
    for (std::uint16_t p = 0; p < ports.size(); ++p) {
        WorkerPort port{.id = PortId{p}, .ethdev = ports[p].ethdev(), .queue = tables->queue_of(PortId{p}, id)};
        if (port.queue >= 0) {
            const auto& fds = ports[p].receive_fds(static_cast<std::uint16_t>(port.queue));
            sources.fds.insert(sources.fds.end(), fds.begin(), fds.end());
            sources.blind = sources.blind || fds.empty();
        }
        if (tables->worker_of(PortId{p}, 0) == id) {
            port.host = &hosts[p];
            sources.fds.push_back(hosts[p].fd());
        }
        served.push_back(port);
    }
    auto idle = IdleWait::make(config.workers[id.value].idle, sources);
    if (!idle) return idle.error();
    workers.push_back(std::make_unique<Worker>(Worker::Parts{.tables = *tables,
                                                             .pool = *pool,
                                                             .path = std::move(*path),
                                                             .idle = std::move(*idle),
                                                             .rings = *rings[id.value],
                                                             .ports = std::move(served),
                                                             .peers = &workers,
                                                             .event_fd = event_fd}));
    return {};
}

void Dataplane::State::make_steering() {
    std::vector<Steering::PortQueues> choices;
    for (const Port& p : ports) {
        if (p.queues() == 1) continue;
        choices.push_back({.name = p.name(),
                           .ethdev = p.ethdev(),
                           .queue_of = [t = tables.get(), id = p.id()](WorkerId w) { return t->queue_of(id, w); }});
    }
    if (!choices.empty()) steering = std::make_unique<Steering>(std::move(choices));
}

Result<void> Dataplane::State::launch() {
    auto expander = KeyExpander::make();
    if (!expander) return expander.error();
    const auto passed = run_self_test(*expander);
    if (!passed) return passed.error();
    usable = *passed;
    expander->restrict_to(usable);
    for (const Algorithm& a : dataplane::algorithms()) {
        if (!usable[a.row]) log_error("net", name_of(a) + " fails its self-test and is not used");
    }
    backend =
        std::make_unique<WorkersBackend>(WorkersBackend::Parts{.tables = *tables,
                                                               .expander = std::move(*expander),
                                                               .rings = ring_pointers,
                                                               .wake = [this](WorkerId w) { workers[w.value]->wake(); },
                                                               .event_fd = event_fd,
                                                               .steering = steering.get()});
    for (std::uint16_t w = 0; w < workers.size(); ++w, ++launched) {
        const int failed = rte_eal_remote_launch(run_worker, workers[w].get(), worker_lcore(WorkerId{w}));
        if (failed != 0) {
            return fail(ErrorCode::io, "worker " + std::to_string(w) + " does not start: " + std::strerror(-failed));
        }
    }
    return {};
}

// Told once when a worker stands still, and once when it turns again. What it holds of SAs that it shares is given up
// meanwhile.
void Dataplane::State::watch_workers(std::uint64_t now) {
    for (std::uint16_t w = 0; w < workers.size(); ++w) {
        const Worker& worker = *workers[w];
        const WorkerWatch::Sight sight{
            .loops = worker.path().counters().loops.get(), .asleep = worker.asleep(), .now = now};
        switch (watch[w].look(sight)) {
            case WorkerWatch::News::stuck:
                tables->lost.declare(WorkerId{w});
                log_error("net", "worker " + std::to_string(w) + " has not turned for a second");
                break;
            case WorkerWatch::News::recovered:
                log_warning("net", "worker " + std::to_string(w) + " turns again");
                break;
            case WorkerWatch::News::none:
                break;
        }
        if (!watch[w].stuck()) tables->lost.readmit(WorkerId{w});
    }
}

Dataplane::Dataplane(std::unique_ptr<State> state) : state_(std::move(state)) {}
Dataplane::~Dataplane() = default;

Result<std::unique_ptr<Dataplane>> Dataplane::start(const DataplaneConfig& config) {
    if (config.workers.empty() || config.workers.size() > kMaxWorkers) {
        return fail(ErrorCode::invalid, "1 to " + std::to_string(kMaxWorkers) + " workers are possible");
    }
    auto state = std::make_unique<State>();
    state->config = config;
    if (const auto started = start_eal(config); !started) return started.error();
    state->eal = true;
    state->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (state->event_fd < 0) return fail(ErrorCode::io, std::string("eventfd: ") + std::strerror(errno));
    if (const auto opened = state->open_ports(); !opened) return opened.error();
    if (const auto made = state->make_workers(); !made) return made.error();
    state->make_steering();
    if (const auto launched = state->launch(); !launched) return launched.error();
    log_info("net", std::to_string(config.workers.size()) + " worker(s), " + std::to_string(config.ports.size()) +
                        " port(s), IPsec-MB " + state->workers[0]->path().crypto().code_path());
    return std::unique_ptr<Dataplane>(new Dataplane(std::move(state)));
}

ipsec::IpsecBackend& Dataplane::ipsec() { return *state_->backend; }

void Dataplane::set_host_view(const HostView& view) {
    for (const Neighbour& n : state_->tables->set_host_view(view)) state_->backend->release_neighbour(n);
}

void Dataplane::set_neighbour(const Neighbour& n) {
    if (state_->tables->neighbours.set(n)) state_->backend->release_neighbour(n);
}

void Dataplane::remove_neighbour(const net::IpAddress& address, PortId port) {
    state_->tables->neighbours.remove(address, port);
}

int Dataplane::event_fd() const { return state_->event_fd; }
std::vector<NeighbourWanted> Dataplane::poll_neighbours() { return state_->backend->poll_neighbours(); }

void Dataplane::maintain() {
    State& s = *state_;
    s.tables->reclaimer.collect();
    s.backend->retry_commands();
    const std::uint64_t now = rte_rdtsc();
    s.watch_workers(now);
    s.backend->age_path_mtus(now);
    if (now - s.kept_alive < kKeepAliveSeconds * rte_get_tsc_hz()) return;
    s.kept_alive = now;
    s.backend->add_neighbours(s.tables->neighbours.take_used());
}

std::vector<EspAlgorithm> Dataplane::algorithms() const {
    std::vector<EspAlgorithm> all;
    for (const Algorithm& a : dataplane::algorithms()) {
        all.push_back({.encr = a.encr,
                       .key_bits = a.key_bits,
                       .integ = a.integ,
                       .name = name_of(a),
                       .usable = state_->usable[a.row]});
    }
    return all;
}

std::string Dataplane::host_interface(PortId port) const { return state_->hosts.at(port.value).name(); }

std::vector<Counter> Dataplane::counters() const {
    const State& s = *state_;
    std::vector<Counter> out;
    for (std::size_t w = 0; w < s.workers.size(); ++w) {
        const WorkerSample sample{.id = WorkerId{static_cast<std::uint16_t>(w)},
                                  .counters = s.workers[w]->path().counters(),
                                  .rings = *s.rings[w],
                                  .sleeps = s.workers[w]->sleeps(),
                                  .wakeups = s.workers[w]->wakeups(),
                                  .asleep = s.workers[w]->asleep(),
                                  .stuck = s.watch[w].stuck()};
        append_worker(out, sample);
        append_classes(out, sample, s.config.classes);
    }
    append_gauge(out, "path_mtus", static_cast<double>(s.backend->path_mtus()),
                 "SAs whose path is narrower than their port, says ICMP");
    append_tables(out, *s.tables);
    if (s.steering) {
        append_gauge(out, "steering_rules", static_cast<double>(s.steering->rules()),
                     "SPIs that NICs bring to their owner");
        out.push_back({.name = "steering_rules_refused",
                       .labels = {},
                       .value = static_cast<double>(s.steering->refused()),
                       .gauge = false,
                       .help = "SPIs that a NIC had no room for: workers hand their packets over"});
    }
    append_gauge(out, "packet_buffers_free", rte_mempool_avail_count(s.pool.get()), "packet buffers in the pool");
    append_gauge(out, "esp_algorithms_unusable", static_cast<double>((~s.usable).count()),
                 "ESP algorithms that failed their self-test at start");
    append_gauge(out, "packet_buffers", s.pool->size, "packet buffers that there are");
    return out;
}

}  // namespace sluice::dataplane
