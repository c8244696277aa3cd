// SPDX-License-Identifier: Apache-2.0
#include "control/config/connection_sections.hpp"

#include <algorithm>

#include "control/config/child_sections.hpp"

namespace sluice::control {
namespace {

using ike::AuthConfig;
using ike::ConnectionConfig;

constexpr LaterKey kLaterConnection[] = {
    {"reauth_time", "reauthentication", "0"},
    {"rekey_time", "rekeying IKE SAs on its own", "0"},
    {"over_time", "rekeying IKE SAs on its own", "0"},
    {"rand_time", "rekeying IKE SAs on its own", "0"},
    {"vips", "requesting virtual addresses"},
    {"pools", "address pools"},
    {"aggressive", "IKEv1, which RFC 9395 retires", "no"},
    {"pull", "IKEv1, which RFC 9395 retires", "yes"},
    {"dpd_timeout", "IKEv1; with IKEv2 retransmission decides", "0"},
    {"dscp", "marking IKE packets", "000000"},
    {"mobike", "MOBIKE", "no"},
    {"childless", "IKE SAs without a child", "never"},
    {"send_certreq", "certificates", "no"},
    {"send_cert", "certificates", "never"},
    {"ocsp", "certificates", "never"},
    {"ppk_id", "post-quantum preshared keys"},
    {"ppk_required", "post-quantum preshared keys", "no"},
    {"keyingtries", "repeating a failed negotiation", "1"},
    {"unique", "replacing a peer's older IKE SAs", "no"},
    {"if_id_in", "XFRM interfaces", "0"},
    {"if_id_out", "XFRM interfaces", "0"},
    {"mediation", "mediated connections", "no"},
    {"mediated_by", "mediated connections"},
    {"mediation_peer", "mediated connections"},
};
constexpr LaterKey kLaterAuth[] = {
    {"round", "more than one authentication round", "0"},
    {"certs", "certificates"},
    {"cert*", "certificates"},
    {"cacert*", "certificates"},
    {"pubkeys", "raw public keys"},
    {"eap_id", "EAP"},
    {"aaa_id", "EAP"},
    {"xauth_id", "IKEv1, which RFC 9395 retires"},
    {"groups", "group membership"},
    {"ca_id", "certificates"},
    {"revocation", "certificates"},
};

Verdict set_version(ConnectionConfig&, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    if (*text != "2") return Complaint{"\"" + *text + "\" is not supported: IKEv1 is retired (RFC 9395)", nullptr};
    return std::nullopt;
}

template <auto Member>
Verdict set_addresses(ConnectionConfig& into, const ConfigNode& value) {
    std::vector<net::Prefix> out;
    bool any = false;
    const auto items = list_items(value);
    for (const ListItem& item : items) {
        if (item.text == "%any" || item.text == "0.0.0.0/0" || item.text == "::/0") {
            any = true;
            continue;
        }
        const auto prefix = net::Prefix::parse(item.text);
        if (!prefix) return is_not(item.text, "an address or prefix", item.node);
        out.push_back(*prefix);
    }
    if (any && items.size() > 1 && !out.empty()) return Complaint{"mixes %any with addresses", nullptr};
    into.*Member = std::move(out);
    return std::nullopt;
}

Verdict set_proposals(ConnectionConfig& into, const ConfigNode& value) {
    return parse_proposal_list(value, ipsec::Protocol::ike, into.proposals);
}

Verdict set_fragmentation(ConnectionConfig& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    if (*text == "force") return Complaint{"\"force\" is for IKEv1, which RFC 9395 retires", nullptr};
    const auto truth = parse_bool(*text);
    if (!truth && *text != "accept") return Complaint{"\"" + *text + "\" is unknown", nullptr};
    into.fragmentation = !truth   ? ike::Fragmentation::accept
                         : *truth ? ike::Fragmentation::yes
                                  : ike::Fragmentation::no;
    return std::nullopt;
}

Verdict set_auth(AuthConfig& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    static constexpr std::string_view kLater[] = {"pubkey",  "eap",   "xauth", "rsa",  "ecdsa",
                                                  "ed25519", "ed448", "bliss", "null", "ike:"};
    for (const std::string_view later : kLater) {
        if (text->substr(0, later.size()) == later) return Complaint{"\"" + *text + "\" is not supported yet", nullptr};
    }
    if (*text != "psk") return Complaint{"\"" + *text + "\" is unknown", nullptr};
    into.method = ike::AuthMethod::psk;
    return std::nullopt;
}

Verdict set_id(AuthConfig& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    auto identity = ike::Identity::parse(*text);
    if (!identity) return Complaint{identity.error().text, nullptr};
    into.id = std::move(*identity);
    return std::nullopt;
}

const Key<ConnectionConfig> kConnectionKeys[] = {
    {{"version", "2", "2", "The IKE version."}, set_version},
    {{"local_addrs", "addresses or prefixes, or %any", "%any",
      "Our addresses: the first is spoken from, all are answered on."},
     set_addresses<&ConnectionConfig::local_addrs>},
    {{"remote_addrs", "addresses or prefixes, or %any", "%any",
      "The peer's addresses: the first host address is called, all are answered."},
     set_addresses<&ConnectionConfig::remote_addrs>},
    {{"local_port", "1 to 65535", "500", "Our port: one of the two in [ike]."},
     set_number<ConnectionConfig, &ConnectionConfig::local_port, 1, 65535>},
    {{"remote_port", "1 to 65535", "500", "The peer's port."},
     set_number<ConnectionConfig, &ConnectionConfig::remote_port, 1, 65535>},
    {{"proposals", "", "default", "What is offered and taken for the IKE SA, best first."}, set_proposals},
    {{"encap", "yes or no", "no", "Whether ESP goes in UDP even without NAT."},
     set_bool<ConnectionConfig, &ConnectionConfig::encap>},
    {{"fragmentation", "yes, accept or no", "yes",
      "Whether large IKE messages go in fragments (RFC 7383); accept: they are taken, none are sent."},
     set_fragmentation},
    {{"fragment_size", "576 to 65535", "1280", "How large the IP packets with fragments are, in bytes, for this peer."},
     set_number<ConnectionConfig, &ConnectionConfig::fragment_size, 576, 65535>},
    {{"dpd_delay", "a duration such as 30s", "0s",
      "After how much silence the peer is asked whether it lives; 0: never."},
     set_duration<ConnectionConfig, &ConnectionConfig::dpd_delay>},
};
const Key<AuthConfig> kAuthKeys[] = {
    {{"auth", "psk", "", "How this side proves itself; must be there."}, set_auth},
    {{"id", "", "local: the address; remote: any", "This side's identity: user@host, a name, an address, or @#HEX."},
     set_id},
};
constexpr std::string_view kConnectionSections[] = {"local*", "remote*", "children"};  // swanctl's suffixes: local-1

void load_auth(const Place& place, std::string_view prefix, AuthConfig& into, Findings& findings) {
    bool seen = false;
    for (const ConfigNode& member : place.node.children) {
        if (member.kind != ConfigNode::Kind::section || !name_matches(std::string(prefix) + "*", member.key)) continue;
        const Place own = place.child(member);
        if (seen) {
            findings.error(member, own.path, "is not supported yet: more than one authentication round");
            continue;
        }
        seen = true;
        load_keys<AuthConfig>(own, kAuthKeys, {"connections.NAME." + std::string(prefix), {}, kLaterAuth}, into,
                              findings);
        if (member.find("auth") == nullptr) {
            findings.error(member, own.path,
                           "has no auth, and swanctl's default, pubkey, is not supported yet; expected auth = \"psk\"");
        }
    }
    if (!seen)
        findings.error(place.node, place.path,
                       "has no section \"" + std::string(prefix) + "\"; expected one with auth = \"psk\"");
}

bool only_shunts(const ConnectionDraft& draft) {
    return !draft.children.empty() && std::all_of(draft.children.begin(), draft.children.end(),
                                                  [](const ChildDraft& c) { return c.mode != ChildMode::tunnel; });
}

bool has_host(const std::vector<net::Prefix>& prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [](const net::Prefix& p) { return p.length == p.address.size() * 8; });
}

void load_children(const Place& place, ConnectionDraft& draft, Findings& findings) {
    const ConfigNode* node = place.node.find("children");
    if (node == nullptr) return;
    const Place children = place.child(*node);
    if (node->kind != ConfigNode::Kind::section) {
        return findings.error(*node, children.path, "is not a section; expected a table for each child");
    }
    for (const ConfigNode& child : node->children) {
        const Place own = children.child(child);
        if (child.kind != ConfigNode::Kind::section) {
            findings.error(child, own.path, "is not a section; expected a table");
        } else {
            draft.children.push_back(load_child(own, findings));
        }
    }
}

// What only the connection as a whole tells about its children.
void check_children(const Place& place, const ConnectionDraft& draft, Findings& findings) {
    for (const ChildDraft& child : draft.children) {
        const bool calls =
            child.mode == ChildMode::tunnel && (child.trap || child.config.start_action != ike::StartAction::none ||
                                                child.config.close_action == ike::CloseAction::start ||
                                                child.config.dpd_action == ike::DpdAction::restart);
        const bool asks = child.trap || child.config.start_action != ike::StartAction::none;
        if (!calls || has_host(draft.config.remote_addrs)) continue;
        const ConfigNode& node = *place.node.find("children")->find(child.config.name);
        const char* key = asks                                                 ? "start_action"
                          : child.config.dpd_action == ike::DpdAction::restart ? "dpd_action"
                                                                               : "close_action";
        const ConfigNode* value = node.find(key);
        findings.error(value != nullptr ? *value : node, place.path + ".children." + child.config.name + "." + key,
                       "needs a peer to call, and remote_addrs names none; expected an address in remote_addrs");
    }
}

}  // namespace

