// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "dataplane/flow.hpp"
#include "dataplane/reclaimer.hpp"
#include "dataplane/sa.hpp"
#include "lib/ipsec/policy.hpp"

namespace sluice::dataplane {

// One outbound SA among those of a policy, with the selectors it was narrowed to.
struct SaChoice {
    CompiledSelectors selectors;
    OutboundSa* sa;
};
using SaChoices = std::vector<SaChoice>;  // newest first; immutable once published

// The SAs that serve one policy. Lives as long as a policy of this id or an SA for it exists. Control swaps choices;
// acquired is written by whichever worker raises an Acquire.
struct PolicySlot {
    PolicyId id;
    std::atomic<const SaChoices*> choices{nullptr};
    std::atomic<std::uint64_t> acquired_cycles{0};
    std::unique_ptr<const SaChoices> owned;  // control
};

// What the SPD says of an outbound packet.
struct OutboundVerdict {
    ipsec::PolicyAction action = ipsec::PolicyAction::bypass;
    bool trap = false;
    bool by_default = false;     // no policy matched
    bool has_sas = false;        // the policy has SAs, whether or not one covers the packet
    PolicySlot* slot = nullptr;  // of a configured policy
    OutboundSa* sa = nullptr;    // where action is protect and an SA covers the packet
};

// The same for a packet in clear that came in: protect means that it should have been inside ESP.
struct InboundVerdict {
    ipsec::PolicyAction action = ipsec::PolicyAction::bypass;
    bool by_default = false;
};

// The SPD as workers read it (RFC 4301 4.4.1): configured policies in their order, each with its SAs, and the SAs that
// bring a policy of their own (policy id 0). An SA's own policy ranks before the configured protect policies and behind
// bypass and discard: of what is configured, the first match counts; where that is protect, or nothing, the newest SA
// whose own selectors cover the packet takes it.
//
// Control writes, workers read: a snapshot pointer and one pointer to choices per policy, both reclaimed by QSBR.
class SpdIndex {
  public:
    explicit SpdIndex(Reclaimer& reclaimer);

    // Workers.
    OutboundVerdict find_outbound(const Flow& flow) const;
    InboundVerdict find_inbound(const Flow& flow) const;
    // For a packet whose ports are not to be seen, and that no policy protects as it is: whether one for certain ports
    // could be about it and comes before what matches. Such a packet is dropped, since it may be the rest of a
    // protected one (RFC 4301 7).
    bool may_protect_outbound(const Flow& flow) const;
    bool may_protect_inbound(const Flow& flow) const;

    // Control.
    void set_policies(const ipsec::Spd& spd);
    // Lets the SA carry traffic of its policy. The SA outlives its detach() by a grace period.
    void attach(PolicyId policy, OutboundSa& sa, const CompiledSelectors& selectors);
    void detach(PolicyId policy, const OutboundSa& sa);
    // An SA of its own policy protects inbound from install to remove, whether or not it carries outbound traffic yet.
    void protect(const OutboundSa& sa, const CompiledSelectors& selectors);
    void unprotect(const OutboundSa& sa);
    std::size_t policies() const;

  private:
    struct Compiled {
        CompiledSelectors selectors;
        ipsec::PolicyAction action;
        bool trap;
        PolicySlot* slot;
    };
    struct Snapshot {
        std::vector<Compiled> policies;
        ipsec::PolicyAction default_action = ipsec::PolicyAction::bypass;
        std::vector<std::shared_ptr<PolicySlot>> pinned;
    };
    static OutboundSa* choose(const PolicySlot& slot, const Flow& flow);
    std::shared_ptr<PolicySlot> slot_of(PolicyId id);
    void swap_choices(PolicySlot& slot, SaChoices next);
    static SaChoices without(const PolicySlot& slot, const OutboundSa& sa);

    Reclaimer& reclaimer_;
    std::atomic<const Snapshot*> current_{nullptr};  // control writes, workers read
    std::unique_ptr<const Snapshot> owned_;
    PolicySlot own_;        // SAs with policy id 0 that carry traffic
    PolicySlot protected_;  // all SAs with policy id 0
    std::unordered_map<PolicyId, std::shared_ptr<PolicySlot>> slots_;
};

}  // namespace sluice::dataplane
