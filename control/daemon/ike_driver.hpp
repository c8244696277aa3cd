// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "control/daemon/ike_sockets.hpp"
#include "control/daemon/job_pool.hpp"
#include "control/daemon/key_log.hpp"
#include "control/daemon/reactor.hpp"
#include "ike/engine.hpp"
#include "lib/ipsec/backend.hpp"

namespace sluice::control {

// Gives the IKE engine its surroundings: sockets, helper threads, timers and the backend. It carries out the engine's
// actions in their order, passes its notices on and tells those who wait for an initiate or a terminate how it ended.
// Reactor's thread only.
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

    static Result<std::unique_ptr<IkeDriver>> create(const ike::EngineConfig& config, const IkeSockets::Ports& ports,
                                                     const Parts& parts);

    void configure(std::vector<ike::ConnectionConfig> connections, std::vector<ike::PskSecret> secrets);
    // Replaces keys, certificates and CRLs.
    void set_credentials(ike::Credentials credentials) { engine_.set_credentials(std::move(credentials)); }
    // Initiates every child with start_action = start.
    void start_children();
    // Hands the backend's events to the engine. Call when the backend has some.
    void take_backend_events();
    // Tells the engine which SAs have heard verified ESP since the last call (TRAPS 22).
    void report_liveness();
    // DELETE to every peer, once, without waiting for answers.
    void say_goodbye();

    // done is called once: when the child is up, when the attempt has failed, or when the timeout (0: none) has passed,
    // possibly before the return; an error of the engine (not_found) comes through it too. Where the configuration
    // leaves the local address open, the kernel's route to the peer decides.
    void initiate(ike::Engine::InitiateRequest request, Duration timeout, Completion done);
    // done when every SA that matched is gone.
    void terminate(const ike::Engine::TerminateRequest& request, Duration timeout, Completion done);

    // Begins to replace what matches; the Result says how many that are.
    Result<std::size_t> rekey(const ike::Engine::RekeyRequest& request);

    // Every notice, in order, after it was logged.
    void set_notice_sink(NoticeSink sink) { notice_sink_ = std::move(sink); }
    std::vector<ike::IkeView> list() const { return engine_.list(); }
    std::vector<ike::ConnectionConfig> const& connections() const { return connections_; }
    ike::EngineCounters counters() const;

  private:
    // Someone who asked for an initiate or a terminate and has no answer yet.
    struct Waiter {
        std::uint64_t ticket = 0;
        bool initiating = false;
        std::string ike_name;  // initiate: empty is any
        std::string child_name;
        std::set<IkeSaId> ikes;                 // terminate: what must still go
        std::map<ChildSaId, IkeSaId> children;  // with the IKE SA that takes each along
        Reactor::TimerId timer = 0;
        Completion done;
    };
    IkeDriver(const ike::EngineConfig& config, const Parts& parts);

    void carry_out(ike::Actions actions);
    void act(const ike::Send& action);
    void act(ike::StartDh& action);
    void act(ike::StartAuth& action);
    void act(const ike::ReserveSpi& action);
    void act(const ike::ReleaseSpi& action);
    void act(const ike::InstallChild& action);
    void act(const ike::EnableOutbound& action);
    void act(const ike::UpdateEndpoints& action);
    void act(const ike::RemoveChild& action);
    void act(const ike::Notice& action);
    void act(const ike::KeyLogged& action);
    void schedule();
    const ike::ConnectionConfig* find_connection(const ike::Engine::InitiateRequest& request) const;
    static net::IpAddress source_towards(const ike::ConnectionConfig& connection);
    bool acquire_from_route(const ipsec::Acquire& acquire);
    std::uint64_t wait(Waiter waiter, Duration timeout);
    void tell_waiters(const ike::Notice& notice);
    void finish(std::uint64_t ticket, Result<void> result);
    Waiter waiter_for(const ike::Engine::TerminateRequest& request) const;

    Parts parts_;
    ike::Engine engine_;
    std::vector<ike::ConnectionConfig> connections_;
    std::unique_ptr<IkeSockets> sockets_;
    std::unique_ptr<DhPool> dh_;
    std::unique_ptr<AuthPool> auth_;
    Reactor::TimerId tick_timer_ = 0;
    std::optional<Instant> tick_at_;
    NoticeSink notice_sink_;
    std::uint64_t next_ticket_ = 1;
    std::list<Waiter> waiters_;
    std::uint64_t install_failures_ = 0;
};

// The local address that the kernel would use towards remote; none where there is no route. Sends nothing.
net::IpAddress source_address_towards(const net::IpAddress& remote);

}  // namespace sluice::control
