// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <rte_flow.h>

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "lib/base/strong.hpp"
#include "lib/net/address.hpp"

namespace sluice::dataplane {

// Rules in NICs that bring the ESP of an SA to the queue of the worker that owns it, so that it need not be handed
// over. A port that cannot match the SPI says so when it is asked (rte_flow_validate) for the first SA; then, and where
// its table is full, the workers' rings do it. Control thread.
class Steering {
  public:
    // rte_flow's functions, or a test's.
    struct Operations {
        int (*validate)(std::uint16_t port, const rte_flow_attr*, const rte_flow_item*, const rte_flow_action*,
                        rte_flow_error*) = rte_flow_validate;
        rte_flow* (*create)(std::uint16_t port, const rte_flow_attr*, const rte_flow_item*, const rte_flow_action*,
                            rte_flow_error*) = rte_flow_create;
        int (*destroy)(std::uint16_t port, rte_flow*, rte_flow_error*) = rte_flow_destroy;
    };
    // A port with several receive queues; others need no rules.
    struct PortQueues {
        std::string name;
        std::uint16_t ethdev = 0;
        std::function<int(WorkerId)> queue_of;  // -1: the worker has none
    };
    struct Match {
        Spi spi;
        net::Family family = net::Family::v4;  // of the outer header
        bool encap = false;
        std::uint16_t udp_port = 4500;  // where encap: ours
        friend bool operator==(const Match&, const Match&) = default;
    };

    explicit Steering(std::vector<PortQueues> ports) : Steering(std::move(ports), Operations{}) {}
    Steering(std::vector<PortQueues> ports, Operations operations);
    ~Steering();  // takes the rules out again
    Steering(const Steering&) = delete;
    Steering& operator=(const Steering&) = delete;

    // In place of what was there for the SPI.
    void add(const Match& match, WorkerId owner);
    void remove(Spi spi);
    std::size_t rules() const { return rules_; }
    std::uint64_t refused() const { return refused_; }  // rules that a port which can had no room for

  private:
    enum class Ability : std::uint8_t { unknown, can, cannot };
    struct Port {
        PortQueues queues;
        Ability ability = Ability::unknown;
    };
    struct Rule {
        std::size_t port;
        rte_flow* flow;
    };
    bool able(Port& port, const Match& match, std::uint16_t queue);
    rte_flow* create(const Port& port, const Match& match, std::uint16_t queue);

    std::vector<Port> ports_;
    Operations operations_;
    std::unordered_map<Spi, std::vector<Rule>> by_spi_;
    std::size_t rules_ = 0;
    std::uint64_t refused_ = 0;
};

}  // namespace sluice::dataplane
