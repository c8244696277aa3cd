// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "dataplane/flow.hpp"
#include "dataplane/policy_order.hpp"
#include "dataplane/reclaimer.hpp"
#include "dataplane/rule_set.hpp"
#include "dataplane/sa.hpp"
#include "lib/ipsec/policy.hpp"

namespace sluice::dataplane {

// A policy's id and its SAs, newest first, each with the selectors that it was narrowed to. Lives as long as a policy
// of this id or an SA for it exists, and a grace period. acquired_cycles is written by whichever worker raises an
// Acquire; the rest by control.
struct PolicySlot {
    PolicySlot(PolicyId policy, Reclaimer& reclaimer) : id(policy), sas(reclaimer, kListed) {}
    static constexpr unsigned kListed = 4;
    const PolicyId id;
    std::atomic<std::uint64_t> acquired_cycles{0};
    std::atomic<std::uint32_t> sa_count{0};
    RuleSet sas;
    std::uint32_t users = 0;  // control: policies and SAs, until they are freed
};

// What the SPD says of an outbound packet.
struct OutboundVerdict {
    ipsec::PolicyAction action = ipsec::PolicyAction::bypass;
    bool trap = false;
    bool by_default = false;     // no policy matched
    bool has_sas = false;        // the policy has SAs, whether or not one covers the packet
    PolicySlot* slot = nullptr;  // of a configured policy
    OutboundSa* sa = nullptr;    // where action is protect and an SA covers the packet
    friend bool operator==(const OutboundVerdict&, const OutboundVerdict&) = default;
};

// The same for a packet in clear that came in: protect means that it should have been inside ESP.
struct InboundVerdict {
    ipsec::PolicyAction action = ipsec::PolicyAction::bypass;
    bool by_default = false;
    friend bool operator==(const InboundVerdict&, const InboundVerdict&) = default;
};

// The SPD as workers read it (RFC 4301 4.4.1): configured policies in their order, each with its SAs, and the SAs that
// bring a policy of their own (policy id 0). An SA's own policy ranks before the configured protect policies and behind
// bypass and discard: of what is configured, the first match counts; where that is protect, or nothing, the newest SA
// whose own selectors cover the packet takes it.
//
// Control writes, workers read. A lookup reads the version once, and then sees exactly the rules of that version: what
// control adds is invisible until it stores the next version (release), what it removes stays in place for those that
// read an older one, and is unlinked after one grace period and freed after another. So a change of many policies
// takes effect in one step, and costs what differs. A lookup costs the tuples that there are (RuleSet), whatever the
// number of policies and SAs.
class SpdIndex {
  public:
    explicit SpdIndex(Reclaimer& reclaimer);
    ~SpdIndex();
    SpdIndex(const SpdIndex&) = delete;
    SpdIndex& operator=(const SpdIndex&) = delete;

    // Workers. For a burst of at most kMaxBurst flows, a verdict for each: the misses of one step are under way
    // together.
    void find_outbound(std::span<const Flow* const> flows, OutboundVerdict* verdicts) const;
    OutboundVerdict find_outbound(const Flow& flow) const {
        const Flow* const one = &flow;
        OutboundVerdict verdict;
        find_outbound({&one, 1}, &verdict);
        return verdict;
    }
    void find_inbound(std::span<const Flow* const> flows, InboundVerdict* verdicts) const;
    InboundVerdict find_inbound(const Flow& flow) const {
        const Flow* const one = &flow;
        InboundVerdict verdict;
        find_inbound({&one, 1}, &verdict);
        return verdict;
    }
    // For a packet whose ports are not to be seen, and that no policy protects as it is: whether one for certain ports
    // could be about it and comes before what matches. Such a packet is dropped, since it may be the rest of a
    // protected one (RFC 4301 7).
    bool may_protect_outbound(const Flow& flow) const;
    bool may_protect_inbound(const Flow& flow) const;

    // Control. Takes effect in one step. Costs a comparison with what there was, and then only what differs.
    void set_policies(const ipsec::Spd& spd);
    // An SA of its own policy protects from install to remove, whether or not it carries outbound traffic yet.
    void protect(OutboundSa& sa, const CompiledSelectors& selectors);
    // Lets the SA carry traffic of its policy. Of those that cover a packet, the last one attached does.
    void attach(PolicyId policy, OutboundSa& sa, const CompiledSelectors& selectors);
    // Ends both. The SA lives on for a grace period.
    void remove(const OutboundSa& sa);
    std::size_t policies() const { return policies_.size(); }
    // Tests: what an outbound lookup looks at.
    LookupCost cost_outbound(const Flow& flow) const;

  private:
    // What workers read, and what the removal of a rule needs after this object is gone.
    struct State;
    struct Configured {
        PolicyId id;
        ipsec::PolicyAction action = ipsec::PolicyAction::discard;
        bool trap = false;
        ipsec::TrafficSelectors local;
        ipsec::TrafficSelectors remote;
        std::uint64_t rank = 0;
        PolicySlot* slot = nullptr;
        RuleNode* rule = nullptr;
        bool kept = false;  // in the list that follows
        bool same_as(const ipsec::Policy& p) const;
    };
    struct SaRule {
        PolicySlot* slot = nullptr;  // null: its own policy
        RuleNode* rule = nullptr;
    };
    PolicyOrder plan(const ipsec::Spd& spd) const;
    void replace_rule(SaRule& rule, const RuleTarget& target, const CompiledSelectors& selectors);
    void retire(const SaRule& rule);
    bool may_protect(const PolicyQuery& query) const;

    std::shared_ptr<State> state_;
    std::vector<Configured> policies_;  // control, as are the following
    std::unordered_map<const OutboundSa*, SaRule> sas_;
    std::uint64_t next_sa_rank_ = RuleNode::kNever - 1;  // newer SAs rank before older ones
};

}  // namespace sluice::dataplane
