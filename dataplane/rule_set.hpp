// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/flow.hpp"
#include "dataplane/pointer_table.hpp"
#include "lib/ipsec/policy.hpp"

namespace sluice::dataplane {

struct OutboundSa;
struct PolicySlot;
class TupleTable;

// A flow as a policy sees it: the packet's destination is remote on its way out, its source on its way in.
struct PolicyQuery {
    Address128 remote;
    Address128 local;
    net::Family family;
    std::uint8_t protocol;
    bool ports_known;
    std::uint16_t remote_port;
    std::uint16_t local_port;

    static PolicyQuery outbound(const Flow& f) {
        return {f.destination, f.source, f.family, f.protocol, f.ports_known, f.destination_port, f.source_port};
    }
    static PolicyQuery inbound(const Flow& f) {
        return {f.source, f.destination, f.family, f.protocol, f.ports_known, f.source_port, f.destination_port};
    }
    Flow flow() const {
        return {.source = local,
                .destination = remote,
                .family = family,
                .protocol = protocol,
                .ports_known = ports_known,
                .source_port = local_port,
                .destination_port = remote_port};
    }
};

// What is decided where a rule matches.
struct RuleTarget {
    PolicySlot* slot = nullptr;  // of a configured policy
    OutboundSa* sa = nullptr;    // of an SA
    ipsec::PolicyAction action = ipsec::PolicyAction::protect;
    bool trap = false;
    bool sends = false;  // of an SA: it carries outbound traffic
};

// A rule as it is filed under one key; a rule has one, or a chain of a few (sibling). Lower ranks come first. It counts
// for lookups of versions from added on and before removed, so that several changes take effect in one step.
//
// Control makes it whole before it is linked; then control writes next (release) and removed (relaxed, before the
// version is published), and workers read. The first two lines are what a lookup reads.
struct alignas(64) RuleNode {
    static constexpr std::uint64_t kNever = ~std::uint64_t{0};

    std::uint64_t hash = 0;
    std::atomic<RuleNode*> next{nullptr};  // the same key, behind this one
    std::uint64_t rank = 0;
    std::uint64_t added = 0;
    std::atomic<std::uint64_t> removed{kNever};
    RuleTarget target;

    PortMatch remote_ports;
    PortMatch local_ports;
    net::Family family = net::Family::none;   // none: many tells
    std::uint32_t v4[4] = {};                 // remote first and last, local first and last
    const CompiledSelectors* many = nullptr;  // where there is more than one selector on a side
    RuleNode* previous = nullptr;             // control
    TupleTable* table = nullptr;              // control; null: in the list
    RuleNode* sibling = nullptr;              // control; the first of a chain owns many

    bool visible(std::uint64_t version) const {
        return added <= version && version < removed.load(std::memory_order_relaxed);
    }
    bool covers(const PolicyQuery& q) const;
    bool matches(const PolicyQuery& q) const {
        if (many != nullptr) return many->matches_outbound(q.flow());
        return covers(q) && remote_ports.matches(q.protocol, q.ports_known, q.remote_port) &&
               local_ports.matches(q.protocol, q.ports_known, q.local_port);
    }
    // Whether it could match if the ports were seen.
    bool may_match(const PolicyQuery& q) const {
        if (many != nullptr) return many->may_match_outbound(q.flow());
        return covers(q) && remote_ports.may_match(q.protocol) && local_ports.may_match(q.protocol);
    }
};
struct RuleNode6 : RuleNode {
    Address128 v6[4] = {};
};
static_assert(sizeof(RuleNode) == 128 && sizeof(RuleNode6) == 192);

inline bool RuleNode::covers(const PolicyQuery& q) const {
    if (family != q.family) return false;
    if (family == net::Family::v4) {
        const auto remote = static_cast<std::uint32_t>(q.remote);
        const auto local = static_cast<std::uint32_t>(q.local);
        return remote >= v4[0] && remote <= v4[1] && local >= v4[2] && local <= v4[3];
    }
    const auto& v6 = static_cast<const RuleNode6*>(this)->v6;
    return q.remote >= v6[0] && q.remote <= v6[1] && q.local >= v6[2] && q.local <= v6[3];
}

// A masked remote address, a masked local one, and perhaps one protocol and port.
struct TupleShape {
    // unseen: a rule about one port, filed once more by its addresses, for packets whose ports are not to be seen.
    enum class Ports : std::uint8_t { any, remote, local, unseen };
    net::Family family = net::Family::v4;
    std::uint8_t remote_bits = 0;
    std::uint8_t local_bits = 0;
    Ports ports = Ports::any;
    friend bool operator==(const TupleShape&, const TupleShape&) = default;
};

// The rules of one TupleShape: lists by key, each in the order of ranks.
class TupleTable {
  public:
    TupleTable(const TupleShape& shape, Reclaimer& reclaimer);
    const TupleShape& shape() const { return shape_; }

