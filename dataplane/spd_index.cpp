// SPDX-License-Identifier: Apache-2.0
#include "dataplane/spd_index.hpp"

#include <algorithm>
#include <utility>

namespace sluice::dataplane {

using ipsec::PolicyAction;

SpdIndex::SpdIndex(Reclaimer& reclaimer) : reclaimer_(reclaimer), owned_(std::make_unique<Snapshot>()) {
    current_.store(owned_.get(), std::memory_order_release);
}

OutboundSa* SpdIndex::choose(const PolicySlot& slot, const Flow& flow) {
    const SaChoices* choices = slot.choices.load(std::memory_order_acquire);
    if (choices == nullptr) return nullptr;
    for (const SaChoice& c : *choices) {
        if (c.selectors.matches_outbound(flow)) return c.sa;
    }
    return nullptr;
}

OutboundVerdict SpdIndex::find_outbound(const Flow& flow) const {
    const Snapshot& s = *current_.load(std::memory_order_acquire);
    const auto match = std::find_if(s.policies.begin(), s.policies.end(),
                                    [&](const Compiled& p) { return p.selectors.matches_outbound(flow); });
    const bool configured = match != s.policies.end();
    if (configured && match->action != PolicyAction::protect) return {.action = match->action};
    if (OutboundSa* own = choose(own_, flow)) return {.action = PolicyAction::protect, .has_sas = true, .sa = own};
    if (configured) {
        const SaChoices* choices = match->slot->choices.load(std::memory_order_acquire);
        return {.action = PolicyAction::protect,
                .trap = match->trap,
                .has_sas = choices != nullptr && !choices->empty(),
                .slot = match->slot,
                .sa = choose(*match->slot, flow)};
    }
    // An SA of its own policy that may not send yet still forbids clear text.
    if (choose(protected_, flow) != nullptr) return {.action = PolicyAction::protect};
    return {.action = s.default_action, .by_default = true};
}

InboundVerdict SpdIndex::find_inbound(const Flow& flow) const {
    const Snapshot& s = *current_.load(std::memory_order_acquire);
    for (const Compiled& p : s.policies) {
        if (p.selectors.matches_inbound(flow)) return {.action = p.action};
    }
    if (const SaChoices* own = protected_.choices.load(std::memory_order_acquire)) {
        for (const SaChoice& c : *own) {
            if (c.selectors.matches_inbound(flow)) return {.action = PolicyAction::protect};
        }
    }
    return {.action = s.default_action, .by_default = true};
}

bool SpdIndex::may_protect_outbound(const Flow& flow) const {
    const Snapshot& s = *current_.load(std::memory_order_acquire);
    const SaChoices* own = protected_.choices.load(std::memory_order_acquire);
    for (const Compiled& p : s.policies) {
        if (p.selectors.matches_outbound(flow)) return false;
        if (p.action == PolicyAction::protect && p.selectors.may_match_outbound(flow)) return true;
    }
    return own != nullptr && std::any_of(own->begin(), own->end(),
                                         [&](const SaChoice& c) { return c.selectors.may_match_outbound(flow); });
}

bool SpdIndex::may_protect_inbound(const Flow& flow) const {
    const Snapshot& s = *current_.load(std::memory_order_acquire);
    const SaChoices* own = protected_.choices.load(std::memory_order_acquire);
    for (const Compiled& p : s.policies) {
        if (p.selectors.matches_inbound(flow)) return false;
        if (p.action == PolicyAction::protect && p.selectors.may_match_inbound(flow)) return true;
    }
    return own != nullptr && std::any_of(own->begin(), own->end(),
                                         [&](const SaChoice& c) { return c.selectors.may_match_inbound(flow); });
}

std::shared_ptr<PolicySlot> SpdIndex::slot_of(PolicyId id) {
    auto& slot = slots_[id];
    if (!slot) {
        slot = std::make_shared<PolicySlot>();
        slot->id = id;
    }
    return slot;
}

void SpdIndex::set_policies(const ipsec::Spd& spd) {
    auto next = std::make_unique<Snapshot>();
    next->default_action = spd.default_action;
    for (const ipsec::Policy& p : spd.policies) {
        next->pinned.push_back(slot_of(p.id));
        next->policies.push_back(
            {CompiledSelectors::of(p.local, p.remote), p.action, p.trap, next->pinned.back().get()});
    }
    current_.store(next.get(), std::memory_order_release);
    reclaimer_.retire([old = std::shared_ptr<const Snapshot>(std::move(owned_))] {});
    owned_ = std::move(next);
    std::erase_if(slots_, [](const auto& entry) { return entry.second.use_count() == 1 && !entry.second->owned; });
}

void SpdIndex::swap_choices(PolicySlot& slot, SaChoices next) {
    auto fresh = next.empty() ? nullptr : std::make_unique<const SaChoices>(std::move(next));
    slot.choices.store(fresh.get(), std::memory_order_release);
    if (slot.owned) reclaimer_.retire([old = std::shared_ptr<const SaChoices>(std::move(slot.owned))] {});
    slot.owned = std::move(fresh);
}

SaChoices SpdIndex::without(const PolicySlot& slot, const OutboundSa& sa) {
    SaChoices out;
    if (!slot.owned) return out;
    for (const SaChoice& c : *slot.owned) {
        if (c.sa != &sa) out.push_back(c);
    }
    return out;
}

void SpdIndex::attach(PolicyId policy, OutboundSa& sa, const CompiledSelectors& selectors) {
    const auto pinned = policy.value == 0 ? nullptr : slot_of(policy);
    PolicySlot& slot = pinned ? *pinned : own_;
    SaChoices next = without(slot, sa);
    next.insert(next.begin(), {selectors, &sa});
    swap_choices(slot, std::move(next));
}

void SpdIndex::detach(PolicyId policy, const OutboundSa& sa) {
    const auto pinned = policy.value == 0 ? nullptr : slot_of(policy);
    PolicySlot& slot = pinned ? *pinned : own_;
    swap_choices(slot, without(slot, sa));
}

void SpdIndex::protect(const OutboundSa& sa, const CompiledSelectors& selectors) {
    SaChoices next = without(protected_, sa);
    // Never sent through: find_outbound() asks whether something covers the flow, not which.
    next.insert(next.begin(), {selectors, const_cast<OutboundSa*>(&sa)});
    swap_choices(protected_, std::move(next));
}

void SpdIndex::unprotect(const OutboundSa& sa) { swap_choices(protected_, without(protected_, sa)); }

std::size_t SpdIndex::policies() const { return owned_->policies.size(); }

}  // namespace sluice::dataplane
