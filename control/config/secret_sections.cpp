// SPDX-License-Identifier: Apache-2.0
#include "control/config/secret_sections.hpp"

#include <algorithm>

namespace sluice::control {
namespace {

using ike::PskSecret;

constexpr LaterKey kLaterSecrets[] = {
    {"eap*", "EAP"},
    {"xauth*", "IKEv1, which RFC 9395 retires"},
    {"ntlm*", "EAP"},
    {"ppk*", "post-quantum preshared keys"},
    {"private*", "certificates"},
    {"rsa*", "certificates"},
    {"ecdsa*", "certificates"},
    {"pkcs8*", "certificates"},
    {"pkcs12*", "certificates"},
    {"token*", "certificates"},
};

Verdict set_secret(PskSecret& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    auto secret = parse_secret(*text);
    // The text is a secret, or nearly one: it is not repeated.
    if (!secret) return Complaint{"is not the hex or base64 that it begins as", nullptr};
    if (secret->empty()) return Complaint{"is empty", nullptr};
    into.secret = std::move(*secret);
    return std::nullopt;
}

Verdict add_ids(PskSecret& into, const ConfigNode& value) {
    if (value.kind == ConfigNode::Kind::section) return no_scalar(value);
    for (const ListItem& item : list_items(value)) {
        auto identity = ike::Identity::parse(item.text);
        if (!identity) return Complaint{identity.error().text, item.node};
        into.ids.push_back(std::move(*identity));
    }
    return std::nullopt;
}

const Key<PskSecret> kSecretKeys[] = {
    {{"secret", "text, 0x and hex digits, or 0s and base64", "", "The preshared key; must be there."}, set_secret},
};
const KeyDoc kIdsDoc{"id*", "", "every peer",
                     "Whom the key is for: identities, in one or more keys that start with id."};

void load_secret(const Place& place, std::vector<PskSecret>& into, Findings& findings) {
    static constexpr std::string_view kIds[] = {"id", "id*"};
    PskSecret secret;
    secret.name = place.node.key;
    ConfigNode rest = place.node;  // without the ids, which are keys and not sections
    std::erase_if(rest.children, [](const ConfigNode& member) { return name_matches("id*", member.key); });
    load_keys<PskSecret>({rest, place.path}, kSecretKeys, {"secrets.ike-NAME", {kIds, 1}, {}}, secret, findings);
    wipe(rest);
    for (const ConfigNode& member : place.node.children) {
        if (!name_matches("id*", member.key)) continue;
        if (const auto verdict = add_ids(secret, member)) report(place, member, kIdsDoc, *verdict, findings);
    }
    if (place.node.find("secret") == nullptr)
        findings.error(place.node, place.path, "has no secret; expected the key \"secret\"");
    const auto same = [&](const PskSecret& other) {
        return std::is_permutation(other.ids.begin(), other.ids.end(), secret.ids.begin(), secret.ids.end());
    };
    if (std::any_of(into.begin(), into.end(), same)) {
        findings.error(place.node, place.path, "has the same ids as another secret: which one is meant cannot be told");
    }
    into.push_back(std::move(secret));
}

}  // namespace

void load_secrets(const ConfigNode& root, std::vector<PskSecret>& into, Findings& findings) {
    const ConfigNode* node = root.find("secrets");
    if (node == nullptr) return;
    const Place place{*node, "secrets"};
    if (node->kind != ConfigNode::Kind::section) {
        return findings.error(*node, "secrets", "is not a section; expected tables such as [secrets.ike-carol]");
    }
    static constexpr std::string_view kSections[] = {"ike*"};
    report_unknown(place, {"secrets", kSections, kLaterSecrets}, {}, findings);
    for (const ConfigNode& member : node->children) {
        if (member.kind == ConfigNode::Kind::section && name_matches("ike*", member.key)) {
            load_secret(place.child(member), into, findings);
        }
    }
}

const PskSecret* find_secret(const std::vector<PskSecret>& secrets, const ike::Identity& local,
                             const ike::Identity& remote) {
    const auto serves = [&](const PskSecret& secret) {
        if (secret.ids.empty() || remote.is_any()) return true;
        return std::any_of(secret.ids.begin(), secret.ids.end(),
                           [&](const ike::Identity& id) { return id.is_any() || id == remote || id == local; });
    };
    const auto found = std::find_if(secrets.begin(), secrets.end(), serves);
    return found == secrets.end() ? nullptr : &*found;
}

SectionDoc secret_reference() {
    SectionDoc out = document<PskSecret>("secrets.ike-NAME", "A preshared key.", kSecretKeys);
    out.keys.push_back(kIdsDoc);
    return out;
}

}  // namespace sluice::control
