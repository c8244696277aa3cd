// SPDX-License-Identifier: Apache-2.0
// The SPD under readers: a change of policies or SAs takes effect in one step, so nothing slips through in between.
#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "dataplane/spd_index.hpp"

using namespace sluice;
using namespace sluice::dataplane;
using ipsec::PolicyAction;

namespace {

ipsec::TrafficSelectors one(std::string_view prefix) {
    return {{.range = net::AddressRange::of(*net::Prefix::parse(prefix))}};
}

ipsec::Policy policy(std::uint32_t id, PolicyAction action, std::string_view remote) {
    return {.id = PolicyId{id}, .name = "", .action = action, .local = one("0.0.0.0/0"), .remote = one(remote)};
}

Flow flow_to(const char* destination) {
    return to_flow({.source = *net::IpAddress::parse("192.168.0.1"),
                    .destination = *net::IpAddress::parse(destination),
                    .protocol = net::kProtocolUdp,
                    .ports_known = true,
                    .source_port = 1,
                    .destination_port = 2});
}

// Runs look over and over on a thread of its own, as a worker does, until the work is done.
template <class Look, class Work>
void beside(Reclaimer& reclaimer, const Look& look, const Work& work) {
    std::atomic<bool> stop{false};
    std::atomic<unsigned> rounds{0};
    std::thread reader([&] {
        reclaimer.join(WorkerId{0});
        while (!stop.load(std::memory_order_relaxed)) {
            look();
            reclaimer.quiescent(WorkerId{0});
            rounds.fetch_add(1, std::memory_order_relaxed);
        }
        reclaimer.leave(WorkerId{0});
    });
    for (unsigned step = 0; step < 3000 || rounds.load(std::memory_order_relaxed) < 100; ++step) {
        work(step);
        reclaimer.collect();
    }
    stop.store(true);
    reader.join();
}

}  // namespace

TEST_CASE("TRAPS 54: one version replaces another as a whole, for lookups that began before as well") {
    Reclaimer reclaimer(1);
    for (const unsigned listed : {0U, 4U}) {
        RuleSet rules(reclaimer, listed);
        const CompiledSelectors selectors = CompiledSelectors::of(one("0.0.0.0/0"), one("10.2.0.0/16"));
        RuleNode* const before = rules.add({.selectors = selectors, .target = {}, .rank = 20, .version = 5});
        RuleNode* const after = rules.add({.selectors = selectors, .target = {}, .rank = 10, .version = 7});
        RuleSet::expire(before, 7);
        const auto found = [&](std::uint64_t version) {
            const PolicyQuery query = PolicyQuery::outbound(flow_to("10.2.3.4"));
            return rules.first(query, version);
        };
        CHECK(found(4) == nullptr);
        CHECK(found(5) == before);
        CHECK(found(6) == before);
        CHECK(found(7) == after);
        rules.unlink(before);
        CHECK(found(6) == nullptr);
        rules.unlink(after);
        CHECK(rules.empty());
        RuleSet::destroy(before);
        RuleSet::destroy(after);
    }
}

TEST_CASE("TRAPS 54: while policies are replaced, what both the old and the new ones protect is protected") {
    Reclaimer reclaimer(1);
    SpdIndex index(reclaimer);
    // Enough others that tables are used; the rules that matter lie in different ones, before a bypass for all.
    ipsec::Spd a;
    for (std::uint32_t n = 0; n < 8; ++n) {
        a.policies.push_back(policy(100 + n, PolicyAction::discard, "10.9.0." + std::to_string(n) + "/32"));
    }
    ipsec::Spd b = a;
    a.policies.push_back(policy(1, PolicyAction::protect, "10.2.0.0/16"));
    a.policies.push_back(policy(2, PolicyAction::bypass, "10.0.0.0/8"));
    b.policies.push_back(policy(3, PolicyAction::protect, "10.2.3.0/24"));
    b.policies.push_back(policy(4, PolicyAction::bypass, "10.2.0.0/15"));
    a.default_action = PolicyAction::bypass;
    b.default_action = PolicyAction::discard;
    index.set_policies(a);
    const Flow protected_flow = flow_to("10.2.3.4");
    const Flow discarded = flow_to("10.9.0.5");
    std::uint64_t leaked = 0;
    beside(
        reclaimer,
        [&] {
            for (int i = 0; i < 32; ++i) {
                leaked += index.find_outbound(protected_flow).action != PolicyAction::protect;
                leaked += index.find_outbound(discarded).action != PolicyAction::discard;
            }
        },
        [&](unsigned step) { index.set_policies(step % 2 == 0 ? b : a); });
    CHECK(leaked == 0);
}

TEST_CASE(
    "TRAPS 54: while SAs of their own policies are rekeyed with other selectors, one of them carries the packet") {
    Reclaimer reclaimer(1);
    SpdIndex index(reclaimer);
    const char* const remotes[] = {"10.2.3.4/32", "10.2.3.0/24", "10.2.0.0/16"};
    const auto add = [&](unsigned n) {
        auto sa = std::make_unique<OutboundSa>(false);
        sa->child = ChildSaId{n + 1};
        index.attach(PolicyId{0}, *sa, CompiledSelectors::of(one("0.0.0.0/0"), one(remotes[n % 3])));
        return sa;
    };
    auto current = add(0);
    const Flow flow = flow_to("10.2.3.4");
    std::uint64_t missed = 0;
    ChildSaId newest{0};
    beside(
        reclaimer,
        [&] {
            for (int i = 0; i < 32; ++i) {
                const OutboundSa* const sa = index.find_outbound(flow).sa;
                missed += sa == nullptr || sa->child < newest;
                if (sa != nullptr) newest = sa->child;
            }
        },
        [&](unsigned step) {
            auto next = add(step + 1);
            index.remove(*current);
            reclaimer.retire(std::exchange(current, std::move(next)));
        });
    CHECK(missed == 0);
    index.remove(*current);
}
