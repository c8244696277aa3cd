// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "control/config/config.hpp"
#include "ike/engine.hpp"
#include "lib/ipsec/backend.hpp"

namespace sluice::control::vici {

// What stands behind list-sas, taken at one moment.
struct SaListing {
    Instant now;  // of the same clock as the views' times
    std::vector<ike::IkeView> ikes;
    std::vector<ike::ChildView> statics;  // SAs with manual keys
    std::map<ChildSaId, ipsec::ChildSaCounters> counters;
};

// What stands behind stats. Workers are dataplane workers; a sleeping one is idle.
struct Stats {
    Duration uptime{};
    std::chrono::system_clock::time_point since;
    unsigned workers = 0;
    unsigned workers_idle = 0;
    std::uint64_t timers = 0;  // timers scheduled, VICI's "scheduled"
    unsigned ike_sas = 0;
    unsigned ike_sas_half_open = 0;
};

// How a command that takes time ended; the error's text is a sentence for a person. Called once, on the control thread;
// whoever asked may have gone by then, which the callee sees to.
using Completion = std::function<void(Result<void>)>;

// What the daemon does for its VICI clients. Called on the control thread; no call may block (TRAPS 56).
class Commands {
  public:
    virtual ~Commands() = default;

    virtual Stats stats() = 0;
    virtual SaListing list_sas() = 0;
    virtual const Config& config() = 0;

    // Start what was asked and return; done is called when it has ended, possibly before the return. A timeout of 0
    // waits for good; with another, done gets an error when it has passed and what was started goes on. What the engine
    // tells meanwhile reaches the client through Server::tell().
    virtual void initiate(const ike::Engine::InitiateRequest& request, Duration timeout, Completion done) = 0;
    // Begins to replace what matches and returns how many that are; the engine tells what becomes of it.
    virtual Result<std::size_t> rekey(const ike::Engine::RekeyRequest& request) = 0;
    virtual void terminate(const ike::Engine::TerminateRequest& request, Duration timeout, Completion done) = 0;
};

}  // namespace sluice::control::vici
