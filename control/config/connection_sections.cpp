// SPDX-License-Identifier: Apache-2.0
#include "control/config/connection_sections.hpp"

#include <algorithm>

#include "control/config/child_sections.hpp"
#include "control/config/credential_files.hpp"

namespace sluice::control {
namespace {

using ike::AuthConfig;
using ike::ConnectionConfig;

constexpr LaterKey kLaterConnection[] = {
    {"vips", "requesting virtual addresses"},
    {"pools", "address pools"},
    {"aggressive", "IKEv1, which RFC 9395 retires", "no"},
    {"pull", "IKEv1, which RFC 9395 retires", "yes"},
    {"dpd_timeout", "IKEv1; with IKEv2 retransmission decides", "0"},
    {"dscp", "marking IKE packets", "000000"},
    {"mobike", "MOBIKE", "no"},
    {"childless", "IKE SAs without a child", "never"},
    {"ocsp", "OCSP", "never"},
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
    {"cert*", "swanctl's search for certificates; certs takes paths"},
    {"cacert*", "swanctl's search for certificates; cacerts takes paths"},
    {"eap_id", "EAP"},
    {"aaa_id", "EAP"},
    {"xauth_id", "IKEv1, which RFC 9395 retires"},
    {"groups", "group membership"},
    {"ca_id", "CAs by identity"},
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

Verdict set_certs(std::vector<crypto::Certificate>& into, const ConfigNode& value) {
    if (value.kind == ConfigNode::Kind::section) return no_scalar(value);
    for (const ListItem& item : list_items(value)) {
        auto read = read_certificates(item.text);
        if (!read) return Complaint{read.error().text, item.node};
        into.insert(into.end(), read->begin(), read->end());
    }
    return std::nullopt;
}
template <auto Member>
Verdict set_certs(AuthConfig& into, const ConfigNode& value) {
    return set_certs(into.*Member, value);
}

Verdict set_pubkeys(AuthConfig& into, const ConfigNode& value) {
    if (value.kind == ConfigNode::Kind::section) return no_scalar(value);
    for (const ListItem& item : list_items(value)) {
        auto key = read_public_key(item.text);
        if (!key) return Complaint{key.error().text, item.node};
        into.pubkeys.push_back(*std::move(key));
    }
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

constexpr Choice<ike::SendCert> kSendCert[] = {
    {"ifasked", ike::SendCert::if_asked}, {"always", ike::SendCert::always}, {"never", ike::SendCert::never}};
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
    {{"send_certreq", "yes or no", "yes", "Whether certificates are asked for."},
     set_bool<ConnectionConfig, &ConnectionConfig::send_certreq>},
    {{"send_cert", "ifasked, always or never", "ifasked", "When our certificate is sent, with its intermediates."},
     set_choice<ConnectionConfig, &ConnectionConfig::send_cert, kSendCert>},
    {{"ppk_id", "text", "none", "As initiator, the postquantum preshared key that is mixed in (RFC 8784)."},
     set_text<ConnectionConfig, &ConnectionConfig::ppk_id>},
    {{"ppk_required", "yes or no", "no", "Whether there is no IKE SA without one."},
     set_bool<ConnectionConfig, &ConnectionConfig::ppk_required>},
    {{"dpd_delay", "a duration such as 30s", "0s",
      "After how much silence the peer is asked whether it lives; 0: never."},
     set_duration<ConnectionConfig, &ConnectionConfig::dpd_delay>},
    {{"rekey_time", "a duration such as 4h", "4h", "When the IKE SA gets new keys; 0: never."},
     set_duration<ConnectionConfig, &ConnectionConfig::rekey_time>},
    {{"reauth_time", "a duration such as 24h", "0s",
      "When both ends authenticate anew: another IKE SA takes over, then the old one is deleted; 0: never."},
     set_duration<ConnectionConfig, &ConnectionConfig::reauth_time>},
    {{"over_time", "a duration such as 24m", "10 % of the longer of rekey_time and reauth_time",
      "How long after the earlier of both the IKE SA is deleted where neither has succeeded."},
     set_duration<ConnectionConfig, &ConnectionConfig::over_time>},
    {{"rand_time", "a duration such as 24m", "over_time",
      "How much earlier than rekey_time and reauth_time it happens at the most, drawn anew each time."},
     set_duration<ConnectionConfig, &ConnectionConfig::rand_time>},
};
constexpr Choice<crypto::Revocation> kRevocation[] = {{"relaxed", crypto::Revocation::relaxed},
                                                      {"ifuri", crypto::Revocation::ifuri},
                                                      {"strict", crypto::Revocation::strict}};
constexpr std::string_view kPaths = "absolute paths of PEM or DER files";
const Key<AuthConfig> kAuthKeys[] = {
    {{"auth", "psk, pubkey, rsa, rsa/pss, ecdsa, ed25519, ed448 or null", "",
      "How this side proves itself; must be there. -sha256, -sha384 and -sha512 behind it say which hashes may be "
      "used. "
      "null: it does not (RFC 7619)."},
     set_auth_method},
    {{"certs", kPaths, "local: one that bears the id; remote: any that is trusted",
      "local: our certificate, and intermediates. remote: the only ones taken, trusted as they are."},
     set_certs<&AuthConfig::certs>},
    {{"cacerts", kPaths, "any of [authorities]", "remote: a chain has to go through one of these; they are trusted."},
     set_certs<&AuthConfig::cacerts>},
    {{"pubkeys", kPaths, "none",
      "Raw public keys instead of certificates (RFC 7670). local: ours. remote: those that the id has."},
     set_pubkeys},
    {{"revocation", "relaxed, ifuri or strict", "relaxed",
      "remote: whether a certificate is refused when no revocation list speaks of it: never, where it names a place to "
      "ask, always."},
     set_choice<AuthConfig, &AuthConfig::revocation, kRevocation>},
    {{"id", "", "local: the address; remote: any",
      "This side's identity: user@host, a name, an address, a distinguished name, or @#HEX."},
     set_id},
};
constexpr std::string_view kConnectionSections[] = {"local*", "remote*", "children"};  // swanctl's suffixes: local-1

// What only the section as a whole tells.
void check_auth(const Place& place, bool local, const AuthConfig& auth, Findings& findings) {
    const auto complain = [&](std::string_view key, const std::string& text) {
        const ConfigNode* node = place.node.find(key);
        findings.error(node != nullptr ? *node : place.node, place.path + "." + std::string(key), text);
    };
    const bool pubkey = auth.method == ike::AuthMethod::pubkey;
    for (const std::string_view key : {"certs", "cacerts", "pubkeys", "revocation"})
        if (!pubkey && place.node.find(key) != nullptr) complain(key, "means nothing without auth = \"pubkey\"");
    for (const std::string_view key : {"cacerts", "revocation"})
        if (local && place.node.find(key) != nullptr)
            complain(key, "means nothing for our own side; expected under remote");
    if (auth.method == ike::AuthMethod::null && !auth.id.is_any())
        complain("id", "cannot be proven with auth = \"null\"; expected no id");
    if (!auth.pubkeys.empty() && !auth.certs.empty()) complain("pubkeys", "stands beside certs; expected one of them");
    if (!local && !auth.pubkeys.empty() && auth.id.is_any())
        complain("pubkeys", "prove no identity by themselves; expected an id beside them");
    if (!local || auth.certs.empty() || auth.id.is_any()) return;
    if (!ike::certificate_bears(auth.certs.front(), auth.id))
        complain("certs", "is of '" + auth.certs.front().subject_text() + "' and does not bear the id '" +
                              auth.id.to_string() + "'");
}

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
            findings.error(member, own.path, "has no auth; expected auth = \"pubkey\", \"psk\" or another");
        }
        check_auth(own, prefix == "local", into, findings);
    }
    if (!seen)
        findings.error(place.node, place.path,
                       "has no section \"" + std::string(prefix) + "\"; expected one with auth");
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

// swanctl's defaults, which follow from what is there.
void load_lifetime(const Place& place, ConnectionConfig& config, Findings& findings) {
    if (!place.node.find("over_time")) config.over_time = std::max(config.rekey_time, config.reauth_time) / 10;
    if (!place.node.find("rand_time")) config.rand_time = config.over_time;
    for (const Duration limit : {config.rekey_time, config.reauth_time}) {
        const ConfigNode* rand = place.node.find("rand_time");
        if (!rand || limit.count() == 0 || config.rand_time < limit) continue;
        return findings.error(*rand, place.path + ".rand_time",
                              "is as long as rekey_time or reauth_time itself; expected less than both");
    }
}

}  // namespace

ConnectionDraft load_connection(const Place& place, Findings& findings) {
    ConnectionDraft draft;
    draft.at = place.node.at;
    draft.config.name = place.node.key;
    draft.config.rekey_time = std::chrono::hours(4);
    // proposals' default stands first: a wrong list leaves it, and is an error anyway
    draft.config.proposals = default_proposals(ipsec::Protocol::ike);
    load_keys<ConnectionConfig>(place, kConnectionKeys, {"connections.NAME", kConnectionSections, kLaterConnection},
                                draft.config, findings);
    load_lifetime(place, draft.config, findings);
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
