// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/ike_driver.hpp"

#include <algorithm>

#include "lib/base/log.hpp"

namespace sluice::control {
namespace {

constexpr unsigned kDhThreads = 2;
constexpr unsigned kAuthThreads = 2;

LogLevel level_of(ike::NoticeKind kind) {
    switch (kind) {
        case ike::NoticeKind::ike_up:
        case ike::NoticeKind::ike_down:
        case ike::NoticeKind::child_up:
        case ike::NoticeKind::child_down:
            return LogLevel::info;
        default:
            return LogLevel::warning;
    }
}

}  // namespace

IkeDriver::IkeDriver(const ike::EngineConfig& config, const Parts& parts)
    : parts_(parts), engine_(config, parts.random) {}

Result<std::unique_ptr<IkeDriver>> IkeDriver::create(const ike::EngineConfig& config, const IkeSockets::Ports& ports,
                                                     const Parts& parts) {
    std::unique_ptr<IkeDriver> driver(new IkeDriver(config, parts));
    IkeDriver* self = driver.get();
    auto sockets = IkeSockets::open(parts.reactor, ports, [self](const ike::Datagram& datagram) {
        self->carry_out(self->engine_.receive(datagram, self->parts_.reactor.now()));
    });
    if (!sockets) return sockets.error();
    driver->sockets_ = std::move(*sockets);
    auto dh = DhPool::create(parts.reactor, kDhThreads, [self](ike::DhOutcome outcome) {
        self->carry_out(self->engine_.dh_done(std::move(outcome), self->parts_.reactor.now()));
    });
    if (!dh) return dh.error();
    driver->dh_ = std::move(*dh);
    auto auth = AuthPool::create(parts.reactor, kAuthThreads, [self](ike::AuthOutcome outcome) {
        self->carry_out(self->engine_.auth_done(std::move(outcome), self->parts_.reactor.now()));
    });
    if (!auth) return auth.error();
    driver->auth_ = std::move(*auth);
    return driver;
}

void IkeDriver::configure(std::vector<ike::ConnectionConfig> connections, std::vector<ike::PskSecret> secrets) {
    connections_ = connections;
    engine_.configure(std::move(connections), std::move(secrets));
    schedule();
}

void IkeDriver::start_children() {
    for (const auto& connection : connections_) {
        for (const auto& child : connection.children) {
            if (child.start_action != ike::StartAction::start) continue;
            ike::Engine::InitiateRequest request;
            request.connection = connection.name;
            request.child = child.name;
            const std::string what = connection.name + "." + child.name;
            initiate(std::move(request), {}, [what](const Result<void>& result) {
                if (!result) log_warning("ike", what + " could not be started: " + result.error().text);
            });
        }
    }
}

void IkeDriver::take_backend_events() {
    for (const auto& event : parts_.backend.poll_events()) {
        const auto* acquire = std::get_if<ipsec::Acquire>(&event);
        if (acquire != nullptr && acquire_from_route(*acquire)) continue;
        carry_out(engine_.backend_event(event, parts_.reactor.now()));
    }
}

void IkeDriver::report_liveness() {
    const Instant now = parts_.reactor.now();
    for (const auto& ike : engine_.list()) {
        for (const auto& child : ike.children) {
            const auto counters = parts_.backend.query(child.sa.id);
            if (!counters || counters->inbound.packets == 0) continue;
            carry_out(engine_.child_heard(child.sa.id, now - counters->inbound.idle));
        }
    }
}

void IkeDriver::say_goodbye() { carry_out(engine_.shutdown(parts_.reactor.now())); }

ike::EngineCounters IkeDriver::counters() const {
    auto counters = engine_.counters();
    const auto& sockets = sockets_->counters();
    counters.emplace_back("ike_datagrams_received", sockets.received);
    counters.emplace_back("ike_datagrams_sent", sockets.sent);
    counters.emplace_back("ike_send_failed", sockets.send_failed);
    counters.emplace_back("ike_not_ike", sockets.not_ike);
    counters.emplace_back("child_install_failed", install_failures_);
    return counters;
}

// ---- actions ----

void IkeDriver::carry_out(ike::Actions actions) {
    for (auto& action : actions) {
        std::visit([this](auto& a) { act(a); }, action);
    }
    schedule();
}

void IkeDriver::act(const ike::Send& action) { sockets_->send(action); }

void IkeDriver::act(ike::StartDh& action) {
    if (!dh_->submit(std::move(action)))
        log_warning("ike", "the Diffie-Hellman queue is full; an exchange is given up");
}

void IkeDriver::act(ike::StartAuth& action) {
    if (!auth_->submit(std::move(action)))
        log_warning("ike", "the queue for signatures is full; an exchange is given up");
}

void IkeDriver::act(const ike::ReserveSpi& action) {
    const auto reserved = parts_.backend.reserve(action.spi);
    if (!reserved) log_warning("ike", "early packets will not be held: " + reserved.error().text);
}

void IkeDriver::act(const ike::ReleaseSpi& action) { parts_.backend.release(action.spi); }

void IkeDriver::act(const ike::InstallChild& action) {
    const auto installed = parts_.backend.install(action.child);
    if (installed) return;
    // Without its SAs the child must not stand: the peer would send into a hole.
    ++install_failures_;
    log_error("ike", action.child.ike_name + "." + action.child.name +
                         ": its SAs cannot be installed: " + installed.error().text);
    const ChildSaId id = action.child.id;
    parts_.reactor.post_after({}, [this, id] {
        ike::Engine::TerminateRequest request;
        request.child_id = id.value;
        auto actions = engine_.terminate(request, parts_.reactor.now());
        if (actions) carry_out(std::move(*actions));
    });
}

void IkeDriver::act(const ike::EnableOutbound& action) {
    const auto enabled = parts_.backend.enable_outbound(action.child);
    if (!enabled) log_error("ike", "an outbound SA cannot be enabled: " + enabled.error().text);
}

void IkeDriver::act(const ike::UpdateEndpoints& action) {
    const auto updated = parts_.backend.update_endpoints(action.child, action.local, action.remote, action.encap);
    if (!updated) log_error("ike", "the endpoints of an SA cannot be changed: " + updated.error().text);
}

void IkeDriver::act(const ike::RemoveChild& action) {
    const auto removed = parts_.backend.remove(action.child);
    if (!removed) log_warning("ike", "an SA cannot be removed: " + removed.error().text);
}

void IkeDriver::act(const ike::Notice& action) {
    log(level_of(action.kind), "ike", action.text);
    if (notice_sink_) notice_sink_(action);
    tell_waiters(action);
}

void IkeDriver::act(const ike::KeyLogged& action) {
    if (parts_.key_log != nullptr) parts_.key_log->write(action.line);
}

void IkeDriver::schedule() {
    const auto deadline = engine_.next_deadline();
    if (deadline == tick_at_) return;
    if (tick_at_) parts_.reactor.cancel(tick_timer_);
    tick_at_ = deadline;
    if (!deadline) return;
    tick_timer_ = parts_.reactor.post_at(*deadline, [this] {
        tick_at_.reset();
        carry_out(engine_.tick(parts_.reactor.now()));
    });
}

}  // namespace sluice::control
