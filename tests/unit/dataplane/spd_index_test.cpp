// SPDX-License-Identifier: Apache-2.0
// The SPD as workers read it, against the list searched in order (RFC 4301 4.4.1).
#include "dataplane/spd_index.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <iostream>
#include <random>

using namespace sluice;
using namespace sluice::dataplane;
using ipsec::PolicyAction;

namespace {

struct Random {
    std::mt19937 engine;
    unsigned operator()() { return static_cast<unsigned>(engine()); }
};

Random seeded(const char* what) {
    const unsigned seed = std::random_device{}();
    std::cout << what << ": seed " << seed << "\n";
    return Random{std::mt19937{seed}};
}

// Few values, so that things meet.
net::IpAddress random_address(Random& random, bool v6) {
    if (!v6) return net::IpAddress::v4(0x0a000000U + random() % 512);
    std::array<Byte, 16> b{};
    b[0] = 0xfd;
    b[6] = static_cast<Byte>(random() % 3);
    b[15] = static_cast<Byte>(random() % 64);
    return net::IpAddress::v6(b);
}

net::AddressRange random_range(Random& random, bool v6) {
    const net::IpAddress a = random_address(random, v6);
    if (random() % 4 == 0) return {a, random_address(random, v6)};  // some of them turned round
    const unsigned host_bits = random() % 3 == 0 ? 0 : random() % 10;
    const unsigned width = v6 ? 128 : 32;
    if (random() % 16 == 0) return net::AddressRange::all(a.family());
    return net::AddressRange::of(net::Prefix::of(a, static_cast<std::uint8_t>(width - host_bits)));
}

constexpr std::uint8_t kProtocols[] = {net::kProtocolTcp, net::kProtocolUdp, net::kProtocolIcmp, net::kProtocolIcmpv6};

// Of ICMP the "ports" are type << 8 | code (RFC 7296 3.13.1).
std::uint16_t random_port(Random& random, std::uint8_t protocol) {
    const bool icmp = protocol == net::kProtocolIcmp || protocol == net::kProtocolIcmpv6;
    return static_cast<std::uint16_t>(icmp ? (random() % 3) << 8 | random() % 2 : random() % 5);
}

ipsec::TrafficSelector random_selector(Random& random) {
    ipsec::TrafficSelector s;
    s.range = random_range(random, random() % 3 == 0);
    if (random() % 2 == 0) s.protocol = kProtocols[random() % 4];
    switch (random() % 8) {
        case 0:
            s.start_port = random_port(random, s.protocol);
            s.end_port = static_cast<std::uint16_t>(s.start_port + random() % 300);
            break;
        case 1:
        case 2:
            s.start_port = s.end_port = random_port(random, s.protocol);
            break;
        case 3:
            s.start_port = 65535;
            s.end_port = 0;
            break;  // OPAQUE
        default:
            break;
    }
    return s;
}

ipsec::TrafficSelectors random_selectors(Random& random) {
    ipsec::TrafficSelectors out{random_selector(random)};
    while (random() % 4 == 0) out.push_back(random_selector(random));
    return out;
}

ipsec::PacketSelector random_packet(Random& random) {
    const bool v6 = random() % 3 == 0;
    ipsec::PacketSelector p;
    p.source = random_address(random, v6);
    p.destination = random_address(random, v6);
    p.protocol = random() % 16 == 0 ? net::kProtocolDestinationOptions : kProtocols[random() % 4];
    p.ports_known = random() % 4 != 0;
    if (p.ports_known) {
        p.source_port = random_port(random, p.protocol);
        p.destination_port = random_port(random, p.protocol);
    }
    return p;
}

// What the index is to answer, from lists searched in order.
struct Model {
    struct Sa {
        PolicyId policy;
        ipsec::TrafficSelectors local;
        ipsec::TrafficSelectors remote;
        OutboundSa* sa = nullptr;
        bool sends = false;
    };
    ipsec::Spd spd;
    std::vector<Sa> sas;  // newest first

