// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "control/daemon/daemon.hpp"
#include "control/daemon/ike_driver.hpp"
#include "control/daemon/key_log.hpp"
#include "control/daemon/reactor.hpp"
#include "control/host/host_mirror.hpp"
#include "control/host/port_guard.hpp"
#include "control/metrics/metrics_server.hpp"
#include "control/vici/commands.hpp"
#include "control/vici/server.hpp"
#include "dataplane/dataplane.hpp"
#include "lib/crypto/random.hpp"

namespace sluice::control {

// The parts of a running daemon, declared in the order in which they come up; they go in the opposite one. Reactor's
// thread only.
struct Daemon::State final : vici::Commands {
    explicit State(Config checked) : configuration(std::move(checked)) {}
    ~State() override;

    // Start, in this order; each names what failed.
    Result<void> open_reactor();
    Result<void> take_incarnation();
    Result<void> open_key_log(const std::string& path);
    Result<void> start_dataplane();
    Result<void> install_policies();
    Result<void> start_mirror();
    Result<void> start_ike();
    Result<void> open_vici();
    Result<void> open_metrics();

    // What recurs.
    void on_signal();
    void on_dataplane_event();
    void on_every_100_ms();
    void on_every_second();

    // vici::Commands
    vici::Stats stats() override;
    vici::SaListing list_sas() override;
    const Config& config() override { return configuration; }
    void initiate(const ike::Engine::InitiateRequest& request, Duration timeout, vici::Completion done) override;
    Result<std::size_t> rekey(const ike::Engine::RekeyRequest& request) override;
    void terminate(const ike::Engine::TerminateRequest& request, Duration timeout, vici::Completion done) override;

    Config configuration;
    std::unique_ptr<Reactor> reactor;
    crypto::SystemRandom random;
    std::unique_ptr<KeyLog> key_log;
    std::string guarded_prefix;  // whose guards stand; empty: none
    std::unique_ptr<dataplane::Dataplane> dataplane;
    std::unique_ptr<HostMirror> mirror;
    std::unique_ptr<IkeDriver> ike;
    std::unique_ptr<vici::Server> vici;
    std::unique_ptr<MetricsServer> metrics;
    int signal_fd = -1;
    bool leaving = false;
    Instant started;
    std::chrono::system_clock::time_point since;
};

}  // namespace sluice::control
