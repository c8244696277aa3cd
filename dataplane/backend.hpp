// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "dataplane/events.hpp"
#include "dataplane/path_mtu.hpp"
#include "dataplane/sa.hpp"
#include "dataplane/steering.hpp"
#include "dataplane/tables.hpp"
#include "lib/ipsec/backend.hpp"

namespace sluice::dataplane {

// IpsecBackend over workers. Control thread only. It builds SAs and policies, publishes them in Tables, and takes
// events out of the workers' rings; it never waits for a worker.
class WorkersBackend final : public ipsec::IpsecBackend {
  public:
    // rings: of all workers, by id. wake: lets a sleeping worker see its command ring. event_fd: an eventfd that
    // workers write to when they have raised events; borrowed, read here.
    struct Parts {
        Tables& tables;
        KeyExpander expander;
        std::span<WorkerRings* const> rings;
        std::function<void(WorkerId)> wake;
        int event_fd = -1;
        Steering* steering = nullptr;  // null: no port has a choice of queues
    };
    explicit WorkersBackend(Parts parts);
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
    // Control itself wants these to be polled: neighbours in use, to be kept alive.
    void add_neighbours(const std::vector<NeighbourWanted>& wanted);
    // Tells workers that packets may wait for a neighbour no longer.
    void release_neighbour(const Neighbour& neighbour);
    // Forgets what ICMP said of paths long enough ago. now: TSC cycles.
    void age_path_mtus(std::uint64_t now);
    // SAs whose path is known to be narrower than its port.
    std::size_t path_mtus() const { return path_mtus_.known(); }
    // Commands that found a ring full are tried again.
    void retry_commands();

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
    Result<void> may_grow();
    SaPlacement place(const ipsec::ChildSa& sa) const;
    void publish(Child& child, SaPair pair);
    void steer(const Child& child);
    void send(WorkerId worker, const Command& command);
    void broadcast(const Command& command);
    void collect_events();
    void signal() const;
    void take(const Event& event);
    bool told_already(ChildSaId child, bool hard);
    void learn_path_mtu(const Event& report);
    void tell_path_mtu(const Child& child, std::uint16_t mtu);
    void tell_owners(const Child& child, const Command& command);

    Tables& tables_;
    KeyExpander expander_;
    std::vector<WorkerRings*> rings_;
    std::function<void(WorkerId)> wake_;
    int event_fd_;
    Steering* steering_;
    std::unordered_map<ChildSaId, Child> children_;
    std::unordered_map<Spi, std::unique_ptr<Reservation>> reservations_;
    std::vector<ipsec::BackendEvent> events_;
    std::vector<NeighbourWanted> neighbours_;
    std::vector<Pending> pending_;
    std::vector<Command> again_;
    PathMtuBook path_mtus_;
};

}  // namespace sluice::dataplane
