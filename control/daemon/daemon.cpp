// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/daemon.hpp"

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "control/daemon/daemon_state.hpp"
#include "control/daemon/incarnation.hpp"
#include "control/host/link_setup.hpp"
#include "control/vici/socket.hpp"
#include "lib/base/log.hpp"

namespace sluice::control {
namespace {

using namespace std::chrono_literals;

constexpr Duration kGoodbye = 200ms;  // how long the workers stay up for the last IKE messages

// Keys are in this process: no core file, no tracing by others (TRAPS 51).
void keep_memory_private() {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// SIGTERM and SIGINT come as a descriptor; called before any other thread exists, so that all inherit the mask.
Result<int> open_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    const int fd = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) return fail(ErrorCode::io, std::string("signalfd: ") + std::strerror(errno));
    return fd;
}

// Runs f every interval for as long as the reactor runs.
void repeat(Reactor& reactor, Duration interval, std::function<void()> f) {
    reactor.post_after(interval, [&reactor, interval, f = std::move(f)] {
        f();
        repeat(reactor, interval, f);
    });
}

bool owns_an_interface(const dataplane::PortConfig& port) {
    return port.driver == dataplane::PortDriver::af_xdp || port.driver == dataplane::PortDriver::af_packet;
}

}  // namespace

Result<void> Daemon::State::open_reactor() {
    auto signals = open_signals();
    if (!signals) return signals.error();
    signal_fd = *signals;
    auto made = Reactor::create();
    if (!made) return made.error();
    reactor = std::move(*made);
    started = reactor->now();
    since = std::chrono::system_clock::now();
    reactor->watch(signal_fd, EPOLLIN, [this](Reactor::Events) { on_signal(); });
    return {};
}

Result<void> Daemon::State::take_incarnation() {
    const auto incarnation = next_incarnation(configuration.daemon.state_dir);
    if (!incarnation) return incarnation.error();
    configuration.dataplane.incarnation = *incarnation;
    configuration.ike.incarnation = *incarnation;
    for (auto& sa : configuration.static_sas) sa.iv_incarnation = *incarnation;
    return {};
}

Result<void> Daemon::State::open_key_log(const std::string& path) {
    if (path.empty()) return {};
    if (auto allowed = allow_key_log(configuration); !allowed) return allowed;
    auto opened = KeyLog::open(path);
    if (!opened) return opened.error();
    key_log = std::move(*opened);
    configuration.ike.key_log = true;
    log_warning("app", "all keys are written to " + path + "; whoever reads it reads the traffic");
    return {};
}

Result<void> Daemon::State::start_dataplane() {
    // Guards first: from here on the kernel handles nothing that arrives at these ports (TRAPS 60).
    std::vector<std::string> devices;
    for (const auto& port : configuration.dataplane.ports) {
        if (owns_an_interface(port)) devices.push_back(port.device);
    }
    const std::string& prefix = configuration.dataplane.file_prefix;
    if (auto guarded = install_guards(prefix, devices); !guarded) return guarded.error();
    guarded_prefix = prefix;
    for (const auto& device : devices) {
        if (auto prepared = prepare_link(device); !prepared) return prepared.error();
    }
    auto made = dataplane::Dataplane::start(configuration.dataplane);
    if (!made) return made.error();
    dataplane = std::move(*made);
    return {};
}

Result<void> Daemon::State::install_policies() {
    // Before the workers know any route: nothing is forwarded by a rule that is not there yet (TRAPS 54).
    auto& backend = dataplane->ipsec();
    if (auto set = backend.set_policies(configuration.spd); !set) return set.error();
    for (const auto& sa : configuration.static_sas) {
        if (auto installed = backend.install(sa); !installed) {
            return fail(installed.error().code, "static." + sa.name + ": " + installed.error().text);
        }
        if (key_log) key_log->write(sa);
    }
    reactor->watch(dataplane->event_fd(), EPOLLIN, [this](Reactor::Events) { on_dataplane_event(); });
    return {};
}

Result<void> Daemon::State::start_mirror() {
    std::vector<HostInterface> interfaces;
    for (std::size_t i = 0; i < configuration.dataplane.ports.size(); ++i) {
        const PortId port(static_cast<std::uint16_t>(i));
        interfaces.push_back({port, dataplane->host_interface(port)});
    }
    auto* plane = dataplane.get();
    auto made = HostMirror::open(
        interfaces, {.view = [plane](const auto& view) { plane->set_host_view(view); },
                     .neighbour_set = [plane](const auto& n) { plane->set_neighbour(n); },
                     .neighbour_removed = [plane](const net::IpAddress& address,
                                                  PortId port) { plane->remove_neighbour(address, port); }});
    if (!made) return made.error();
    mirror = std::move(*made);
    reactor->watch(mirror->fd(), EPOLLIN, [this](Reactor::Events) { mirror->on_readable(reactor->now()); });
    return mirror->apply(configuration.addresses, configuration.routes);
}

