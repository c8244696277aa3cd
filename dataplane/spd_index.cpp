// SPDX-License-Identifier: Apache-2.0
#include "dataplane/spd_index.hpp"

#include <utility>

namespace sluice::dataplane {

using ipsec::PolicyAction;

namespace {

constexpr unsigned kListedPolicies = 4;
static_assert(kMaxBurst <= RuleSet::kMaxQueries);
constexpr auto kAny = [](std::size_t, const RuleNode&) { return true; };
constexpr auto kSends = [](std::size_t, const RuleNode& n) { return n.target.sends; };

}  // namespace

struct SpdIndex::State {
    explicit State(Reclaimer& r) : reclaimer(r), configured(r, kListedPolicies), own(r, 0) {}

    struct View {
        std::uint64_t version;
        PolicyAction default_action;
    };
    View view() const {
        const std::uint64_t word = published.load(std::memory_order_acquire);
        return {word >> 2, static_cast<PolicyAction>(word & 3)};
    }
    // Control: what the next version will be, and its coming into force.
    std::uint64_t next_version() const { return (published.load(std::memory_order_relaxed) >> 2) + 1; }
    void publish(PolicyAction default_action) {
        published.store(next_version() << 2 | static_cast<std::uint64_t>(default_action), std::memory_order_release);
    }
    void publish() { publish(view().default_action); }

    PolicySlot* use_slot(PolicyId id) {
        auto& slot = slots[id];
        if (!slot) slot = std::make_unique<PolicySlot>(id, reclaimer);
        ++slot->users;
        return slot.get();
    }
    // No worker sees it any more.
    void leave_slot(PolicySlot* slot) {
        if (slot != nullptr && --slot->users == 0) slots.erase(slot->id);
    }
    OutboundVerdict verdict(const PolicyQuery& q, const View& view, const RuleNode* policy, const RuleNode* own_sa,
                            bool larval) const {
        if (policy != nullptr && policy->target.action != PolicyAction::protect) {
            return {.action = policy->target.action};
        }
        if (own_sa != nullptr) {
            return {.action = PolicyAction::protect, .has_sas = true, .sa = own_sa->target.sa};
        }
        if (policy == nullptr && larval) return {.action = PolicyAction::protect};
        if (policy == nullptr) return {.action = view.default_action, .by_default = true};
        PolicySlot* const slot = policy->target.slot;
        const RuleNode* const sa = slot->sas.first(q, view.version);
        return {.action = PolicyAction::protect,
                .trap = policy->target.trap,
                .has_sas = slot->sa_count.load(std::memory_order_relaxed) != 0,
                .slot = slot,
                .sa = sa == nullptr ? nullptr : sa->target.sa};
    }
    RuleSet& sas_of(PolicySlot* slot) { return slot == nullptr ? own : slot->sas; }

    Reclaimer& reclaimer;
    std::atomic<std::uint64_t> published{static_cast<std::uint64_t>(PolicyAction::bypass)};
    RuleSet configured;
    RuleSet own;                                                      // SAs with policy id 0
    std::unordered_map<PolicyId, std::unique_ptr<PolicySlot>> slots;  // control

