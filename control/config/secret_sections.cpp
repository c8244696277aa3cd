// SPDX-License-Identifier: Apache-2.0
#include "control/config/secret_sections.hpp"

#include <algorithm>

#include "control/config/credential_files.hpp"

namespace sluice::control {
namespace {

using ike::PskSecret;

constexpr LaterKey kLaterSecrets[] = {
    {"eap*", "EAP"},
    {"xauth*", "IKEv1, which RFC 9395 retires"},
    {"ntlm*", "EAP"},
    {"token*", "PKCS#11 tokens"},
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

// [secrets.private-NAME] and [secrets.pkcs12-NAME].
struct KeyFile {
    std::string file;
    SecretBytes passphrase;
};
Verdict set_passphrase(KeyFile& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    auto secret = parse_secret(*text);
    if (!secret) return Complaint{"is not the hex or base64 that it begins as", nullptr};
    into.passphrase = std::move(*secret);
    return std::nullopt;
}
const Key<KeyFile> kKeyFileKeys[] = {
    {{"file", "an absolute path", "", "Where the key is: PEM or DER of PKCS#8, PKCS#1 or SEC 1; must be there."},
     set_text<KeyFile, &KeyFile::file>},
    {{"secret", "text, 0x and hex digits, or 0s and base64", "none", "The passphrase that opens it."}, set_passphrase},
};

Result<void> read_key(const KeyFile& key, ike::Credentials& into) {
    const auto content = read_credential_file(key.file);
    if (!content) return content.error();
    auto parsed = crypto::PrivateKey::parse(content->view(), key.passphrase);
    if (!parsed) return fail(ErrorCode::invalid, "\"" + key.file + "\": " + parsed.error().text);
    into.keys.push_back(*std::move(parsed));
    return {};
}

// A key with its certificate; the CAs in it are intermediates or trusted, as those of [authorities].
Result<void> read_bundle(const KeyFile& key, ike::Credentials& into) {
    const auto content = read_credential_file(key.file);
    if (!content) return content.error();
    auto parsed = crypto::parse_pkcs12(content->view(), key.passphrase);
    if (!parsed) return fail(ErrorCode::invalid, "\"" + key.file + "\": " + parsed.error().text);
    into.keys.push_back(std::move(parsed->key));
    for (const crypto::Certificate& one : parsed->certificates) (one.is_ca() ? into.cas : into.certs).push_back(one);
    return {};
}

void load_key_file(const Place& place, ike::Credentials& into, Findings& findings) {
    KeyFile key;
    ConfigNode rest = place.node;
    load_keys<KeyFile>({rest, place.path}, kKeyFileKeys, {"secrets.private-NAME", {}, {}}, key, findings);
    wipe(rest);
    if (place.node.find("file") == nullptr)
        return findings.error(place.node, place.path, "has no file; expected the path of a key");
    if (key.file.empty()) return;
    const bool bundle = name_matches("pkcs12*", place.node.key);
    const auto read = bundle ? read_bundle(key, into) : read_key(key, into);
    if (!read)
        findings.error(*place.node.find("file"), place.path + ".file", read.error().text + "; expected a private key");
}

// [secrets.ppk-NAME].
void load_ppk(const Place& place, std::vector<ike::PpkSecret>& into, Findings& findings) {
    static constexpr std::string_view kIds[] = {"id", "id*"};
    PskSecret secret;
    ike::PpkSecret ppk{.name = place.node.key, .secret = {}, .ids = {}};
    ConfigNode rest = place.node;
    std::erase_if(rest.children, [](const ConfigNode& member) { return name_matches("id*", member.key); });
    load_keys<PskSecret>({rest, place.path}, kSecretKeys, {"secrets.ppk-NAME", {kIds, 1}, {}}, secret, findings);
    wipe(rest);
    ppk.secret = std::move(secret.secret);
    for (const ConfigNode& member : place.node.children)
        if (name_matches("id*", member.key))
            for (const ListItem& item : list_items(member)) ppk.ids.push_back(item.text);
    if (ppk.secret.empty()) findings.error(place.node, place.path, "has no secret; expected the key \"secret\"");
    if (ppk.ids.empty()) findings.error(place.node, place.path, "has no id; expected the PPK_ID that both ends use");
    into.push_back(std::move(ppk));
}

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

void load_secrets(const ConfigNode& root, Config& config, Findings& findings) {
    const ConfigNode* node = root.find("secrets");
    if (node == nullptr) return;
    const Place place{*node, "secrets"};
    if (node->kind != ConfigNode::Kind::section) {
        return findings.error(*node, "secrets", "is not a section; expected tables such as [secrets.ike-carol]");
    }
    static constexpr std::string_view kSections[] = {"ike*", "ppk*", "private*", "rsa*", "ecdsa*", "pkcs8*", "pkcs12*"};
    report_unknown(place, {"secrets", kSections, kLaterSecrets}, {}, findings);
    for (const ConfigNode& member : node->children) {
        if (member.kind != ConfigNode::Kind::section) continue;
        const Place own = place.child(member);
        if (name_matches("ike*", member.key)) {
            load_secret(own, config.secrets, findings);
        } else if (name_matches("ppk*", member.key)) {
            load_ppk(own, config.credentials.ppks, findings);
        } else if (std::any_of(std::begin(kSections) + 2, std::end(kSections),
                               [&](std::string_view pattern) { return name_matches(pattern, member.key); })) {
            load_key_file(own, config.credentials, findings);
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

std::vector<SectionDoc> secret_reference() {
    SectionDoc psk = document<PskSecret>("secrets.ike-NAME", "A preshared key.", kSecretKeys);
    psk.keys.push_back(kIdsDoc);
    SectionDoc ppk = document<PskSecret>("secrets.ppk-NAME", "A postquantum preshared key (RFC 8784).", kSecretKeys);
    ppk.keys.push_back(
        {"id*", "text", "", "Its PPK_ID at both ends, in one or more keys that start with id; must be there."});
    return {psk, ppk,
            document<KeyFile>("secrets.private-NAME",
                              "A private key; rsa-NAME, ecdsa-NAME and pkcs8-NAME are the same. pkcs12-NAME: a PKCS#12 "
                              "file, whose certificates are taken too.",
                              kKeyFileKeys)};
}

}  // namespace sluice::control
