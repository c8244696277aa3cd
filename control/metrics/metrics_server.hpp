// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "control/vici/commands.hpp"
#include "dataplane/dataplane.hpp"
#include "ike/engine.hpp"
#include "lib/base/result.hpp"
#include "lib/base/time.hpp"

namespace sluice::control {

// What /metrics shows, taken by the control thread at one moment.
struct MetricsInput {
    std::vector<dataplane::Counter> dataplane;  // workers, rings, drop reasons
    ike::EngineCounters engine;
    vici::SaListing sas;
    Duration uptime{};
    Duration longest_callback{};  // of the event loop, since the metrics were published before
};

// Serves /metrics over HTTP with threads of its own. They see nothing but the last published snapshot, which never
// changes: control hands over a pointer and nobody waits for anybody's work. publish() is the control thread's, at
// least every second; until its first call /metrics has nothing of Sluice's.
class MetricsServer {
  public:
    // Port 0 takes a free one. io where the address cannot be bound.
    static Result<std::unique_ptr<MetricsServer>> start(const net::Endpoint& listen);
    ~MetricsServer();
    MetricsServer(const MetricsServer&) = delete;
    MetricsServer& operator=(const MetricsServer&) = delete;

    void publish(const MetricsInput& input);
    std::uint16_t port() const;

  private:
    struct State;
    explicit MetricsServer(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::control
