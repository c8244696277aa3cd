// SPDX-License-Identifier: Apache-2.0

// What the daemon does for its VICI clients.

#include <algorithm>

#include "control/daemon/daemon_state.hpp"

namespace sluice::control {
namespace {

void add_counters(const ipsec::IpsecBackend& backend, ChildSaId id, vici::SaListing& listing) {
    if (auto counters = backend.query(id)) listing.counters.emplace(id, *counters);
}

unsigned sleeping_workers(const std::vector<dataplane::Counter>& counters) {
    const auto asleep = [](const dataplane::Counter& c) { return c.name == "worker_asleep" && c.value != 0; };
    return static_cast<unsigned>(std::count_if(counters.begin(), counters.end(), asleep));
}

}  // namespace

vici::SaListing Daemon::State::list_sas() {
    vici::SaListing listing;
    listing.now = reactor->now();
    listing.ikes = ike->list();
    const auto& backend = dataplane->ipsec();
    for (const auto& view : listing.ikes) {
        for (const auto& child : view.children) add_counters(backend, child.sa.id, listing);
    }
    for (const auto& sa : configuration.static_sas) {
        listing.statics.push_back({.sa = sa, .state = "INSTALLED", .installed = started});
        add_counters(backend, sa.id, listing);
    }
    return listing;
}

vici::Stats Daemon::State::stats() {
    vici::Stats stats;
    stats.uptime = reactor->now() - started;
    stats.since = since;
    stats.workers = static_cast<unsigned>(configuration.dataplane.workers.size());
    stats.workers_idle = sleeping_workers(dataplane->counters());
    for (const auto& view : ike->list()) {
        ++stats.ike_sas;
        if (view.state == "CONNECTING") ++stats.ike_sas_half_open;
    }
    return stats;
}

void Daemon::State::initiate(const ike::Engine::InitiateRequest& request, Duration timeout, vici::Completion done) {
    ike->initiate(request, timeout, std::move(done));
}

void Daemon::State::terminate(const ike::Engine::TerminateRequest& request, Duration timeout, vici::Completion done) {
    ike->terminate(request, timeout, std::move(done));
}

Result<std::size_t> Daemon::State::rekey(const ike::Engine::RekeyRequest& request) { return ike->rekey(request); }

}  // namespace sluice::control
