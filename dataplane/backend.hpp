// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "dataplane/events.hpp"
#include "dataplane/sa.hpp"
#include "dataplane/tables.hpp"
#include "lib/ipsec/backend.hpp"

namespace sluice::dataplane {

// IpsecBackend over workers. Control thread only. It builds SAs and policies, publishes them in Tables, and takes
// events out of the workers' rings; it never waits for a worker.
class WorkersBackend final : public ipsec::IpsecBackend {
  public:
    // rings: of all workers, by id. wake: lets a sleeping worker see its command ring.
    WorkersBackend(Tables& tables, KeyExpander expander, std::span<WorkerRings* const> rings,
                   std::function<void(WorkerId)> wake);
    ~WorkersBackend() override;

    Result<void> set_policies(const ipsec::Spd& spd) override;
    Result<void> reserve(Spi inbound) override;
    void release(Spi inbound) override;
    Result<void> install(const ipsec::ChildSa& sa) override;
    Result<void> enable_outbound(ChildSaId child) override;
    Result<void> update_endpoints(ChildSaId child, const net::Endpoint& local, const net::Endpoint& remote,
                                  bool encap) override;
    Result<void> remove(ChildSaId child) override;
    Result<ipsec::ChildSaCounters> query(ChildSaId child) const override;
    std::vector<ipsec::BackendEvent> poll_events() override;

    // What workers said about neighbours since the last call.
    std::vector<NeighbourWanted> poll_neighbours();
    // Takes the rings' events in. True where something waits for poll_events() or poll_neighbours().
    bool collect_events();
    // Commands that found a ring full are tried again.
    void retry_commands();
    // Sends a command to all workers.
    void broadcast(const Command& command);
    void append_counters(std::vector<Counter>& out) const;
    std::size_t sas() const { return children_.size(); }

  private:
    struct Child {
        ipsec::ChildSa spec;  // without keys
        InboundSa* inbound;
        OutboundSa* outbound;
        bool soft_told = false;
        bool hard_told = false;
    };
    struct Pending {
        WorkerId worker;
        Command command;
    };
    SaPlacement place(const ipsec::ChildSa& sa) const;
    void publish(Child& child, SaPair pair);
    void send(WorkerId worker, const Command& command);
    void take(const Event& event);
    bool told_already(ChildSaId child, bool hard);

    Tables& tables_;
    KeyExpander expander_;
    std::vector<WorkerRings*> rings_;
    std::function<void(WorkerId)> wake_;
    std::unordered_map<ChildSaId, Child> children_;
    std::unordered_map<Spi, std::unique_ptr<Reservation>> reservations_;
    std::vector<ipsec::BackendEvent> events_;
    std::vector<NeighbourWanted> neighbours_;
    std::vector<Pending> pending_;
};

}  // namespace sluice::dataplane