ConnectionDraft load_connection(const Place& place, Findings& findings) {
    ConnectionDraft draft;
    draft.at = place.node.at;
    draft.config.name = place.node.key;
    // proposals' default stands first: a wrong list leaves it, and is an error anyway
    draft.config.proposals = default_proposals(ipsec::Protocol::ike);
    load_keys<ConnectionConfig>(place, kConnectionKeys, {"connections.NAME", kConnectionSections, kLaterConnection},
                                draft.config, findings);
    load_children(place, draft, findings);
    if (only_shunts(draft) && place.node.find("local") == nullptr && place.node.find("remote") == nullptr) return draft;
    draft.authenticates = true;
    load_auth(place, "local", draft.config.local, findings);
    load_auth(place, "remote", draft.config.remote, findings);
    if (draft.children.empty())
        findings.warning(place.node, place.path, "has no children: nothing can be negotiated with it");
    check_children(place, draft, findings);
    return draft;
}

std::vector<SectionDoc> connection_reference() {
    return {document<ConnectionConfig>("connections.NAME", "A peer, or many; the keys are swanctl.conf's.",
                                       kConnectionKeys),
            document<AuthConfig>("connections.NAME.local / .remote", "Our authentication and the peer's.", kAuthKeys),
            child_reference()};
}

}  // namespace sluice::control
