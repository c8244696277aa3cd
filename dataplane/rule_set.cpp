// SPDX-License-Identifier: Apache-2.0
#include "dataplane/rule_set.hpp"

#include <algorithm>
#include <utility>

namespace sluice::dataplane {

namespace {

unsigned width_of(net::Family f) { return f == net::Family::v4 ? 32 : 128; }

Address128 mask_of(unsigned bits, unsigned width) {
    const Address128 all = width == 128 ? ~Address128{0} : (Address128{1} << width) - 1;
    return bits == 0 ? 0 : all << (width - bits) & all;
}

struct Cover {
    Address128 value = 0;
    unsigned bits = 0;
};

// The longest prefix that holds both.
Cover enclosing(Address128 first, Address128 last, unsigned width) {
    unsigned bits = 0;
    while (bits < width && ((first ^ last) & mask_of(bits + 1, width)) == 0) ++bits;
    return {first & mask_of(bits, width), bits};
}

// One prefix where the range is one, else the two that enclose its parts left and right of the bit in which its ends
// differ. Neither is more than twice as large as its part.
void add_covers(std::vector<Cover>& out, const CompiledSelector& s) {
    const unsigned width = width_of(s.family);
    const Cover whole = enclosing(s.first, s.last, width);
    const Address128 mask = mask_of(whole.bits, width);
    if (s.first == whole.value && (s.last & ~mask) == (mask_of(width, width) & ~mask)) {
        out.push_back(whole);
        return;
    }
    const Address128 middle = s.last & mask_of(whole.bits + 1, width);
    out.push_back(enclosing(s.first, middle - 1, width));
    out.push_back(enclosing(middle, s.last, width));
}

// What a side of a rule covers in one family.
struct Side {
    std::vector<Cover> covers;
    Cover whole;