    // Workers.
    std::uint64_t hash(const PolicyQuery& q) const;
    std::uint64_t first_rank() const { return first_rank_.load(std::memory_order_relaxed); }
    const RuleNode* list(std::uint64_t hash) const {
        return lists_.find(hash, [hash](const RuleNode& n) { return n.hash == hash; });
    }
    void prefetch_list(std::uint64_t hash) const { __builtin_prefetch(lists_.locate(hash).bucket); }
    void prefetch_rule(std::uint64_t hash) const {
        const RuleNode* const node = Lists::peek(lists_.locate(hash), hash);
        __builtin_prefetch(node);
        __builtin_prefetch(reinterpret_cast<const char*>(node) + 64);
    }

    // Control.
    void link(RuleNode& node);
    void unlink(RuleNode& node);
    bool empty() const { return rules_ == 0; }
    // Whether the list of this key has so many rules.
    bool reaches(std::uint64_t hash, unsigned length) const;

  private:
    struct HashOf {
        std::uint64_t operator()(const RuleNode& node) const { return node.hash; }
    };
    using Lists = PointerTable<RuleNode, HashOf>;
    const TupleShape shape_;
    Address128 remote_mask_ = 0;
    Address128 local_mask_ = 0;
    std::atomic<std::uint64_t> first_rank_{RuleNode::kNever};  // none ranks before it
    std::size_t rules_ = 0;                                    // control
    Lists lists_;
};

// How much a lookup had to look at, for tests.
struct LookupCost {
    unsigned tables = 0;
    unsigned rules = 0;
};

// Rules in an order, and the first of them that matches a flow. Control writes; workers read without locks.
//
// A rule is filed in the table of its tuple: the lengths of the prefixes that its ranges of addresses fill, and the
// port where it is about one. A lookup asks each table once, so its cost grows with the tuples that there are (of
// 100,000 rules for single addresses there is one) and with the rules of one key, not with the rules. A range that is
// no prefix is filed under the one or two that enclose it closely; the rule itself has the last word. Beyond kFewTuples
// a new tuple is made only where a list would grow long, otherwise the rule goes to a table with shorter prefixes. The
// first few rules are in a plain list, which is searched faster than a table.
class RuleSet {
  public:
    static constexpr unsigned kFewTuples = 8;  // of a family
    static constexpr unsigned kLongList = 8;

    // listed: how many rules stand in the plain list.
    RuleSet(Reclaimer& reclaimer, unsigned listed);
    ~RuleSet();
    RuleSet(const RuleSet&) = delete;
    RuleSet& operator=(const RuleSet&) = delete;

    // Workers. The first visible rule that matches and that accept takes, or null.
    template <class Accept>
    const RuleNode* first(const PolicyQuery& q, std::uint64_t version, const Accept& accept,
                          LookupCost* cost = nullptr) const {
        return search(q, Ports::seen, cost,
                      [&](const RuleNode& n) { return n.visible(version) && n.matches(q) && accept(n); });
    }
    // The first one that protects and could match if the ports were seen.
    const RuleNode* first_possible(const PolicyQuery& q, std::uint64_t version) const {
        return search(q, Ports::unseen, nullptr, [&](const RuleNode& n) {
            return n.visible(version) && n.target.action == ipsec::PolicyAction::protect && n.may_match(q);
        });
    }
    bool empty() const {
        return list_.load(std::memory_order_relaxed) == nullptr && shape_.load(std::memory_order_relaxed) == nullptr;
    }
    // How many nodes are in tables.
    std::uint32_t filed() const { return filed_.load(std::memory_order_relaxed); }
    void prefetch_lists(const PolicyQuery& q) const;
    void prefetch_rules(const PolicyQuery& q) const;

