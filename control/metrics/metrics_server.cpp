// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/metrics_server.hpp"

#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <exception>
#include <mutex>
#include <string>

#include "control/metrics/families.hpp"

namespace sluice::control {
namespace {

using Families = std::vector<prometheus::MetricFamily>;

// The meeting point of control and the HTTP threads. The lock guards the pointer alone and is held for its copy.
class Snapshot : public prometheus::Collectable {
  public:
    void publish(Families families) {
        auto next = std::make_shared<const Families>(std::move(families));
        const std::lock_guard lock(mutex_);
        current_.swap(next);
    }
    // Called by an HTTP thread for each scrape.
    Families Collect() const override {
        std::shared_ptr<const Families> current;
        {
            const std::lock_guard lock(mutex_);
            current = current_;
        }
        return *current;
    }

  private:
    mutable std::mutex mutex_;
    std::shared_ptr<const Families> current_ = std::make_shared<const Families>();
};

std::string bind_text(const net::Endpoint& listen) {
    const std::string address = listen.address.to_string();
    return (listen.address.is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(listen.port);
}

}  // namespace

struct MetricsServer::State {
    std::shared_ptr<Snapshot> snapshot = std::make_shared<Snapshot>();
    std::unique_ptr<prometheus::Exposer> exposer;
};

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(const net::Endpoint& listen) {
    auto state = std::make_unique<State>();
    try {
        state->exposer = std::make_unique<prometheus::Exposer>(bind_text(listen), 1);
    } catch (const std::exception&) {
        return fail(ErrorCode::io, "metrics: cannot listen on " + bind_text(listen) + "; is it in use?");
    }
    state->exposer->RegisterCollectable(state->snapshot);
    return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
}

MetricsServer::MetricsServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
MetricsServer::~MetricsServer() = default;

void MetricsServer::publish(const MetricsInput& input) { state_->snapshot->publish(make_families(input)); }

std::uint16_t MetricsServer::port() const {
    const auto ports = state_->exposer->GetListeningPorts();
    return ports.empty() ? std::uint16_t{0} : static_cast<std::uint16_t>(ports.front());
}

}  // namespace sluice::control
