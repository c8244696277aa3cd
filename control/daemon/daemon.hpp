// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "control/config/config.hpp"
#include "lib/base/result.hpp"

namespace sluice::control {

// The whole gateway in one process: ports and workers, host interfaces, IKE, VICI and metrics, on one control thread.
class Daemon {
  public:
    struct Options {
        std::string key_log;  // a path, refused unless the configuration allows it; empty: none
    };

    // Brings everything up in an order that fails closed: ports are guarded before the workers see them, policies stand
    // before the first packet is forwarded. An error leaves nothing behind.
    static Result<std::unique_ptr<Daemon>> start(Config config, const Options& options);
    // Stops the workers, removes host interfaces and guards.
    ~Daemon();
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    // Serves until SIGTERM or SIGINT, then says goodbye to the peers.
    void run();

  private:
    struct State;
    explicit Daemon(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace sluice::control
