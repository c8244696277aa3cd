// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "control/daemon/reactor.hpp"
#include "control/vici/server.hpp"
#include "tests/unit/control/temporary_directory.hpp"
#include "tests/unit/control/vici_fixture.hpp"

namespace sluice::control::vici {

// A directory that goes away with everything in it that a socket test makes.
class TestDirectory {
  public:
    std::string socket() const { return directory_.path() + "/vici"; }
    std::string uri() const { return "unix://" + socket(); }

  private:
    test::TemporaryDirectory directory_;
};

// A server with canned views on a thread of its own. Every initiate and terminate tells one notice and then ends as
// outcome_ says, unless hold_ is set before run().
class LiveServer {
  public:
    explicit LiveServer(const std::string& uri) : reactor_(std::move(*Reactor::create())) {
        commands_.on_command_ = [this] {
            if (hold_) return;
            ike::Notice notice;
            notice.ike_name = "carol";
            notice.text = "initiating carol";
            server_->tell(notice);
            commands_.done_(outcome_);
        };
        auto server = Server::listen(uri, *reactor_, commands_);
        if (server) server_ = std::move(*server);
        if (server_) thread_ = std::thread([this] { reactor_->run(); });
    }
    ~LiveServer() {
        reactor_->stop();
        if (thread_.joinable()) thread_.join();
    }
    LiveServer(const LiveServer&) = delete;
    LiveServer& operator=(const LiveServer&) = delete;
    bool listening() const { return server_ != nullptr; }

    CannedCommands commands_;
    Result<void> outcome_;
    bool hold_ = false;

  private:
    std::unique_ptr<Reactor> reactor_;
    std::unique_ptr<Server> server_;
    std::thread thread_;
};

}  // namespace sluice::control::vici