    // Control. What was expired is unlinked after a grace period, and freed after another.
    static void retire(const std::shared_ptr<State>& self, RuleSet& set, PolicySlot* slot, RuleNode* rule) {
        self->reclaimer.retire([self, &set, slot, rule] {
            set.unlink(rule);
            self->reclaimer.retire([self, slot, rule] {
                RuleSet::destroy(rule);
                self->leave_slot(slot);
            });
        });
    }
};

SpdIndex::SpdIndex(Reclaimer& reclaimer) : state_(std::make_shared<State>(reclaimer)) {}

// No worker reads any more; what is linked goes the usual way.
SpdIndex::~SpdIndex() {
    set_policies({});
    for (const auto& [sa, rule] : sas_) retire(rule);
}

[[gnu::flatten]] void SpdIndex::find_outbound(std::span<const Flow* const> flows, OutboundVerdict* verdicts) const {
    const State& s = *state_;
    const State::View view = s.view();
    PolicyQuery queries[kMaxBurst];
    const RuleNode* policies[kMaxBurst];
    const RuleNode* own[kMaxBurst];
    std::uint64_t larval = 0;  // bit i: an SA of its own policy that may not send yet; it still forbids clear text
    for (std::size_t i = 0; i < flows.size(); ++i) queries[i] = PolicyQuery::outbound(*flows[i]);
    const std::span<const PolicyQuery> asked(queries, flows.size());
    s.configured.first(asked, view.version, policies, kAny);
    s.own.first(asked, view.version, own, [&larval](std::size_t i, const RuleNode& n) {
        larval |= std::uint64_t{!n.target.sends} << i;
        return n.target.sends;
    });
    for (std::size_t i = 0; i < flows.size(); ++i) {
        verdicts[i] = s.verdict(queries[i], view, policies[i], own[i], (larval >> i & 1) != 0);
    }
}

[[gnu::flatten]] void SpdIndex::find_inbound(std::span<const Flow* const> flows, InboundVerdict* verdicts) const {
    const State& s = *state_;
    const State::View view = s.view();
    PolicyQuery queries[kMaxBurst];
    const RuleNode* policies[kMaxBurst];
    const RuleNode* own[kMaxBurst];
    for (std::size_t i = 0; i < flows.size(); ++i) queries[i] = PolicyQuery::inbound(*flows[i]);
    const std::span<const PolicyQuery> asked(queries, flows.size());
    s.configured.first(asked, view.version, policies, kAny);
    s.own.first(asked, view.version, own, kAny);
    for (std::size_t i = 0; i < flows.size(); ++i) {
        if (policies[i] != nullptr) {
            verdicts[i] = {.action = policies[i]->target.action};
        } else if (own[i] != nullptr) {
            verdicts[i] = {.action = PolicyAction::protect};
        } else {
            verdicts[i] = {.action = view.default_action, .by_default = true};
        }
    }
}

bool SpdIndex::may_protect(const PolicyQuery& q) const {
    const State& s = *state_;
    const std::uint64_t version = s.view().version;
    const RuleNode* const match = s.configured.first(q, version);
    const RuleNode* const possible = s.configured.first_possible(q, version);
    if (possible != nullptr && (match == nullptr || possible->rank < match->rank)) return true;
    return match == nullptr && s.own.first_possible(q, version) != nullptr;
}

bool SpdIndex::may_protect_outbound(const Flow& flow) const { return may_protect(PolicyQuery::outbound(flow)); }
bool SpdIndex::may_protect_inbound(const Flow& flow) const { return may_protect(PolicyQuery::inbound(flow)); }

LookupCost SpdIndex::cost_outbound(const Flow& flow) const {
    LookupCost cost;
    const PolicyQuery q = PolicyQuery::outbound(flow);
    const std::span<const PolicyQuery> one(&q, 1);
    const std::uint64_t version = state_->view().version;
    const RuleNode* policy;
    const RuleNode* sa;
    state_->configured.first(one, version, &policy, kAny, &cost);
    if (policy != nullptr && policy->target.action != PolicyAction::protect) return cost;
    state_->own.first(one, version, &sa, kSends, &cost);
    if (sa == nullptr && policy != nullptr) policy->target.slot->sas.first(one, version, &sa, kAny, &cost);
    return cost;
}

bool SpdIndex::Configured::same_as(const ipsec::Policy& p) const {
    return id == p.id && action == p.action && trap == p.trap && local == p.local && remote == p.remote;
}

// Which of the policies that there are stay where they are: those that are unchanged, as many as are still in order.
PolicyOrder SpdIndex::plan(const ipsec::Spd& spd) const {
    std::unordered_map<PolicyId, std::size_t> by_id;
    for (std::size_t i = 0; i < policies_.size(); ++i) by_id.emplace(policies_[i].id, i);
    PolicyOrder order(spd.policies.size());
    for (std::size_t i = 0; i < spd.policies.size(); ++i) {
        const auto found = by_id.find(spd.policies[i].id);
        if (found == by_id.end() || !policies_[found->second].same_as(spd.policies[i])) continue;
        order.match(i, found->second, policies_[found->second].rank);
        by_id.erase(found);
    }
    order.settle();
    return order;
}

void SpdIndex::set_policies(const ipsec::Spd& spd) {
    State& s = *state_;
    const PolicyOrder order = plan(spd);
    const std::uint64_t version = s.next_version();
    std::vector<Configured> next(spd.policies.size());
    // Backwards, so that a list of many rules with one key is filled at its front.
    for (std::size_t i = next.size(); i-- > 0;) {
        if (const auto kept = order.kept(i)) {
            next[i] = std::move(policies_[*kept]);
            policies_[*kept].kept = true;
            continue;
        }
        const ipsec::Policy& p = spd.policies[i];
        PolicySlot* const slot = s.use_slot(p.id);
        RuleNode* const rule = s.configured.add({.selectors = CompiledSelectors::of(p.local, p.remote),
                                                 .target = {.slot = slot, .action = p.action, .trap = p.trap},
                                                 .rank = order.rank(i),
                                                 .version = version});
        next[i] = {.id = p.id,
                   .action = p.action,
                   .trap = p.trap,
                   .local = p.local,
                   .remote = p.remote,
                   .rank = order.rank(i),
                   .slot = slot,
                   .rule = rule};
    }
    std::swap(policies_, next);
    for (const Configured& old : next) {
        if (!old.kept) RuleSet::expire(old.rule, version);
    }
    s.publish(spd.default_action);
    for (const Configured& old : next) {
        if (!old.kept) State::retire(state_, s.configured, old.slot, old.rule);
    }
}

// The new rule and the end of the old one in one step.
void SpdIndex::replace_rule(SaRule& current, const RuleTarget& target, const CompiledSelectors& selectors) {
    State& s = *state_;
    const std::uint64_t version = s.next_version();
    const SaRule old = current;
    current.slot = target.slot;
    current.rule = s.sas_of(target.slot)
                       .add({.selectors = selectors, .target = target, .rank = next_sa_rank_--, .version = version});
    if (target.slot != nullptr) target.slot->sa_count.fetch_add(1, std::memory_order_relaxed);
    RuleSet::expire(old.rule, version);
    s.publish();
    retire(old);
}

void SpdIndex::retire(const SaRule& rule) {
    if (rule.slot != nullptr) rule.slot->sa_count.fetch_sub(1, std::memory_order_relaxed);
    if (rule.slot == nullptr && rule.rule == nullptr) return;
    State::retire(state_, state_->sas_of(rule.slot), rule.slot, rule.rule);
}

void SpdIndex::protect(OutboundSa& sa, const CompiledSelectors& selectors) {
    replace_rule(sas_[&sa], {.sa = &sa, .sends = false}, selectors);
}

void SpdIndex::attach(PolicyId policy, OutboundSa& sa, const CompiledSelectors& selectors) {
    PolicySlot* const slot = policy.value == 0 ? nullptr : state_->use_slot(policy);
    replace_rule(sas_[&sa], {.slot = slot, .sa = &sa, .sends = true}, selectors);
}

void SpdIndex::remove(const OutboundSa& sa) {
    const auto found = sas_.find(&sa);
    if (found == sas_.end()) return;
    RuleSet::expire(found->second.rule, state_->next_version());
    state_->publish();
    retire(found->second);
    sas_.erase(found);
}

}  // namespace sluice::dataplane
