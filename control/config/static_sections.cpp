// SPDX-License-Identifier: Apache-2.0
#include "control/config/static_sections.hpp"

#include <algorithm>
#include <optional>

#include "control/config/child_sections.hpp"
#include "control/config/packet_rules.hpp"
#include "lib/crypto/algorithms.hpp"

namespace sluice::control {
namespace {

struct Suite {
    crypto::Encr encr = crypto::Encr::none;
    std::uint16_t key_bits = 0;
    crypto::Integ integ = crypto::Integ::none;
    bool esn = false;
};
struct StaticDraft {
    ipsec::ChildSa sa;
    std::vector<ipsec::ConfiguredSelector> local_ts;
    std::vector<ipsec::ConfiguredSelector> remote_ts;
    std::optional<Suite> suite;
    std::uint16_t local_port = 4500;
    std::uint16_t remote_port = 4500;
};
struct HalfDraft {
    std::uint32_t spi = 0;
    SecretBytes encr_key;
    SecretBytes integ_key;
};

template <auto Member>
Verdict set_end(StaticDraft& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const auto address = net::IpAddress::parse(*text);
    if (!address || address->is_multicast()) return is_not(*text, "a host's address");
    (into.sa.*Member).address = *address;
    return std::nullopt;
}

template <auto Member>
Verdict set_static_selectors(StaticDraft& into, const ConfigNode& value) {
    if (auto verdict = parse_selectors(value, into.*Member)) return verdict;
    const auto dynamic = [](const auto& selector) { return selector.dynamic; };
    if (std::any_of((into.*Member).begin(), (into.*Member).end(), dynamic)) {
        return Complaint{"\"dynamic\" has no meaning without IKE", nullptr};
    }
    return std::nullopt;
}

constexpr Choice<ipsec::Mode> kModes[] = {{"tunnel", ipsec::Mode::tunnel}, {"transport", ipsec::Mode::transport}};

// The one suite that a proposal stands for; nothing where it leaves a choice.
std::optional<Suite> single_suite(const ipsec::Proposal& proposal) {
    Suite suite;
    unsigned encrs = 0;
    unsigned integs = 0;
    unsigned esns = 0;
    for (const ipsec::Transform& t : proposal.transforms) {
        switch (t.type) {
            case ipsec::TransformType::encr:
                suite.encr = static_cast<crypto::Encr>(t.id);
                suite.key_bits = t.key_bits;
                ++encrs;
                break;
            case ipsec::TransformType::integ:
                suite.integ = static_cast<crypto::Integ>(t.id);
                ++integs;
                break;
            case ipsec::TransformType::esn:
                suite.esn = t.id == 1;
                ++esns;
                break;
            case ipsec::TransformType::prf:
            case ipsec::TransformType::ke:
                return std::nullopt;
        }
    }
    if (encrs != 1 || integs > 1 || esns > 1) return std::nullopt;
    const auto* info = crypto::find_encr(suite.encr);
    if (info != nullptr && suite.key_bits == 0 && !info->key_length_attribute) {
        // The key's size is fixed (RFC 7634 4): the wire has no attribute for it.
        for (const std::uint16_t bits : {std::uint16_t{256}, std::uint16_t{128}}) {
            if (suite.key_bits == 0 && crypto::key_bits_valid(suite.encr, bits)) suite.key_bits = bits;
        }
    }
    return suite;
}

Verdict set_suite(StaticDraft& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const auto proposals = ipsec::parse_proposals({*text}, ipsec::Protocol::esp);
    if (!proposals) return Complaint{proposals.error().text, nullptr};
    if (proposals->size() == 1) into.suite = single_suite(proposals->front());
    if (!into.suite)
        return Complaint{"\"" + *text + "\" leaves a choice; expected one algorithm of each kind and no group",
                         nullptr};
    return std::nullopt;
}

Verdict set_static_replay(StaticDraft& into, const ConfigNode& value) {
    return parse_replay_window(value, into.sa.replay_window);
}
Verdict set_static_df(StaticDraft& into, const ConfigNode& value) { return parse_copy_df(value, into.sa.df); }

template <Verdict (*Set)(ipsec::ChildSa&, const ConfigNode&)>
Verdict of_sa(StaticDraft& into, const ConfigNode& value) {
    return Set(into.sa, value);
}

template <auto Member>
Verdict set_key(HalfDraft& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const bool coded = text->substr(0, 2) == "0x" || text->substr(0, 2) == "0s";
    auto key = coded ? parse_secret(*text) : std::nullopt;
    if (!key) return Complaint{"is no key", nullptr};
    into.*Member = std::move(*key);
    return std::nullopt;
}

using ipsec::ChildSa;
ipsec::PacketRules& rules_of(StaticDraft& draft) { return draft.sa.rules; }

const Key<StaticDraft> kOwnKeys[] = {
    {{"local", "an address", "", "Our outer address; must be there."}, set_end<&ChildSa::local>},
    {{"remote", "an address", "", "The peer's outer address; must be there."}, set_end<&ChildSa::remote>},
    {{"local_ts", kSelectorsExpected, "", "What of ours the SAs serve; must be there."},
     set_static_selectors<&StaticDraft::local_ts>},
    {{"remote_ts", kSelectorsExpected, "", "What of the peer's the SAs serve; must be there."},
     set_static_selectors<&StaticDraft::remote_ts>},
    {{"esp_proposal", "", "", "The algorithms, exactly one suite; -esn for extended sequence numbers; must be there."},
     set_suite},
    {{"mode", "tunnel or transport", "tunnel",
      "Whether whole packets go inside, or what our two addresses send to each other is protected as it is."},
     of_sa<set_choice<ChildSa, &ChildSa::mode, kModes>>},
    {{"encap", "yes or no", "no", "Whether ESP goes in UDP."}, of_sa<set_bool<ChildSa, &ChildSa::encap>>},
    {{"local_port", "1 to 65535", "4500", "Our UDP port, with encap."},
     set_number<StaticDraft, &StaticDraft::local_port, 1, 65535>},
    {{"remote_port", "1 to 65535", "4500", "The peer's UDP port, with encap."},
     set_number<StaticDraft, &StaticDraft::remote_port, 1, 65535>},
    {{"replay_window", kReplayExpected, "64", "Packets that may come out of order; 0 takes replays."},
     set_static_replay},
    {{"copy_df", "yes, no or set", "yes", "The outer DF bit of IPv4: copied, clear or set."}, set_static_df},
    {{"copy_dscp", "out, in, both or none", "out", "Where the DSCP is copied."},
     of_sa<set_choice<ChildSa, &ChildSa::dscp, kCopyDscp>>},
    {{"copy_ecn", "yes or no", "yes", "Whether ECN passes the tunnel (RFC 6040 normal mode)."},
     of_sa<set_bool<ChildSa, &ChildSa::copy_ecn>>},
    {{"workers", "one or spread", "one",
      "How many workers carry the SA: one, or all of them, for a single fat tunnel."},
     of_sa<set_choice<ChildSa, &ChildSa::workers, kSaWorkers>>},
};
const auto kStaticKeys = with_packet_rules<StaticDraft, rules_of>(kOwnKeys);
const Key<HalfDraft> kHalfKeys[] = {
    {{"spi", "256 to 4294967295; 0 to 255 are reserved (RFC 4303 2.1)", "", "The SPI; must be there."},
     set_number<HalfDraft, &HalfDraft::spi, 256, UINT32_MAX>},
    {{"encr_key", "0x and hex digits, or 0s and base64", "", "The encryption key, an AEAD's salt at its end."},
     set_key<&HalfDraft::encr_key>},
    {{"integ_key", "0x and hex digits, or 0s and base64", "", "The integrity key; not with an AEAD."},
     set_key<&HalfDraft::integ_key>},
};
constexpr std::string_view kStaticSections[] = {"in", "out"};

void check_key(const Place& place, const char* name, std::size_t have, std::size_t want, Findings& findings) {
    if (have == want) return;
    const ConfigNode* node = place.node.find(name);
    const std::string sizes = want == 0 ? "is there, but the algorithm takes none"
                              : node == nullptr
                                  ? "is not there; expected " + std::to_string(want) + " bytes"
                                  : "has " + std::to_string(have) + " bytes; expected " + std::to_string(want);
    findings.error(node != nullptr ? *node : place.node, place.path + "." + name, sizes);
}

void load_half(const Place& place, const char* name, const std::optional<Suite>& suite, ipsec::SaHalf& into,
               Findings& findings) {
    const ConfigNode* node = place.node.find(name);
    if (node == nullptr || node->kind != ConfigNode::Kind::section) {
        const std::string expected = "; expected " + std::string(name) + " = { spi = ..., encr_key = ... }";
        return findings.error(node != nullptr ? *node : place.node, place.path + "." + name,
                              "is not a section" + expected);
    }
    const Place own = place.child(*node);
    HalfDraft half;
    const std::string kind = "static.NAME." + std::string(name);
    load_keys<HalfDraft>(own, kHalfKeys, {kind, {}, {}}, half, findings);
    if (node->find("spi") == nullptr) findings.error(*node, own.path, "has no spi; expected the key \"spi\"");
    if (!suite) return;
    const auto* encr = crypto::find_encr(suite->encr);
    const auto* integ = suite->integ == crypto::Integ::none ? nullptr : crypto::find_integ(suite->integ);
    // A key that did not parse has been reported; its length would only repeat that.
    const auto parsed = [&](const char* key, const SecretBytes& bytes) {
        return node->find(key) == nullptr || !bytes.empty();
    };
    const std::size_t encr_size = encr == nullptr ? 0 : crypto::keymat_size(suite->encr, suite->key_bits);
    if (parsed("encr_key", half.encr_key)) check_key(own, "encr_key", half.encr_key.size(), encr_size, findings);
    if (parsed("integ_key", half.integ_key)) {
        check_key(own, "integ_key", half.integ_key.size(), integ == nullptr ? 0 : integ->key, findings);
    }
    into.spi = Spi(half.spi);
    into.keys = {suite->encr, suite->key_bits, suite->integ, std::move(half.encr_key), std::move(half.integ_key)};
}

// In transport mode there is no second header, and the ends are the only hosts (RFC 4301 4.1).
void check_transport(const Place& place, const StaticDraft& draft, Findings& findings) {
    for (const char* key : {"copy_df", "copy_dscp", "copy_ecn", "dscp", "tfc_padding", "icmp"}) {
        const ConfigNode* node = place.node.find(key);
        if (node != nullptr) findings.error(*node, place.path + "." + key, "has no meaning in transport mode");
    }
    const auto check_end = [&](const char* key, const auto& selectors, const net::IpAddress& own) {
        for (const ipsec::ConfiguredSelector& s : selectors) {
            if (s.selector.range.first == own && s.selector.range.last == own) continue;
            findings.error(
                *place.node.find(key), place.path + "." + key,
                s.to_string() + " is more than one end; in transport mode expected selectors of " + own.to_string());
        }
    };
    if (draft.sa.local.address) check_end("local_ts", draft.local_ts, draft.sa.local.address);
    if (draft.sa.remote.address) check_end("remote_ts", draft.remote_ts, draft.sa.remote.address);
}

void check_static(const Place& place, const StaticDraft& draft, Findings& findings) {
    for (const char* key : {"local", "remote", "local_ts", "remote_ts", "esp_proposal"}) {
        if (place.node.find(key) == nullptr) {
            findings.error(place.node, place.path, "has no " + std::string(key) + "; expected the key \"" + key + "\"");
        }
    }
    if (draft.sa.local.address && draft.sa.remote.address &&
        draft.sa.local.address.family() != draft.sa.remote.address.family()) {
        findings.error(place.node, place.path + ".remote", "is of the other IP version than local");
    }
    for (const char* key : {"local_port", "remote_port"}) {
        const ConfigNode* node = place.node.find(key);
        if (node != nullptr && !draft.sa.encap)
            findings.error(*node, place.path + "." + key, "has no meaning without encap = true");
    }
    if (draft.sa.esn && draft.sa.replay_window == 0) {
        findings.error(place.node, place.path + ".replay_window",
                       "is 0, but extended sequence numbers cannot be followed without a window (RFC 4303 A2)");
    }
    check_selectors(place, draft.local_ts, draft.remote_ts, findings);
    if (draft.sa.mode == ipsec::Mode::transport) check_transport(place, draft, findings);
}

ipsec::TrafficSelectors plain(const std::vector<ipsec::ConfiguredSelector>& selectors) {
    ipsec::TrafficSelectors out;
    for (const auto& s : selectors) out.push_back(s.selector);
    return out;
}

// A counter-mode key belongs to one SA alone: with two, IVs meet, and an IV that repeats under one key gives both
// plaintexts and the authentication key away (RFC 4106 2).
void check_own_key(const Place& place, const std::vector<ChildSa>& others, const ChildSa& sa, Findings& findings) {
    const auto* info = crypto::find_encr(sa.outbound.keys.encr);
    if (info == nullptr || !info->aead || sa.outbound.keys.encr_key.empty()) return;
    const auto same = [&](const ipsec::SaHalf& half) { return half.keys.encr_key == sa.outbound.keys.encr_key; };
    bool taken = same(sa.inbound);
    for (const ChildSa& other : others) {
        taken = taken || same(other.inbound) || same(other.outbound) ||
                other.outbound.keys.encr_key == sa.inbound.keys.encr_key;
    }
    if (taken)
        findings.error(*place.node.find("out"), place.path + ".out.encr_key",
                       "is another SA's key as well; expected a key of its own for each SA and direction, since IVs "
                       "may not meet (RFC 4106 2)");
}

void load_static(const Place& place, std::vector<ChildSa>& into, Findings& findings) {
    StaticDraft draft;
    ChildSa& sa = draft.sa;
    load_keys<StaticDraft>(place, kStaticKeys, {"static.NAME", kStaticSections, {}}, draft, findings);
    if (draft.suite) sa.esn = draft.suite->esn;
    load_half(place, "in", draft.suite, sa.inbound, findings);
    load_half(place, "out", draft.suite, sa.outbound, findings);
    check_static(place, draft, findings);
    check_own_key(place, into, sa, findings);
    for (const ChildSa& other : into) {
        if (other.inbound.spi == sa.inbound.spi && sa.inbound.spi != Spi{}) {
            findings.error(place.node, place.path + ".in.spi", "is that of " + other.name + " already");
        }
    }
    if (sa.encap) sa.local.port = draft.local_port;
    if (sa.encap) sa.remote.port = draft.remote_port;
    sa.name = place.node.key;
    sa.id = ChildSaId(kFirstStaticChildId + static_cast<std::uint32_t>(into.size()));
    sa.local_ts = plain(draft.local_ts);
    sa.remote_ts = plain(draft.remote_ts);
    sa.segment_address = sa.remote.address;
    into.push_back(std::move(sa));
}

}  // namespace

void load_statics(const ConfigNode& root, std::vector<ChildSa>& into, Findings& findings) {
    const ConfigNode* node = root.find("static");
    if (node == nullptr) return;
    for (const ConfigNode& member : node->children) {
        const Place place = Place{*node, "static"}.child(member);
        if (member.kind == ConfigNode::Kind::section) {
            load_static(place, into, findings);
        } else {
            findings.error(member, place.path, "is not a section; expected a table such as [static.lab]");
        }
    }
}

std::vector<SectionDoc> static_reference() {
    return {document<StaticDraft>(
                "static.NAME", "A pair of ESP SAs with manual keys, for labs: no rekeying, no liveness.", kStaticKeys),
            document<HalfDraft>("static.NAME.in / .out", "One SA of the pair.", kHalfKeys)};
}

}  // namespace sluice::control
