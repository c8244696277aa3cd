// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <rte_lcore.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "dataplane/worker.hpp"
#include "tests/unit/dataplane/gateway.hpp"

namespace sluice::test {

// Worker 0 of a gateway, without queues or host interfaces, on a thread of its own.
class LiveWorker {
  public:
    explicit LiveWorker(Gateway& gw, dataplane::Idle idle_mode = dataplane::Idle::adaptive)
        : fd_(eventfd(0, EFD_NONBLOCK)) {
        auto rings = dataplane::WorkerRings::make(WorkerId{0});
        REQUIRE(rings);
        rings_ = std::move(*rings);
        crypto::SystemRandom random;
        dataplane::WorkerRings* const pointers[] = {rings_.get()};
        auto path = dataplane::Path::make(
            {.worker = WorkerId{0}, .tables = gw.tables(), .pool = gw.pool(), .rings = pointers, .random = random});
        REQUIRE(path);
        auto idle = dataplane::IdleWait::make(idle_mode, {});
        REQUIRE(idle);
        all_.push_back(
            std::make_unique<dataplane::Worker>(dataplane::Worker::Parts{.tables = gw.tables(),
                                                                         .pool = gw.pool(),
                                                                         .path = std::move(*path),
                                                                         .idle = std::move(*idle),
                                                                         .rings = *rings_,
                                                                         .ports = {{.id = kLan}, {.id = kWan}},
                                                                         .peers = &all_,
                                                                         .event_fd = fd_}));
        thread_ = std::thread([this] {
            rte_thread_register();
            worker().run();
            rte_thread_unregister();
        });
    }
    ~LiveWorker() {
        worker().stop();
        thread_.join();
        close(fd_);
    }
    LiveWorker(const LiveWorker&) = delete;
    LiveWorker& operator=(const LiveWorker&) = delete;

    dataplane::Worker& worker() { return *all_[0]; }
    dataplane::WorkerRings& rings() { return *rings_; }
    std::thread& thread() { return thread_; }
    std::uint64_t loops() { return worker().path().counters().loops.get(); }

  private:
    int fd_;
    std::unique_ptr<dataplane::WorkerRings> rings_;
    std::vector<std::unique_ptr<dataplane::Worker>> all_;
    std::thread thread_;
};

}  // namespace sluice::test