    struct Verdict {
        PolicyAction action = PolicyAction::bypass;
        bool by_default = false;
        PolicyId slot{};
        OutboundSa* sa = nullptr;
        friend bool operator==(const Verdict&, const Verdict&) = default;
    };
    template <class Takes>
    const Sa* newest(const ipsec::PacketSelector& p, bool inbound, const Takes& takes) const {
        const auto found = std::ranges::find_if(sas, [&](const Sa& sa) {
            return takes(sa) && (inbound ? matches(sa.remote, sa.local, p) : matches(sa.local, sa.remote, p));
        });
        return found == sas.end() ? nullptr : &*found;
    }
    Verdict outbound(const ipsec::PacketSelector& p) const {
        const ipsec::Policy* policy = spd.find_outbound(p);
        if (policy != nullptr && policy->action != PolicyAction::protect) return {.action = policy->action};
        const auto* own = newest(p, false, [](const Sa& sa) { return sa.policy.value == 0 && sa.sends; });
        if (own != nullptr) return {.action = PolicyAction::protect, .sa = own->sa};
        if (policy != nullptr) {
            const auto* sa = newest(p, false, [&](const Sa& s) { return s.policy == policy->id && s.sends; });
            return {.action = PolicyAction::protect, .slot = policy->id, .sa = sa == nullptr ? nullptr : sa->sa};
        }
        const bool larval = newest(p, false, [](const Sa& sa) { return sa.policy.value == 0; }) != nullptr;
        if (larval) return {.action = PolicyAction::protect};
        return {.action = spd.default_action, .by_default = true};
    }
    Verdict inbound(const ipsec::PacketSelector& p) const {
        if (const ipsec::Policy* policy = spd.find_inbound(p)) return {.action = policy->action};
        const bool own = newest(p, true, [](const Sa& sa) { return sa.policy.value == 0; }) != nullptr;
        if (own) return {.action = PolicyAction::protect};
        return {.action = spd.default_action, .by_default = true};
    }
    static bool may(const ipsec::TrafficSelectors& list, const net::IpAddress& address, std::uint8_t protocol) {
        return std::ranges::any_of(list, [&](const ipsec::TrafficSelector& s) {
            const bool about = s.protocol == 0 || s.protocol == protocol || net::is_skipped_extension(protocol);
            return s.range.first.family() == s.range.last.family() && s.range.contains(address) && about;
        });
    }
    // local, remote: of the packet.
    bool may_protect(const ipsec::PacketSelector& p, bool inbound) const {
        const net::IpAddress& local = inbound ? p.destination : p.source;
        const net::IpAddress& remote = inbound ? p.source : p.destination;
        for (const ipsec::Policy& policy : spd.policies) {
            if (inbound ? matches(policy.remote, policy.local, p) : matches(policy.local, policy.remote, p))
                return false;
            if (policy.action == PolicyAction::protect && may(policy.local, local, p.protocol) &&
                may(policy.remote, remote, p.protocol)) {
                return true;
            }
        }
        return std::ranges::any_of(sas, [&](const Sa& sa) {
            return sa.policy.value == 0 && may(sa.local, local, p.protocol) && may(sa.remote, remote, p.protocol);
        });
    }
};

// An index and its model, which change together.
class Pair {
  public:
    explicit Pair(Random& random) : random_(random) {}