    Side(const std::vector<CompiledSelector>& selectors, net::Family family) {
        Address128 first = ~Address128{0};
        Address128 last = 0;
        for (const CompiledSelector& s : selectors) {
            if (s.family != family) continue;
            add_covers(covers, s);
            first = std::min(first, s.first);
            last = std::max(last, s.last);
        }
        if (!covers.empty()) whole = enclosing(first, last, width_of(family));
    }
    unsigned least_bits() const {
        const auto least = std::ranges::min_element(covers, {}, &Cover::bits);
        return least == covers.end() ? 0 : least->bits;
    }
    void coarsen() { covers = {whole}; }
};

std::uint64_t upper(Address128 n) { return static_cast<std::uint64_t>(n >> 64); }
std::uint64_t lower(Address128 n) { return static_cast<std::uint64_t>(n); }

template <class SetHead>
void splice_in(RuleNode* head, RuleNode& node, const SetHead& set_head) {
    RuleNode* before = nullptr;
    RuleNode* after = head;
    while (after != nullptr && after->rank < node.rank) {
        before = after;
        after = after->next.load(std::memory_order_relaxed);
    }
    node.previous = before;
    node.next.store(after, std::memory_order_relaxed);
    if (after != nullptr) after->previous = &node;
    before == nullptr ? set_head(&node) : before->next.store(&node, std::memory_order_release);
}

// The node itself still leads on to what is behind it.
template <class SetHead>
void splice_out(RuleNode& node, const SetHead& set_head) {
    RuleNode* const after = node.next.load(std::memory_order_relaxed);
    if (after != nullptr) after->previous = node.previous;
    node.previous == nullptr ? set_head(after) : node.previous->next.store(after, std::memory_order_release);
}

bool one_each(const CompiledSelectors& s) { return s.local.size() == 1 && s.remote.size() == 1; }

}  // namespace

TupleTable::TupleTable(const TupleShape& shape, Reclaimer& reclaimer)
    : shape_(shape),
      remote_mask_(mask_of(shape.remote_bits, width_of(shape.family))),
      local_mask_(mask_of(shape.local_bits, width_of(shape.family))),
      v4_mask_(lower(remote_mask_) << 32 | lower(local_mask_)),
      lists_(reclaimer) {}

std::uint64_t TupleTable::key_v6(const PolicyQuery& q) const {
    const Address128 remote = q.remote & remote_mask_;
    const Address128 local = q.local & local_mask_;
    const std::uint64_t key = mix(upper(remote) ^ kSeed[0], lower(remote) ^ kSeed[1]) + lower(local);
    return shape_.local_bits == 0 ? key : key ^ mix(upper(local) ^ kSeed[2], lower(local) ^ kSeed[3]);
}

// A rule that is filed by its addresses alone, for ports that are not seen, adds none.
std::uint64_t TupleTable::key_port(const PolicyQuery& q) const {
    const std::uint64_t protocol = std::uint64_t{q.protocol} << 16;
    if (shape_.ports == TupleShape::Ports::remote) return (q.remote_port | protocol) * kSeed[3];
    return shape_.ports == TupleShape::Ports::local ? (q.local_port | protocol) * kSeed[3] : 0;
}

void TupleTable::link(RuleNode& node) {
    ++rules_;
    if (node.rank < first_rank()) first_rank_.store(node.rank, std::memory_order_relaxed);
    auto* const head = const_cast<RuleNode*>(list(locate(node.hash)));
    splice_in(head, node, [&](RuleNode* first) {
        head == nullptr ? lists_.insert(node.hash, first) : lists_.replace(node.hash, head, first);
    });
}

void TupleTable::unlink(RuleNode& node) {
    --rules_;
    splice_out(node, [&](RuleNode* first) {
        first == nullptr ? lists_.remove(node.hash, &node) : lists_.replace(node.hash, &node, first);
    });
}

bool TupleTable::reaches(std::uint64_t hash, unsigned length) const {
    for (const RuleNode* n = list(locate(hash)); n != nullptr; n = n->next.load(std::memory_order_relaxed)) {
        if (length-- <= 1) return true;
    }
    return false;
}

RuleSet::RuleSet(Reclaimer& reclaimer, unsigned listed) : reclaimer_(reclaimer), most_listed_(listed) {}

RuleSet::~RuleSet() {
    if (!tables_) return;
    for (TupleTable* t : tables_->v4) delete t;
    for (TupleTable* t : tables_->v6) delete t;
}

std::vector<RuleSet::Filing> RuleSet::filings_of(const CompiledSelectors& selectors, bool protects) {
    std::vector<Filing> out;
    Filing filing;
    if (one_each(selectors)) {
        const PortMatch& remote = selectors.remote[0].ports;
        const PortMatch& local = selectors.local[0].ports;
        if (remote.exact() || local.exact()) {
            filing.shape.ports = remote.exact() ? TupleShape::Ports::remote : TupleShape::Ports::local;
            filing.port = remote.exact() ? remote.first : local.first;
            filing.protocol = remote.exact() ? remote.protocol : local.protocol;
        }
    }
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        Side remote(selectors.remote, family);
        Side local(selectors.local, family);
        if (remote.covers.size() * local.covers.size() > 4) {
            (remote.least_bits() < local.least_bits() ? remote : local).coarsen();
        }
        filing.shape.family = family;
        for (const Cover& r : remote.covers) {
            for (const Cover& l : local.covers) {
                filing.remote = r.value;
                filing.local = l.value;
                filing.shape.remote_bits = static_cast<std::uint8_t>(r.bits);
                filing.shape.local_bits = static_cast<std::uint8_t>(l.bits);
                out.push_back(filing);
            }
        }
    }
    if (filing.shape.ports == TupleShape::Ports::any || !protects) return out;
    for (std::size_t i = out.size(); i-- > 0;) {
        out.push_back(out[i]);
        out.back().shape.ports = TupleShape::Ports::unseen;
    }
    return out;
}

RuleNode* RuleSet::make_node(const Spec& spec, net::Family family, const CompiledSelectors* many) {
    const bool v6 = many == nullptr && family == net::Family::v6;
    RuleNode* const node = v6 ? new RuleNode6 : new RuleNode;
    node->rank = spec.rank;
    node->added = spec.version;
    node->target = spec.target;
    node->many = many;
    if (many != nullptr) return node;
    const CompiledSelector& remote = spec.selectors.remote[0];
    const CompiledSelector& local = spec.selectors.local[0];
    node->remote_ports = remote.ports;
    node->local_ports = local.ports;
    node->family = family;
    node->plain_v4 = family == net::Family::v4 && remote.ports.any() && local.ports.any();
    const Address128 ranges[4] = {remote.first, remote.last, local.first, local.last};
    for (std::size_t i = 0; i < 4; ++i) {
        if (v6) {
            static_cast<RuleNode6*>(node)->v6[i] = ranges[i];
        } else {
            node->v4[i] = static_cast<std::uint32_t>(ranges[i]);
        }
    }
    return node;
}

