// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "control/daemon/dh_pool.hpp"
#include "control/daemon/ike_sockets.hpp"
#include "control/daemon/key_log.hpp"
#include "control/daemon/reactor.hpp"
#include "ike/engine.hpp"
#include "lib/ipsec/backend.hpp"

namespace sluice::control {

// Gives the IKE engine its surroundings: sockets, helper threads, timers and the backend. It carries out the engine's
// actions in their order and tells those who wait for an initiate or a terminate how it ended. Reactor's thread only.
class IkeDriver {
  public:
    // What the driver uses and does not own; all of it outlives the driver. key_log may be null.
    struct Parts {
        Reactor& reactor;
        ipsec::IpsecBackend& backend;
        crypto::Random& random;
        KeyLog* key_log = nullptr;
    };
    using NoticeSink = std::function<void(const ike::Notice&)>;
    // The error's text is a sentence for a person.
    using Completion = std::function<void(Result<void>)>;
    using Ticket = std::uint64_t;

    static Result<std::unique_ptr<IkeDriver>> create(const ike::EngineConfig& config, const IkeSockets::Ports& ports,
                                                     const Parts& parts);

    void configure(std::vector<ike::ConnectionConfig> connections, std::vector<ike::PskSecret> secrets);
    // Initiates every child with start_action = start.
    void start_children();
    // Hands the backend's events to the engine. Call when the backend has some.
    void take_backend_events();
    // Tells the engine which SAs have heard verified ESP since the last call (TRAPS 22).
    void report_liveness();
    // DELETE to every peer, once, without waiting for answers.
    void say_goodbye();

    // Done is called once: when the child is up, when it failed, or after timeout (0: never). not_found comes back at
    // once, through done.
    Ticket initiate(ike::Engine::InitiateRequest request, Duration timeout, Completion done);
    // Done when every SA that matched is gone.
    Ticket terminate(const ike::Engine::TerminateRequest& request, Duration timeout, Completion done);
    // Whoever waited is gone; done is not called any more.
    void forget(Ticket ticket);

    void set_notice_sink(NoticeSink sink) { notice_sink_ = std::move(sink); }
    std::vector<ike::IkeView> list() const { return engine_.list(); }
    std::vector<ike::ConnectionConfig> const& connections() const { return connections_; }
    ike::EngineCounters counters() const;

  private:
    struct Waiter {
        Ticket ticket = 0;
        std::string ike_name;  // initiate: empty is any
        std::string child_name;
        std::set<IkeSaId> ike_left;  // terminate: what must still go
        std::set<ChildSaId> child_left;
        bool initiating = false;
        Reactor::TimerId timer = 0;
        Completion done;
    };
    IkeDriver(const ike::EngineConfig& config, const Parts& parts);

    void carry_out(ike::Actions actions);
    void act(const ike::Send& action);
    void act(ike::StartDh& action);
    void act(const ike::ReserveSpi& action);
    void act(const ike::ReleaseSpi& action);
    void act(const ike::InstallChild& action);
    void act(const ike::EnableOutbound& action);
    void act(const ike::UpdateEndpoints& action);
    void act(const ike::RemoveChild& action);
    void act(const ike::Notice& action);
    void act(const ike::KeyLogged& action);
    void schedule();
    net::IpAddress source_towards(const ike::Engine::InitiateRequest& request) const;
    Ticket wait(Waiter waiter, Duration timeout);
    void tell_waiters(const ike::Notice& notice);
    void finish(Ticket ticket, Result<void> result);
    Waiter waiter_for(const ike::Engine::TerminateRequest& request) const;

    Parts parts_;
    ike::Engine engine_;
    std::vector<ike::ConnectionConfig> connections_;
    std::unique_ptr<IkeSockets> sockets_;
    std::unique_ptr<DhPool> dh_;
    Reactor::TimerId tick_timer_ = 0;
    std::optional<Instant> tick_at_;
    Ticket next_ticket_ = 1;
    std::list<Waiter> waiters_;
    NoticeSink notice_sink_;
    std::uint64_t install_failures_ = 0;
};

// The local address that the kernel would use towards remote; none where there is no route. Sends nothing.
net::IpAddress source_address_towards(const net::IpAddress& remote);

}  // namespace sluice::control
