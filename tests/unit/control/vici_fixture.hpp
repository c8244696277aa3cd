// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "control/vici/commands.hpp"

namespace sluice::control::vici {

// A daemon with canned views, whose initiate and terminate wait for the test to end them.
class CannedCommands : public Commands {
  public:
    CannedCommands();

    Stats stats() override { return stats_; }
    SaListing list_sas() override { return listing_; }
    const Config& config() override { return config_; }
    void initiate(const ike::Engine::InitiateRequest& request, Duration timeout, Completion done) override {
        initiated_ = request;
        timeout_ = timeout;
        done_ = std::move(done);
        if (on_command_) on_command_();
    }
    Result<std::size_t> rekey(const ike::Engine::RekeyRequest& request) override {
        rekeyed_ = request;
        if (matches_ == 0) return fail(ErrorCode::not_found, "nothing matches");
        return matches_;
    }
    void terminate(const ike::Engine::TerminateRequest& request, Duration timeout, Completion done) override {
        terminated_ = request;
        timeout_ = timeout;
        done_ = std::move(done);
        if (on_command_) on_command_();
    }

    Stats stats_;
    SaListing listing_;
    Config config_;
    std::optional<ike::Engine::InitiateRequest> initiated_;
    std::optional<ike::Engine::TerminateRequest> terminated_;
    std::optional<ike::Engine::RekeyRequest> rekeyed_;
    std::size_t matches_ = 1;
    Duration timeout_{};
    Completion done_;
    std::function<void()> on_command_;
};

}  // namespace sluice::control::vici
