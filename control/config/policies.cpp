// SPDX-License-Identifier: Apache-2.0
#include "control/config/policies.hpp"

#include <algorithm>
#include <deque>

namespace sluice::control {
namespace {

using ipsec::Policy;
using ipsec::PolicyAction;
using ipsec::TrafficSelectors;

// A policy on its way into the SPD: whose it is, and where its id goes.
struct Candidate {
    Policy policy;
    PolicyId* id;
    const ConfigNode* node;
    std::string path;
    bool shunt() const { return policy.action != PolicyAction::protect; }
};

bool covers(const TrafficSelectors& outer, const TrafficSelectors& inner) {
    return std::all_of(inner.begin(), inner.end(), [&](const auto& i) {
        return std::any_of(outer.begin(), outer.end(), [&](const auto& o) { return o.contains(i); });
    });
}
bool covers(const Policy& outer, const Policy& inner) {
    return covers(outer.local, inner.local) && covers(outer.remote, inner.remote);
}

bool all_plain(const std::vector<ipsec::ConfiguredSelector>& selectors) {
    return std::none_of(selectors.begin(), selectors.end(), [](const auto& s) { return s.dynamic; });
}

TrafficSelectors plain(const std::vector<ipsec::ConfiguredSelector>& selectors) {
    TrafficSelectors out;
    for (const auto& s : selectors) out.push_back(s.selector);
    return out;
}

// Inserts before the first policy of the same class that covers it, at the end of its class otherwise. So no policy
// ever stands behind one that covers it, unless it is a shunt's turn first.
void insert(std::deque<Candidate>& ordered, Candidate candidate, Findings& findings) {
    const auto same_class = [&](const Candidate& c) { return c.shunt() == candidate.shunt(); };
    auto place = ordered.end();
    if (candidate.shunt()) {
        place = std::find_if(ordered.begin(), ordered.end(), [](const Candidate& c) { return !c.shunt(); });
    }
    for (auto it = ordered.begin(); it != ordered.end(); ++it) {
        if (!covers(it->policy, candidate.policy)) continue;
        if (covers(candidate.policy, it->policy) && same_class(*it)) {
            findings.error(*candidate.node, candidate.path,
                           "has the same selectors as " + it->path + ": it can never be reached");
            return;
        }
        if (!same_class(*it) && it->shunt()) {
            findings.warning(*candidate.node, candidate.path,
                             "is hidden by " + it->path + ", a pass or drop policy that covers it");
            continue;
        }
        if (same_class(*it)) {
            place = it;
            break;
        }
    }
    ordered.insert(place, std::move(candidate));
}

// The connections' own part: children into config, each with its policy.
class PolicyMaker {
  public:
    PolicyMaker(const ConfigNode& root, Config& config) : root_(root), config_(config) {}

    void add(std::vector<ConnectionDraft> drafts) {
        reserve(drafts);
        for (ConnectionDraft& draft : drafts) add(std::move(draft));
        for (ipsec::ChildSa& sa : config_.static_sas) add(sa);
    }
    // Shunts first: they are candidates before any protect policy is.
    std::vector<Candidate> take() && {
        std::stable_partition(candidates_.begin(), candidates_.end(), [](const Candidate& c) { return c.shunt(); });
        return std::move(candidates_);
    }

  private:
    // Candidates point into config's vectors: those must not grow afterwards.
    void reserve(const std::vector<ConnectionDraft>& drafts) {
        std::size_t shunts = 0;
        for (const ConnectionDraft& draft : drafts) shunts += draft.children.size();
        config_.connections.reserve(drafts.size());
        config_.shunts.reserve(shunts);
    }

    void add(ConnectionDraft draft) {
        const ConfigNode& node = *root_.find("connections")->find(draft.config.name);
        const std::string path = "connections." + draft.config.name + ".children.";
        auto& children = draft.config.children;
        children.reserve(draft.children.size());
        ike::ConnectionConfig* connection = nullptr;
        if (draft.authenticates) {
            config_.connections.push_back(std::move(draft.config));
            connection = &config_.connections.back();
            connection->children.reserve(draft.children.size());
        }
        for (ChildDraft& child : draft.children) {
            const ConfigNode& at = *node.find("children")->find(child.config.name);
            if (child.mode == ChildMode::tunnel) {
                add_tunnel(std::move(child), *connection, at, path);
            } else {
                add_shunt(child, node.key, at, path);
            }
        }
    }

    void add_tunnel(ChildDraft draft, ike::ConnectionConfig& connection, const ConfigNode& at,
                    const std::string& path) {
        connection.children.push_back(std::move(draft.config));
        ike::ChildConfig& child = connection.children.back();
        if (!all_plain(child.local_ts) || !all_plain(child.remote_ts)) return;
        Policy policy{{}, child.name, PolicyAction::protect, plain(child.local_ts), plain(child.remote_ts), draft.trap};
        candidates_.push_back({std::move(policy), &child.policy, &at, path + child.name});
    }

    void add_shunt(const ChildDraft& draft, const std::string& connection, const ConfigNode& at,
                   const std::string& path) {
        const ike::ChildConfig& child = draft.config;
        if (!all_plain(child.local_ts) || !all_plain(child.remote_ts)) return;  // a finding already
        const PolicyAction action = draft.mode == ChildMode::pass ? PolicyAction::bypass : PolicyAction::discard;
        config_.shunts.push_back({connection, child.name, action, plain(child.local_ts), plain(child.remote_ts), {}});
        ShuntConfig& shunt = config_.shunts.back();
        Policy policy{{}, child.name, action, shunt.local_ts, shunt.remote_ts, false};
        candidates_.push_back({std::move(policy), &shunt.policy, &at, path + child.name});
    }

    void add(ipsec::ChildSa& sa) {
        if (sa.local_ts.empty() || sa.remote_ts.empty()) return;  // a finding already
        Policy policy{{}, sa.name, PolicyAction::protect, sa.local_ts, sa.remote_ts, false};
        candidates_.push_back(
            {std::move(policy), &sa.policy, root_.find("static")->find(sa.name), "static." + sa.name});
    }

    const ConfigNode& root_;
    Config& config_;
    std::vector<Candidate> candidates_;
};

}  // namespace

void make_policies(const ConfigNode& root, std::vector<ConnectionDraft> drafts, Config& config, Findings& findings) {
    PolicyMaker maker(root, config);
    maker.add(std::move(drafts));
    std::deque<Candidate> ordered;
    for (Candidate& candidate : std::move(maker).take()) insert(ordered, std::move(candidate), findings);
    std::uint32_t next = 1;
    for (Candidate& candidate : ordered) {
        candidate.policy.id = PolicyId(next++);
        *candidate.id = candidate.policy.id;
        config.spd.policies.push_back(std::move(candidate.policy));
    }
}

}  // namespace sluice::control
