// SPDX-License-Identifier: Apache-2.0
#include "control/config/child_sections.hpp"

#include <algorithm>
#include <array>

#include "control/config/packet_rules.hpp"

namespace sluice::control {
namespace {

using ike::ChildConfig;
using ike::CloseAction;
using ike::DpdAction;
using ike::StartAction;

constexpr LaterKey kLaterChild[] = {
    {"ah_proposals", "AH"},
    {"sha256_96", "HMAC-SHA2-256 with 96 bits", "no"},
    {"updown", "scripts"},
    {"hostaccess", "scripts", "no"},
    {"policies", "SAs without policies", "yes"},
    {"policies_fwd_out", "forward policies of the kernel", "no"},
    {"ipcomp", "IPComp", "no"},
    {"inactivity", "closing idle SAs", "0"},
    {"reqid", "fixed request ids", "0"},
    {"priority", "fixed priorities", "0"},
    {"interface", "policies bound to an interface"},
    {"mark_in", "marks that policies match"},
    {"mark_in_sa", "marks that policies match", "no"},
    {"mark_out", "marks that policies match"},
    {"if_id_in", "XFRM interfaces", "0"},
    {"if_id_out", "XFRM interfaces", "0"},
    {"label*", "security labels"},
    {"hw_offload", "offload to the NIC", "no"},
    {"per_cpu_sas", "SAs per CPU", "no"},
};

Verdict set_mode(ChildDraft& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    if (*text == "tunnel") {
        into.mode = ChildMode::tunnel;
    } else if (*text == "pass") {
        into.mode = ChildMode::pass;
    } else if (*text == "drop") {
        into.mode = ChildMode::drop;
    } else if (*text == "transport" || *text == "transport_proxy" || *text == "beet") {
        return Complaint{"\"" + *text + "\" is not supported yet", nullptr};
    } else {
        return Complaint{"\"" + *text + "\" is unknown", nullptr};
    }
    return std::nullopt;
}

Verdict set_start_action(ChildDraft& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const bool both = *text == "trap|start" || *text == "start|trap";
    if (!both && *text != "none" && *text != "trap" && *text != "start") {
        return Complaint{"\"" + *text + "\" is unknown", nullptr};
    }
    into.trap = both || *text == "trap";
    into.config.start_action = both || *text == "start" ? StartAction::start
                               : into.trap              ? StartAction::trap
                                                        : StartAction::none;
    return std::nullopt;
}

constexpr Choice<CloseAction> kCloseActions[] = {{"none", CloseAction::none},
                                                 {"clear", CloseAction::none},
                                                 {"trap", CloseAction::trap},
                                                 {"start", CloseAction::start}};
constexpr Choice<DpdAction> kDpdActions[] = {{"clear", DpdAction::clear},     {"none", DpdAction::clear},
                                             {"trap", DpdAction::trap},       {"hold", DpdAction::trap},
                                             {"restart", DpdAction::restart}, {"start", DpdAction::restart}};

template <auto Member>
Verdict set_selectors(ChildDraft& into, const ConfigNode& value) {
    return parse_selectors(value, into.config.*Member);
}

Verdict set_esp_proposals(ChildDraft& into, const ConfigNode& value) {
    return parse_proposal_list(value, ipsec::Protocol::esp, into.config.esp_proposals);
}

Verdict set_replay_window(ChildDraft& into, const ConfigNode& value) {
    return parse_replay_window(value, into.config.replay_window);
}

Verdict set_copy_df(ChildDraft& into, const ConfigNode& value) { return parse_copy_df(value, into.config.copy_df); }

// Applies a validator of ChildConfig to the draft's.
template <Verdict (*Set)(ChildConfig&, const ConfigNode&)>
Verdict of_config(ChildDraft& into, const ConfigNode& value) {
    return Set(into.config, value);
}

ipsec::PacketRules& rules_of(ChildDraft& draft) { return draft.config.rules; }

const Key<ChildDraft> kOwnKeys[] = {
    {{"local_ts", kSelectorsExpected, "dynamic", "What of ours the tunnel serves."},
     set_selectors<&ChildConfig::local_ts>},
    {{"remote_ts", kSelectorsExpected, "dynamic", "What of the peer's the tunnel serves."},
     set_selectors<&ChildConfig::remote_ts>},
    {{"esp_proposals", "", "default", "What is offered and taken for ESP, best first."}, set_esp_proposals},
    {{"mode", "tunnel, pass or drop", "tunnel", "A tunnel, or what happens to this traffic without one."}, set_mode},
    {{"start_action", "none, trap, start or trap|start", "none",
      "What happens at start: nothing, wait for traffic, or negotiate."},
     set_start_action},
    {{"close_action", "none, trap or start", "none", "What happens when the peer closes the child."},
     of_config<set_choice<ChildConfig, &ChildConfig::close_action, kCloseActions>>},
    {{"dpd_action", "clear, trap or restart", "clear", "What happens when the peer is gone."},
     of_config<set_choice<ChildConfig, &ChildConfig::dpd_action, kDpdActions>>},
    {{"replay_window", kReplayExpected, "64", "Packets that may come out of order; 0 takes replays."},
     set_replay_window},
    {{"rekey_time", "a duration such as 1h", "1h, or 10/11 of life_time", "When the SA gets new keys; 0: never."},
     of_config<set_duration<ChildConfig, &ChildConfig::rekey_time>>},
    {{"rekey_bytes", "bytes, such as 500m", "0", "After how many bytes it does; 0: never."},
     of_config<set_bytes<ChildConfig, &ChildConfig::rekey_bytes>>},
    {{"rekey_packets", "a whole number", "0", "After how many packets it does; 0: never."},
     of_config<set_number<ChildConfig, &ChildConfig::rekey_packets, 0, UINT64_MAX>>},
    {{"rand_time", "a duration such as 6m", "life_time - rekey_time",
      "How much earlier than rekey_time it happens at the most, drawn anew for each SA."},
     of_config<set_duration<ChildConfig, &ChildConfig::rand_time>>},
    {{"rand_bytes", "bytes, such as 50m", "life_bytes - rekey_bytes", "The same of rekey_bytes."},
     of_config<set_bytes<ChildConfig, &ChildConfig::rand_bytes>>},
    {{"rand_packets", "a whole number", "life_packets - rekey_packets", "The same of rekey_packets."},
     of_config<set_number<ChildConfig, &ChildConfig::rand_packets, 0, UINT64_MAX>>},
    {{"life_time", "a duration such as 1h", "110 % of rekey_time", "When the SA is deleted; 0: never."},
     of_config<set_duration<ChildConfig, &ChildConfig::life_time>>},
    {{"life_bytes", "bytes, such as 500m", "110 % of rekey_bytes", "After how many bytes the SA is deleted; 0: never."},
     of_config<set_bytes<ChildConfig, &ChildConfig::life_bytes>>},
    {{"life_packets", "a whole number", "110 % of rekey_packets",
      "After how many packets the SA is deleted; 0: never."},
     of_config<set_number<ChildConfig, &ChildConfig::life_packets, 0, UINT64_MAX>>},
    {{"copy_df", "yes, no or set", "yes", "The outer DF bit of IPv4: copied, clear or set."}, set_copy_df},
    {{"copy_dscp", "out, in, both or none", "out",
      "Where the DSCP is copied: to the outer header, back, both, neither."},
     of_config<set_choice<ChildConfig, &ChildConfig::copy_dscp, kCopyDscp>>},
    {{"copy_ecn", "yes or no", "yes", "Whether ECN passes the tunnel (RFC 6040 normal mode)."},
     of_config<set_bool<ChildConfig, &ChildConfig::copy_ecn>>},
    {{"workers", "one or spread", "one",
      "How many workers carry the SA: one, or all of them, for a single fat tunnel."},
     of_config<set_choice<ChildConfig, &ChildConfig::workers, kSaWorkers>>},
};
const auto kChildKeys = with_packet_rules<ChildDraft, rules_of>(kOwnKeys);

bool any_dynamic(const std::vector<ipsec::ConfiguredSelector>& selectors) {
    return std::any_of(selectors.begin(), selectors.end(), [](const auto& s) { return s.dynamic; });
}

const ConfigNode& at_key(const Place& place, std::string_view key) {
    const ConfigNode* node = place.node.find(key);
    return node != nullptr ? *node : place.node;
}

// Keys that a pass or drop policy has no use for would be accepted and not acted on (TRAPS 55).
void check_shunt(const Place& place, const ChildDraft& draft, Findings& findings) {
    static constexpr std::string_view kUsed[] = {"local_ts", "remote_ts", "mode", "start_action"};
    for (const ConfigNode& member : place.node.children) {
        const bool used = std::find(std::begin(kUsed), std::end(kUsed), member.key) != std::end(kUsed);
        const bool known =
            std::any_of(kChildKeys.begin(), kChildKeys.end(), [&](const auto& k) { return k.doc.name == member.key; });
        if (!used && known) {
            findings.error(member, place.path + "." + member.key, "has no meaning for a pass or drop policy");
        }
    }
    if (draft.config.start_action == StartAction::start) {
        findings.error(at_key(place, "start_action"), place.path + ".start_action",
                       "has no meaning for a pass or drop policy, which always holds; expected trap or none");
    }
    if (any_dynamic(draft.config.local_ts) || any_dynamic(draft.config.remote_ts)) {
        findings.error(at_key(place, "mode"), place.path + ".mode",
                       "pass and drop need local_ts and remote_ts that are not dynamic");
    }
}

// One of the three measures: its keys, and where their values are.
struct Measure {
    const char* rekey;
    const char* life;
    const char* rand;
};

// swanctl's defaults, which follow from what is there, and what the three say together. T counts nanoseconds, bytes or
// packets.
template <class T>
void load_measure(const Place& place, const Measure& keys, std::array<T*, 3> values, Findings& findings) {
    auto& [rekey, life, rand] = values;
    const bool life_given = place.node.find(keys.life) != nullptr;
    if (life_given && *life != T{} && !place.node.find(keys.rekey)) *rekey = std::min(*rekey, *life / 11 * 10);
    if (!life_given) *life = *rekey + *rekey / 10;
    if (!life_given && *life < *rekey) *life = T{};  // more than can be counted
    if (*life != T{} && *life <= *rekey && life_given)
        findings.error(
            *place.node.find(keys.life), place.path + "." + keys.life,
            "is not above " + std::string(keys.rekey) + ", so that nothing could be rekeyed; expected more, or 0");
    if (place.node.find(keys.rand) == nullptr) {
        if (*life > *rekey) *rand = *life - *rekey;
        if (*rand > *rekey) *rand = *rekey;
    } else if (*rekey != T{} && *rand >= *rekey) {
        findings.error(*place.node.find(keys.rand), place.path + "." + keys.rand,
                       "is as much as " + std::string(keys.rekey) + " itself; expected less");
    }
}

void load_lifetime(const Place& place, ChildConfig& c, Findings& findings) {
    load_measure<Duration>(place, {"rekey_time", "life_time", "rand_time"}, {&c.rekey_time, &c.life_time, &c.rand_time},
                           findings);
    load_measure<std::uint64_t>(place, {"rekey_bytes", "life_bytes", "rand_bytes"},
                                {&c.rekey_bytes, &c.life_bytes, &c.rand_bytes}, findings);
    load_measure<std::uint64_t>(place, {"rekey_packets", "life_packets", "rand_packets"},
                                {&c.rekey_packets, &c.life_packets, &c.rand_packets}, findings);
}

void check_tunnel(const Place& place, const ChildDraft& draft, Findings& findings) {
    const auto complain = [&](const char* key, const char* text) {
        findings.error(at_key(place, key), place.path + "." + key, text);
    };
    if (draft.trap && (any_dynamic(draft.config.local_ts) || any_dynamic(draft.config.remote_ts))) {
        complain("start_action", "trap needs local_ts and remote_ts that are not dynamic");
    }
    if (draft.config.close_action == CloseAction::trap && !draft.trap) {
        complain("close_action", "trap needs start_action = \"trap\", which keeps the trap at all times");
    }
    if (draft.config.dpd_action == DpdAction::trap && !draft.trap) {
        complain("dpd_action", "trap needs start_action = \"trap\", which keeps the trap at all times");
    }
    if (draft.config.replay_window == 0 && offers_esn(draft.config.esp_proposals)) {
        complain("replay_window",
                 "is 0, but extended sequence numbers cannot be followed without a window (RFC 4303 A2)");
    }
}

}  // namespace

Verdict parse_proposal_list(const ConfigNode& value, ipsec::Protocol protocol, ipsec::Proposals& into) {
    if (value.kind == ConfigNode::Kind::section) return no_scalar(value);
    ipsec::Proposals out;
    for (const ListItem& item : list_items(value)) {
        const auto parsed = ipsec::parse_proposals({item.text}, protocol);
        if (!parsed) return Complaint{parsed.error().text, item.node};
        out.insert(out.end(), parsed->begin(), parsed->end());
    }
    if (out.empty()) return Complaint{"is empty; expected a proposal, or \"default\"", nullptr};
    into = std::move(out);
    return std::nullopt;
}

ipsec::Proposals default_proposals(ipsec::Protocol protocol) {
    auto parsed = ipsec::parse_proposals({"default"}, protocol);
    return parsed ? std::move(*parsed) : ipsec::Proposals{};
}

Verdict parse_selectors(const ConfigNode& value, std::vector<ipsec::ConfiguredSelector>& into) {
    if (value.kind == ConfigNode::Kind::section) return no_scalar(value);
    std::vector<ipsec::ConfiguredSelector> out;
    for (const ListItem& item : list_items(value)) {
        const auto parsed = ipsec::ConfiguredSelector::parse(item.text);
        if (!parsed) return is_not(item.text, "a traffic selector", item.node);
        out.push_back(*parsed);
    }
    if (out.empty()) return Complaint{"is empty", nullptr};
    // A TS payload holds 255, and the packet that triggers a negotiation stands before these (RFC 7296 2.9, 3.13).
    constexpr std::size_t kMost = ipsec::kMaxSelectors - 1;
    if (out.size() > kMost)
        return Complaint{"has " + std::to_string(out.size()) + " selectors; at most " + std::to_string(kMost) + " fit",
                         nullptr};
    into = std::move(out);
    return std::nullopt;
}

Verdict parse_replay_window(const ConfigNode& value, std::uint32_t& into) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const auto number = parse_number(*text);
    if (!number) return is_not(*text, "a whole number");
    if (*number != 0 && (*number < 32 || *number > 65536)) return Complaint{*text + " is out of range", nullptr};
    into = static_cast<std::uint32_t>(*number);
    return std::nullopt;
}

