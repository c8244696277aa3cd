// SPDX-License-Identifier: Apache-2.0
#include "dataplane/steering.hpp"

#include <rte_byteorder.h>

#include <utility>

#include "lib/base/log.hpp"

namespace sluice::dataplane {

namespace {

// Ethernet / IP / [UDP to our port /] ESP with this SPI -> queue. rte_flow keeps pointers to parts while it is called.
class RuleText {
  public:
    RuleText(const Steering::Match& match, std::uint16_t queue) : queue_{.index = queue} {
        attributes_.ingress = 1;
        std::size_t n = 0;
        pattern_[n++].type = RTE_FLOW_ITEM_TYPE_ETH;
        pattern_[n++].type = match.family == net::Family::v4 ? RTE_FLOW_ITEM_TYPE_IPV4 : RTE_FLOW_ITEM_TYPE_IPV6;
        if (match.encap) {
            udp_.hdr.dst_port = rte_cpu_to_be_16(match.udp_port);
            udp_mask_.hdr.dst_port = UINT16_MAX;
            pattern_[n].type = RTE_FLOW_ITEM_TYPE_UDP;
            pattern_[n].spec = &udp_;
            pattern_[n++].mask = &udp_mask_;
        }
        esp_.hdr.spi = rte_cpu_to_be_32(match.spi.value);
        esp_mask_.hdr.spi = UINT32_MAX;
        pattern_[n].type = RTE_FLOW_ITEM_TYPE_ESP;
        pattern_[n].spec = &esp_;
        pattern_[n++].mask = &esp_mask_;
        pattern_[n].type = RTE_FLOW_ITEM_TYPE_END;
        actions_[0].type = RTE_FLOW_ACTION_TYPE_QUEUE;
        actions_[0].conf = &queue_;
        actions_[1].type = RTE_FLOW_ACTION_TYPE_END;
    }
    RuleText(const RuleText&) = delete;
    RuleText& operator=(const RuleText&) = delete;
    const rte_flow_attr* attributes() const { return &attributes_; }
    const rte_flow_item* pattern() const { return pattern_; }
    const rte_flow_action* actions() const { return actions_; }

  private:
    rte_flow_attr attributes_{};
    rte_flow_item_udp udp_{};
    rte_flow_item_udp udp_mask_{};
    rte_flow_item_esp esp_{};
    rte_flow_item_esp esp_mask_{};
    rte_flow_item pattern_[5]{};
    rte_flow_action_queue queue_;
    rte_flow_action actions_[2]{};
};

}  // namespace

Steering::Steering(std::vector<PortQueues> ports, Operations operations) : operations_(operations) {
    for (PortQueues& p : ports) ports_.push_back({.queues = std::move(p), .ability = Ability::unknown});
}

Steering::~Steering() {
    while (!by_spi_.empty()) remove(by_spi_.begin()->first);
}

bool Steering::able(Port& port, const Match& match, std::uint16_t queue) {
    if (port.ability != Ability::unknown) return port.ability == Ability::can;
    const RuleText text(match, queue);
    rte_flow_error error{};
    const int code =
        operations_.validate(port.queues.ethdev, text.attributes(), text.pattern(), text.actions(), &error);
    port.ability = code == 0 ? Ability::can : Ability::cannot;
    const std::string why = error.message != nullptr ? std::string(" (") + error.message + ")" : "";
    log_info("net", "port " + port.queues.name +
                        (code == 0 ? ": the device brings ESP to the worker that owns it"
                                   : ": the device cannot tell SPIs apart" + why + "; workers hand packets over"));
    return code == 0;
}

rte_flow* Steering::create(const Port& port, const Match& match, std::uint16_t queue) {
    const RuleText text(match, queue);
    rte_flow_error error{};
    return operations_.create(port.queues.ethdev, text.attributes(), text.pattern(), text.actions(), &error);
}

void Steering::add(const Match& match, WorkerId owner) {
    remove(match.spi);
    std::vector<Rule> made;
    for (std::size_t p = 0; p < ports_.size(); ++p) {
        Port& port = ports_[p];
        const int queue = port.queues.queue_of(owner);
        if (queue < 0 || !able(port, match, static_cast<std::uint16_t>(queue))) continue;
        rte_flow* const flow = create(port, match, static_cast<std::uint16_t>(queue));
        flow == nullptr ? static_cast<void>(++refused_) : made.push_back({p, flow});
    }
    rules_ += made.size();
    if (!made.empty()) by_spi_.emplace(match.spi, std::move(made));
}

void Steering::remove(Spi spi) {
    const auto found = by_spi_.find(spi);
    if (found == by_spi_.end()) return;
    for (const Rule& rule : found->second) {
        rte_flow_error error{};
        operations_.destroy(ports_[rule.port].queues.ethdev, rule.flow, &error);
    }
    rules_ -= found->second.size();
    by_spi_.erase(found);
}

}  // namespace sluice::dataplane