    void change() {
        switch (random_() % 8) {
            case 0:
                return change_policies();
            case 1:
            case 2:
            case 3:
                return add_sa();
            case 4:
                return let_send();
            default:
                return remove_sa();
        }
    }
    void compare() const {
        const ipsec::PacketSelector p = random_packet(random_);
        const Flow flow = to_flow(p);
        REQUIRE(to_selector(flow) == p);
        const OutboundVerdict out = index_.find_outbound(flow);
        const Model::Verdict expected = model_.outbound(p);
        const PolicyId slot = out.slot == nullptr ? PolicyId{} : out.slot->id;
        const bool same = Model::Verdict{out.action, out.by_default, slot, out.sa} == expected;
        REQUIRE(same);
        const InboundVerdict in = index_.find_inbound(flow);
        const bool same_in = Model::Verdict{in.action, in.by_default, {}, nullptr} == model_.inbound(p);
        REQUIRE(same_in);
        if (p.ports_known) return;
        REQUIRE(index_.may_protect_outbound(flow) == model_.may_protect(p, false));
        REQUIRE(index_.may_protect_inbound(flow) == model_.may_protect(p, true));
    }
    // A burst of flows, each of which is also asked about alone.
    void compare_burst(std::size_t size) const {
        std::vector<Flow> flows;
        std::vector<const Flow*> asked;
        for (std::size_t i = 0; i < size; ++i) flows.push_back(to_flow(random_packet(random_)));
        for (const Flow& flow : flows) asked.push_back(&flow);
        std::vector<OutboundVerdict> out(size);
        std::vector<InboundVerdict> in(size);
        index_.find_outbound(asked, out.data());
        index_.find_inbound(asked, in.data());
        for (std::size_t i = 0; i < size; ++i) {
            REQUIRE(out[i] == index_.find_outbound(flows[i]));
            REQUIRE(in[i] == index_.find_inbound(flows[i]));
        }
    }
    void collect() { reclaimer_.collect(); }
    std::size_t pending() const { return reclaimer_.pending(); }

  private:
    ipsec::Policy random_policy() {
        ipsec::Policy p;
        p.id = PolicyId{1 + static_cast<std::uint32_t>(random_() % 60)};
        for (const ipsec::Policy& other : model_.spd.policies) {
            if (other.id == p.id) p.id = PolicyId{next_policy_++};
        }
        p.action = static_cast<PolicyAction>(random_() % 3);
        p.local = random_selectors(random_);
        p.remote = random_selectors(random_);
        return p;
    }
    void change_policies() {
        auto& list = model_.spd.policies;
        const auto any = [&] { return list.begin() + static_cast<std::ptrdiff_t>(random_() % (list.size() + 1)); };
        for (unsigned n = random_() % 6; n > 0 && list.size() < 50; --n) list.insert(any(), random_policy());
        for (unsigned n = random_() % 5; n > 0 && !list.empty(); --n) {
            const auto at = any();
            if (at != list.end()) list.erase(at);
        }
        if (list.size() > 1) std::swap(list.front(), list[random_() % list.size()]);
        model_.spd.default_action = random_() % 2 == 0 ? PolicyAction::bypass : PolicyAction::discard;
        index_.set_policies(model_.spd);
    }
    void attach(const Model::Sa& sa) {
        const CompiledSelectors selectors = CompiledSelectors::of(sa.local, sa.remote);
        if (sa.sends) {
            index_.attach(sa.policy, *sa.sa, selectors);
        } else if (sa.policy.value == 0) {
            index_.protect(*sa.sa, selectors);
        }
    }
    void add_sa() {
        if (model_.sas.size() >= 60) return;
        sas_.push_back(std::make_unique<OutboundSa>(false));
        const bool own = random_() % 2 == 0;
        Model::Sa sa{.policy = PolicyId{own ? 0U : 1 + static_cast<std::uint32_t>(random_() % 6)},
                     .local = random_selectors(random_),
                     .remote = random_selectors(random_),
                     .sa = sas_.back().get(),
                     .sends = random_() % 4 != 0};
        attach(sa);
        model_.sas.insert(model_.sas.begin(), std::move(sa));
    }
    void let_send() {
        const auto found = std::ranges::find(model_.sas, false, &Model::Sa::sends);
        if (found == model_.sas.end()) return;
        found->sends = true;
        attach(*found);
        std::rotate(model_.sas.begin(), found, found + 1);  // the newest now
    }
    void remove_sa() {
        if (model_.sas.empty()) return;
        const auto at = model_.sas.begin() + static_cast<std::ptrdiff_t>(random_() % model_.sas.size());
        index_.remove(*at->sa);
        model_.sas.erase(at);
    }

