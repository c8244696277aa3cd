// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
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
    std::uint32_t remote_v4() const { return static_cast<std::uint32_t>(remote); }
    std::uint32_t local_v4() const { return static_cast<std::uint32_t>(local); }
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
    bool plain_v4 = false;                    // v4 is all that there is to compare
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
        if (plain_v4) return q.family == net::Family::v4 && covers_v4(q);
        return matches_any(q);
    }
    bool covers_v4(const PolicyQuery& q) const {
        const std::uint32_t r = q.remote_v4();
        const std::uint32_t l = q.local_v4();
        return r >= v4[0] && r <= v4[1] && l >= v4[2] && l <= v4[3];
    }
    [[gnu::noinline]] bool matches_any(const PolicyQuery& q) const {
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
    if (family == net::Family::v4) return covers_v4(q);
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
    struct HashOf {
        std::uint64_t operator()(const RuleNode& node) const { return node.hash; }
    };
    using Lists = PointerTable<RuleNode, HashOf>;

  public:
    TupleTable(const TupleShape& shape, Reclaimer& reclaimer);
    const TupleShape& shape() const { return shape_; }

    // Workers. A lookup in steps: what one brings into the cache is there for the next.
    struct Place {
        std::uint64_t hash;
        Lists::Place at;
        const RuleNode* guess;
    };
    std::uint64_t first_rank() const { return first_rank_.load(std::memory_order_relaxed); }
    std::uint64_t hash(const PolicyQuery& q) const {
        std::uint64_t key = shape_.family == net::Family::v4
                                ? (std::uint64_t{q.remote_v4()} << 32 | q.local_v4()) & v4_mask_
                                : key_v6(q);
        if (shape_.ports != TupleShape::Ports::any) key += key_port(q);
        return mix(key ^ kSeed[2], kSeed[0]);
    }
    Place locate(std::uint64_t hash) const {
        const Lists::Place at = lists_.locate(hash);
        __builtin_prefetch(at.bucket);
        return {hash, at, nullptr};
    }
    static void guess(Place& place) {
        place.guess = Lists::peek(place.at, place.hash);
        if (place.guess == nullptr) return;
        __builtin_prefetch(place.guess);
        __builtin_prefetch(&place.guess->remote_ports);
    }
    static const RuleNode* list(const Place& place) {
        if (place.guess != nullptr && place.guess->hash == place.hash) return place.guess;
        return Lists::find_at(place.at, place.hash, [&place](const RuleNode& n) { return n.hash == place.hash; });
    }

    // Control.
    void link(RuleNode& node);
    void unlink(RuleNode& node);
    bool empty() const { return rules_ == 0; }
    // Whether the list of this key has so many rules.
    bool reaches(std::uint64_t hash, unsigned length) const;

  private:
    static constexpr std::uint64_t kSeed[] = {0x2d358dccaa6c78a5, 0x8bb84b93962eacc9, 0x4b33a62ed433d4a3,
                                              0x4d5a2da51de1aa47};
    static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
        const Address128 product = static_cast<Address128>(a) * b;
        return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    }
    std::uint64_t key_v6(const PolicyQuery& q) const;
    std::uint64_t key_port(const PolicyQuery& q) const;

    const TupleShape shape_;
    Address128 remote_mask_ = 0;
    Address128 local_mask_ = 0;
    std::uint64_t v4_mask_ = 0;                                // IPv4: both masks in one word
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

    // Workers. For each query of a burst (kMaxQueries at most) the first visible rule that matches and that
    // accept(query's place, rule) takes, or null. The misses of one step are under way together.
    static constexpr std::size_t kMaxQueries = 64;
    template <class Accept>
    void first(std::span<const PolicyQuery> queries, std::uint64_t version, const RuleNode** found,
               const Accept& accept, LookupCost* cost = nullptr) const {
        search(queries, Ports::seen, found, cost, [&](std::size_t i, const RuleNode& n) {
            return n.visible(version) && n.matches(queries[i]) && accept(i, n);
        });
    }
    // For one query, the first visible rule that matches.
    const RuleNode* first(const PolicyQuery& q, std::uint64_t version) const {
        const RuleNode* found;
        first({&q, 1}, version, &found, [](std::size_t, const RuleNode&) { return true; });
        return found;
    }
    // The first one that protects and could match if the ports were seen.
    const RuleNode* first_possible(const PolicyQuery& q, std::uint64_t version) const {
        const RuleNode* found;
        search({&q, 1}, Ports::unseen, &found, nullptr, [&](std::size_t, const RuleNode& n) {
            return n.visible(version) && n.target.action == ipsec::PolicyAction::protect && n.may_match(q);
        });
        return found;
    }
    bool empty() const {
        return list_.load(std::memory_order_relaxed) == nullptr && shape_.load(std::memory_order_relaxed) == nullptr;
    }

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

    // The rules of one key, or the list: the first that accept(query's place, rule) takes is the query's best.
    template <class Accept>
    static void walk(const RuleNode* n, std::size_t i, const RuleNode** best, LookupCost* cost, const Accept& accept) {
        const std::uint64_t below = best[i] == nullptr ? RuleNode::kNever : best[i]->rank;
        for (; n != nullptr && n->rank < below; n = n->next.load(std::memory_order_acquire)) {
            if (cost != nullptr) ++cost->rules;
            if (accept(i, *n)) {
                best[i] = n;
                return;
            }
        }
    }
    template <class Accept>
    static void ask(const TupleTable& t, std::span<const PolicyQuery> queries, Ports ports, const RuleNode** best,
                    LookupCost* cost, const Accept& accept) {
        const TupleShape::Ports filed_by = t.shape().ports;
        if (filed_by == TupleShape::Ports::unseen && ports == Ports::seen) return;
        const bool by_port = filed_by == TupleShape::Ports::remote || filed_by == TupleShape::Ports::local;
        if (by_port && ports == Ports::unseen) return;
        TupleTable::Place places[kMaxQueries];
        std::uint8_t asking[kMaxQueries];
        std::size_t count = 0;
        for (std::size_t i = 0; i < queries.size(); ++i) {
            const PolicyQuery& q = queries[i];
            if (t.shape().family != q.family || (by_port && !q.ports_known)) continue;
            if (best[i] != nullptr && t.first_rank() >= best[i]->rank) continue;
            places[count] = t.locate(t.hash(q));
            asking[count++] = static_cast<std::uint8_t>(i);
        }
        if (cost != nullptr) cost->tables += static_cast<unsigned>(count);
        for (std::size_t k = 0; k < count; ++k) TupleTable::guess(places[k]);
        for (std::size_t k = 0; k < count; ++k) walk(TupleTable::list(places[k]), asking[k], best, cost, accept);
    }
    template <class Accept>
    void search(std::span<const PolicyQuery> queries, Ports ports, const RuleNode** best, LookupCost* cost,
                const Accept& accept) const {
        std::fill_n(best, queries.size(), nullptr);
        if (const RuleNode* const list = list_.load(std::memory_order_acquire); list != nullptr) {
            for (std::size_t i = 0; i < queries.size(); ++i) walk(list, i, best, cost, accept);
        }
        const Tables* const tables = shape_.load(std::memory_order_acquire);
        if (tables == nullptr) return;
        for (const TupleTable* t : tables->v4) ask(*t, queries, ports, best, cost, accept);
        for (const TupleTable* t : tables->v6) ask(*t, queries, ports, best, cost, accept);
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
};

}  // namespace sluice::dataplane