Result<void> Daemon::State::start_ike() {
    const IkeSockets::Ports ports{configuration.dataplane.ike_port, configuration.dataplane.nat_port};
    auto made = IkeDriver::create(configuration.ike, ports, {*reactor, dataplane->ipsec(), random, key_log.get()});
    if (!made) return made.error();
    ike = std::move(*made);
    ike->set_notice_sink([this](const ike::Notice& notice) {
        if (vici) vici->tell(notice);
    });
    ike->configure(configuration.connections, configuration.secrets);
    ike->set_credentials(configuration.credentials);
    return {};
}

Result<void> Daemon::State::open_vici() {
    const auto uri = vici::Uri::parse(configuration.daemon.vici_socket);
    if (!uri) return uri.error();
    if (uri->scheme == vici::Uri::Scheme::unix_socket) {
        std::error_code error;  // listen() tells about a directory that is not there
        std::filesystem::create_directories(std::filesystem::path(uri->path).parent_path(), error);
    }
    auto made = vici::Server::listen(configuration.daemon.vici_socket, *reactor, *this);
    if (!made) return made.error();
    vici = std::move(*made);
    return {};
}

Result<void> Daemon::State::open_metrics() {
    if (!configuration.metrics_listen) return {};
    auto made = MetricsServer::start(*configuration.metrics_listen);
    if (!made) return made.error();
    metrics = std::move(*made);
    return {};
}

void Daemon::State::on_signal() {
    signalfd_siginfo info{};
    if (::read(signal_fd, &info, sizeof info) != sizeof info) return;
    if (leaving) return reactor->stop();  // the second one does not wait
    leaving = true;
    log_info("app", std::string("leaving on ") + strsignal(static_cast<int>(info.ssi_signo)));
    if (ike) ike->say_goodbye();
    reactor->post_after(kGoodbye, [this] { reactor->stop(); });
}

void Daemon::State::on_dataplane_event() {
    ike->take_backend_events();
    for (const auto& wanted : dataplane->poll_neighbours()) mirror->request(wanted, reactor->now());
}

void Daemon::State::on_every_100_ms() {
    dataplane->maintain();
    mirror->maintain(reactor->now());
}

void Daemon::State::on_every_second() {
    ike->report_liveness();
    if (!metrics) return;
    metrics->publish({.dataplane = dataplane->counters(),
                      .engine = ike->counters(),
                      .sas = list_sas(),
                      .uptime = reactor->now() - started,
                      .longest_callback = reactor->take_longest_callback()});
}

Daemon::State::~State() {
    // The workers stop before the kernel gets the ports back.
    metrics.reset();
    vici.reset();
    ike.reset();
    mirror.reset();
    dataplane.reset();
    if (!guarded_prefix.empty()) {
        const auto removed = remove_guards(guarded_prefix);
        if (!removed) log_warning("app", "a guard stays: " + removed.error().text);
    }
    if (signal_fd >= 0) ::close(signal_fd);
}

Daemon::Daemon(std::unique_ptr<State> state) : state_(std::move(state)) {}
Daemon::~Daemon() = default;

Result<std::unique_ptr<Daemon>> Daemon::start(Config config, const Options& options) {
    keep_memory_private();
    auto state = std::make_unique<State>(std::move(config));
    State& s = *state;
    for (const auto& step : std::initializer_list<std::function<Result<void>()>>{
             [&] { return s.open_reactor(); },
             // A second daemon stops here, before it touches anything of the first.
             [&] { return s.open_vici(); },
             [&] { return s.take_incarnation(); },
             [&] { return s.open_key_log(options.key_log); },
             [&] { return s.start_dataplane(); },
             [&] { return s.install_policies(); },
             [&] { return s.start_mirror(); },
             [&] { return s.start_ike(); },
             [&] { return s.open_metrics(); },
         }) {
        if (auto done = step(); !done) return done.error();
    }
    s.ike->start_children();
    repeat(*s.reactor, 100ms, [&s] { s.on_every_100_ms(); });
    repeat(*s.reactor, 1s, [&s] { s.on_every_second(); });
    s.on_every_second();
    log_info("app", std::string("sluiced ") + SLUICE_VERSION + " is ready, incarnation " +
                        std::to_string(s.configuration.dataplane.incarnation.value));
    return std::unique_ptr<Daemon>(new Daemon(std::move(state)));
}

void Daemon::run() { state_->reactor->run(); }

}  // namespace sluice::control