    Random& random_;
    Model model_;
    std::vector<std::unique_ptr<OutboundSa>> sas_;
    Reclaimer reclaimer_{1};
    SpdIndex index_{reclaimer_};
    std::uint32_t next_policy_ = 100;
};

ipsec::TrafficSelectors one(std::string_view prefix) {
    return {{.range = net::AddressRange::of(*net::Prefix::parse(prefix))}};
}

// A road warrior's address.
ipsec::TrafficSelectors host(std::uint32_t n, bool v6) {
    if (!v6) return {{.range = net::AddressRange::of(net::Prefix::host(net::IpAddress::v4(0x0a800000U + n)))}};
    std::array<Byte, 16> b{0xfd};
    for (std::size_t i = 0; i < 4; ++i) b[12 + i] = static_cast<Byte>(n >> (24 - 8 * i));
    return {{.range = net::AddressRange::of(net::Prefix::host(net::IpAddress::v6(b)))}};
}

Flow flow_to(const ipsec::TrafficSelectors& destination) {
    const net::IpAddress to = destination[0].range.first;
    return to_flow({.source = *net::IpAddress::parse(to.is_v4() ? "192.168.0.1" : "fd99::1"),
                    .destination = to,
                    .protocol = net::kProtocolUdp,
                    .ports_known = true,
                    .source_port = 1,
                    .destination_port = 2});
}

ipsec::Spd road_warriors(std::uint32_t count, bool v6) {
    ipsec::Spd spd;
    for (std::uint32_t n = 0; n < count; ++n) {
        ipsec::Policy p;
        p.id = PolicyId{n + 1};
        p.action = PolicyAction::protect;
        p.local = one(v6 ? "::/0" : "0.0.0.0/0");
        p.remote = host(n, v6);
        spd.policies.push_back(p);
    }
    return spd;
}

}  // namespace

TEST_CASE("TRAPS 43: the compiled SPD answers like the ordered list, whatever comes and goes") {
    Random random = seeded("spd");
    for (int round = 0; round < 12; ++round) {
        Pair pair(random);
        for (int step = 0; step < 400; ++step) {
            pair.change();
            for (int i = 0; i < 24; ++i) pair.compare();
            pair.compare_burst(1 + static_cast<std::size_t>(random() % 64));
            if (random() % 8 == 0) pair.collect();
        }
        pair.collect();
        REQUIRE(pair.pending() == 0);
    }
}

TEST_CASE("a lookup costs the same among 10 and 100,000 policies for single addresses, IPv4 and IPv6") {
    for (const bool v6 : {false, true}) {
        std::vector<LookupCost> costs;
        for (const std::uint32_t count : {10U, 1000U, 100000U}) {
            Reclaimer reclaimer(1);
            SpdIndex index(reclaimer);
            index.set_policies(road_warriors(count, v6));
            LookupCost worst;
            for (std::uint32_t n = 0; n < count; n += 1 + count / 1000) {
                const OutboundVerdict verdict = index.find_outbound(flow_to(host(n, v6)));
                REQUIRE(verdict.slot != nullptr);
                REQUIRE(verdict.slot->id.value == n + 1);
                const LookupCost cost = index.cost_outbound(flow_to(host(n, v6)));
                worst = {std::max(worst.tables, cost.tables), std::max(worst.rules, cost.rules)};
            }
            costs.push_back(worst);
            CHECK(index.find_outbound(flow_to(host(count, v6))).by_default);
        }
        CHECK(costs[0].tables == 1);
        CHECK(costs[2].tables == costs[0].tables);
        CHECK(costs[2].rules == costs[0].rules);
    }
}