RuleNode* RuleSet::add(const Spec& spec) {
    auto filings = filings_of(spec.selectors, spec.target.action == ipsec::PolicyAction::protect);
    if (filings.empty()) return nullptr;
    const CompiledSelectors* many = one_each(spec.selectors) ? nullptr : new CompiledSelectors(spec.selectors);
    if (listed_ < most_listed_) {
        RuleNode* const node = make_node(spec, filings[0].shape.family, many);
        link_listed(*node);
        return node;
    }
    RuleNode* rule = nullptr;
    for (const Filing& filing : filings) {
        RuleNode* const node = make_node(spec, filing.shape.family, many);
        node->sibling = std::exchange(rule, node);
        file(*node, filing);
    }
    return rule;
}

void RuleSet::link_listed(RuleNode& node) {
    ++listed_;
    splice_in(list_.load(std::memory_order_relaxed), node,
              [&](RuleNode* first) { list_.store(first, std::memory_order_release); });
}

void RuleSet::unlink_listed(RuleNode& node) {
    --listed_;
    splice_out(node, [&](RuleNode* first) { list_.store(first, std::memory_order_release); });
}

void RuleSet::file(RuleNode& node, const Filing& filing) {
    TupleTable& table = table_for(filing);
    node.table = &table;
    node.hash = table.hash(query_of(filing));
    table.link(node);
}

PolicyQuery RuleSet::query_of(const Filing& f) {
    return {f.remote, f.local, f.shape.family, f.protocol, true, f.port, f.port};
}

// Its own tuple's table if there is one, or if tuples are few; else the closest whose prefixes are shorter, unless the
// list there is long already.
TupleTable& RuleSet::table_for(const Filing& filing) {
    const TupleShape& want = filing.shape;
    if (!tables_) return create(want);
    TupleTable* closest = nullptr;
    const auto bits = [](const TupleShape& s) {
        return unsigned{s.remote_bits} + s.local_bits + (s.ports == TupleShape::Ports::any ? 0U : 16U);
    };
    for (TupleTable* t : tables_->of(want.family)) {
        const TupleShape& has = t->shape();
        if (has == want) return *t;
        const bool any_port = has.ports == TupleShape::Ports::any && want.ports != TupleShape::Ports::unseen;
        if (has.remote_bits > want.remote_bits || has.local_bits > want.local_bits) continue;
        if (has.ports != want.ports && !any_port) continue;
        if (closest == nullptr || bits(has) > bits(closest->shape())) closest = t;
    }
    if (closest == nullptr || tables_->of(want.family).size() < kFewTuples) return create(want);
    return closest->reaches(closest->hash(query_of(filing)), kLongList) ? create(want) : *closest;
}

TupleTable& RuleSet::create(const TupleShape& shape) {
    auto next = tables_ ? std::make_unique<Tables>(*tables_) : std::make_unique<Tables>();
    auto* const table = new TupleTable(shape, reclaimer_);
    next->of(shape.family).push_back(table);
    publish(std::move(next));
    return *table;
}

void RuleSet::discard(TupleTable& table) {
    auto next = std::make_unique<Tables>(*tables_);
    std::erase(next->of(table.shape().family), &table);
    publish(next->v4.empty() && next->v6.empty() ? nullptr : std::move(next));
    reclaimer_.retire(std::unique_ptr<TupleTable>(&table));
}

void RuleSet::publish(std::unique_ptr<Tables> next) {
    shape_.store(next.get(), std::memory_order_release);
    std::swap(tables_, next);
    reclaimer_.retire(std::move(next));
}

void RuleSet::expire(RuleNode* rule, std::uint64_t version) {
    for (; rule != nullptr; rule = rule->sibling) rule->removed.store(version, std::memory_order_relaxed);
}

void RuleSet::unlink(RuleNode* rule) {
    for (; rule != nullptr; rule = rule->sibling) {
        if (rule->table == nullptr) {
            unlink_listed(*rule);
            continue;
        }
        rule->table->unlink(*rule);
        if (rule->table->empty()) discard(*rule->table);
    }
}

void RuleSet::destroy(RuleNode* rule) {
    if (rule != nullptr) delete rule->many;
    while (rule != nullptr) {
        RuleNode* const node = std::exchange(rule, rule->sibling);
        node->family == net::Family::v6 ? delete static_cast<RuleNode6*>(node) : delete node;
    }
}

}  // namespace sluice::dataplane