Verdict parse_copy_df(const ConfigNode& value, ipsec::CopyDf& into) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const auto copy = parse_bool(*text);
    if (!copy && *text != "set") return Complaint{"\"" + *text + "\" is unknown", nullptr};
    into = !copy ? ipsec::CopyDf::set : *copy ? ipsec::CopyDf::copy : ipsec::CopyDf::clear;
    return std::nullopt;
}

void check_selectors(const Place& place, const std::vector<ipsec::ConfiguredSelector>& local,
                     const std::vector<ipsec::ConfiguredSelector>& remote, Findings& findings) {
    if (any_dynamic(local) || any_dynamic(remote)) return;
    const auto has = [](const auto& list, net::Family family) {
        return std::any_of(list.begin(), list.end(),
                           [&](const auto& s) { return s.selector.range.first.family() == family; });
    };
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        if (has(local, family) == has(remote, family)) continue;
        const bool at_local = has(local, family);
        const std::string name = family == net::Family::v4 ? "IPv4" : "IPv6";
        const char* key = at_local ? "local_ts" : "remote_ts";
        findings.error(at_key(place, key), place.path + "." + key,
                       "has " + name + " selectors and " + (at_local ? "remote_ts" : "local_ts") + " has none");
    }
}

bool offers_esn(const ipsec::Proposals& proposals) {
    const auto esn = [](const ipsec::Transform& t) { return t.type == ipsec::TransformType::esn && t.id == 1; };
    return std::any_of(proposals.begin(), proposals.end(), [&](const ipsec::Proposal& p) {
        return std::any_of(p.transforms.begin(), p.transforms.end(), esn);
    });
}

ChildDraft load_child(const Place& place, Findings& findings) {
    ChildDraft draft;
    draft.at = place.node.at;
    draft.config.name = place.node.key;
    draft.config.rekey_time = std::chrono::hours(1);
    draft.config.esp_proposals = default_proposals(ipsec::Protocol::esp);
    ipsec::ConfiguredSelector dynamic;
    dynamic.dynamic = true;
    draft.config.local_ts = {dynamic};
    draft.config.remote_ts = {dynamic};
    load_keys<ChildDraft>(place, kChildKeys, {"connections.NAME.children.NAME", {}, kLaterChild}, draft, findings);
    check_selectors(place, draft.config.local_ts, draft.config.remote_ts, findings);
    if (draft.mode == ChildMode::tunnel) {
        load_lifetime(place, draft.config, findings);
        check_tunnel(place, draft, findings);
    } else {
        check_shunt(place, draft, findings);
    }
    return draft;
}

SectionDoc child_reference() {
    return document<ChildDraft>("connections.NAME.children.NAME",
                                "A tunnel through the connection, or a pass or drop policy.", kChildKeys);
}

}  // namespace sluice::control