TEST_CASE("a lookup costs the same among 10 and 10,000 SAs that bring their own policies") {
    std::vector<unsigned> costs;
    for (const std::uint32_t count : {10U, 10000U}) {
        Reclaimer reclaimer(1);
        SpdIndex index(reclaimer);
        std::vector<std::unique_ptr<OutboundSa>> sas;
        unsigned worst = 0;
        for (std::uint32_t n = 0; n < count; ++n) {
            sas.push_back(std::make_unique<OutboundSa>(false));
            index.attach(PolicyId{0}, *sas.back(), CompiledSelectors::of(one("0.0.0.0/0"), host(n, false)));
            // What there was before is not copied: nothing but a page, or a directory, is left to be freed.
            REQUIRE(reclaimer.pending() < 8);
            reclaimer.collect();
        }
        for (std::uint32_t n = 0; n < count; ++n) {
            const Flow flow = flow_to(host(n, false));
            REQUIRE(index.find_outbound(flow).sa == sas[n].get());
            const LookupCost cost = index.cost_outbound(flow);
            worst = std::max(worst, cost.tables + cost.rules);
        }
        costs.push_back(worst);
        for (const auto& sa : sas) index.remove(*sa);
        CHECK(index.find_outbound(flow_to(host(1, false))).by_default);
    }
    CHECK(costs[0] == 2);
    CHECK(costs[1] == 2);
}

TEST_CASE("tuples stay few where prefixes of every length meet, and lists short") {
    Random random = seeded("spd tuples");
    Reclaimer reclaimer(1);
    SpdIndex index(reclaimer);
    ipsec::Spd spd;
    for (std::uint32_t n = 0; n < 2000; ++n) {
        ipsec::Policy p;
        p.id = PolicyId{n + 1};
        p.action = PolicyAction::protect;
        const auto side = [&] {
            const auto bits = static_cast<std::uint8_t>(16 + random() % 17);
            const net::IpAddress a = net::IpAddress::v4(0x0a000000U + static_cast<std::uint32_t>(random() % 0x1000000));
            return ipsec::TrafficSelectors{{.range = net::AddressRange::of(net::Prefix::of(a, bits))}};
        };
        p.local = side();
        p.remote = side();
        spd.policies.push_back(p);
    }
    index.set_policies(spd);
    LookupCost worst;
    for (const ipsec::Policy& p : spd.policies) {
        Flow flow = flow_to(p.remote);
        flow.source = to_number(p.local[0].range.first);
        REQUIRE(index.find_outbound(flow).slot->id == spd.find_outbound(to_selector(flow))->id);
        const LookupCost cost = index.cost_outbound(flow);
        worst = {std::max(worst.tables, cost.tables), std::max(worst.rules, cost.rules)};
    }
    // Of 289 pairs of lengths.
    CHECK(worst.tables <= 4 * RuleSet::kFewTuples);
    CHECK(worst.rules <= 8 * RuleSet::kLongList);
}

TEST_CASE("a changed configuration costs what differs") {
    Reclaimer reclaimer(1);
    SpdIndex index(reclaimer);
    reclaimer.join(WorkerId{0});
    ipsec::Spd spd = road_warriors(5000, false);
    index.set_policies(spd);
    const auto retired_by_change = [&] {
        reclaimer.quiescent(WorkerId{0});
        reclaimer.collect();
        reclaimer.quiescent(WorkerId{0});
        reclaimer.collect();
        REQUIRE(reclaimer.pending() == 0);
        index.set_policies(spd);
        return reclaimer.pending();
    };
    CHECK(retired_by_change() == 0);
    std::rotate(spd.policies.begin(), spd.policies.end() - 1, spd.policies.end());
    CHECK(retired_by_change() == 1);
    spd.policies[2500].action = PolicyAction::bypass;
    spd.policies.erase(spd.policies.begin() + 1000);
    CHECK(retired_by_change() == 2);
    CHECK(index.find_outbound(flow_to(spd.policies[2499].remote)).action == PolicyAction::bypass);
    // However often something comes first, there is a rank for it.
    for (std::uint32_t n = 0; n < 100; ++n) {
        ipsec::Policy p = spd.policies[0];
        p.id = PolicyId{10000 + n};
        p.action = n % 2 == 0 ? PolicyAction::bypass : PolicyAction::discard;
        spd.policies.insert(spd.policies.begin(), p);
        index.set_policies(spd);
        REQUIRE(index.find_outbound(flow_to(p.remote)).action == p.action);
    }
    reclaimer.leave(WorkerId{0});
}