    // Control. Files a rule, which nobody sees before version; null where it can match nothing.
    struct Spec {
        const CompiledSelectors& selectors;
        RuleTarget target;
        std::uint64_t rank = 0;
        std::uint64_t version = 0;
    };
    RuleNode* add(const Spec& spec);
    // From this version on nobody sees it. Stays linked until unlink(), a grace period later.
    static void expire(RuleNode* rule, std::uint64_t version);
    void unlink(RuleNode* rule);
    // After another grace period.
    static void destroy(RuleNode* rule);

  private:
    enum class Ports : std::uint8_t { seen, unseen };
    struct Filing {
        TupleShape shape;
        Address128 remote = 0;
        Address128 local = 0;
        std::uint16_t port = 0;
        std::uint8_t protocol = 0;
    };
    // Immutable once published.
    struct Tables {
        std::vector<TupleTable*> v4;
        std::vector<TupleTable*> v6;
        const std::vector<TupleTable*>& of(net::Family f) const { return f == net::Family::v4 ? v4 : v6; }
        std::vector<TupleTable*>& of(net::Family f) { return f == net::Family::v4 ? v4 : v6; }
    };

    template <class Accept>
    const RuleNode* search(const PolicyQuery& q, Ports ports, LookupCost* cost, const Accept& accept) const {
        const RuleNode* best = nullptr;
        std::uint64_t below = RuleNode::kNever;
        const auto walk = [&](const RuleNode* n) {
            for (; n != nullptr && n->rank < below; n = n->next.load(std::memory_order_acquire)) {
                if (cost != nullptr) ++cost->rules;
                if (!accept(*n)) continue;
                best = n;
                below = n->rank;
                return;
            }
        };
        walk(list_.load(std::memory_order_acquire));
        const Tables* const tables = shape_.load(std::memory_order_acquire);
        if (tables == nullptr) return best;
        for (const TupleTable* t : tables->of(q.family)) {
            if (t->first_rank() >= below || !serves(*t, q, ports)) continue;
            if (cost != nullptr) ++cost->tables;
            walk(t->list(t->hash(q)));
        }
        return best;
    }
    static bool serves(const TupleTable& t, const PolicyQuery& q, Ports ports) {
        switch (t.shape().ports) {
            case TupleShape::Ports::any:
                return true;
            case TupleShape::Ports::unseen:
                return ports == Ports::unseen;
            default:
                return ports == Ports::seen && q.ports_known;
        }
    }

    static PolicyQuery query_of(const Filing& filing);
    static std::vector<Filing> filings_of(const CompiledSelectors& selectors, bool protects);
    static RuleNode* make_node(const Spec& spec, net::Family family, const CompiledSelectors* many);
    void link_listed(RuleNode& node);
    void unlink_listed(RuleNode& node);
    void file(RuleNode& node, const Filing& filing);
    TupleTable& table_for(const Filing& filing);
    TupleTable& create(const TupleShape& shape);
    void discard(TupleTable& table);
    void publish(std::unique_ptr<Tables> next);

    Reclaimer& reclaimer_;
    const unsigned most_listed_;
    unsigned listed_ = 0;                        // control
    std::atomic<RuleNode*> list_{nullptr};       // control writes, workers read
    std::atomic<const Tables*> shape_{nullptr};  // control writes, workers read
    std::unique_ptr<Tables> tables_;             // control
    std::atomic<std::uint32_t> filed_{0};        // control writes, workers read
};

}  // namespace sluice::dataplane
