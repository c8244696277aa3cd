// SPDX-License-Identifier: Apache-2.0
#include "control/config/credential_files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace sluice::control {
namespace {

using crypto::Certificate;
using crypto::KeyType;
using crypto::SignatureHash;

constexpr std::string_view kFileUri = "file://";

Error about(const std::string& path, const std::string& what) {
    return fail(ErrorCode::invalid, "\"" + path + "\": " + what);
}

struct Kind {
    std::string_view text;
    ike::AuthMethod method;
    std::optional<KeyType> key;
    bool pss = false;
};
constexpr Kind kKinds[] = {
    {"psk", ike::AuthMethod::psk, std::nullopt},
    {"null", ike::AuthMethod::null, std::nullopt},
    {"pubkey", ike::AuthMethod::pubkey, std::nullopt},
    {"rsa", ike::AuthMethod::pubkey, KeyType::rsa},
    {"rsa/pss", ike::AuthMethod::pubkey, KeyType::rsa, true},
    {"ecdsa", ike::AuthMethod::pubkey, KeyType::ecdsa},
    {"ed25519", ike::AuthMethod::pubkey, KeyType::ed25519},
    {"ed448", ike::AuthMethod::pubkey, KeyType::ed448},
};

std::optional<SignatureHash> hash_named(std::string_view text) {
    if (text == "sha256") return SignatureHash::sha256;
    if (text == "sha384") return SignatureHash::sha384;
    if (text == "sha512") return SignatureHash::sha512;
    return std::nullopt;
}

// What a section [authorities.NAME] holds.
struct Authority {
    std::vector<Certificate> certificates;
    std::vector<crypto::Crl> crls;
};

Verdict set_cacert(Authority& into, const ConfigNode& value) {
    const std::string* path = scalar_of(value);
    if (path == nullptr) return no_scalar(value);
    auto read = read_certificates(*path);
    if (!read) return Complaint{read.error().text, nullptr};
    for (const Certificate& one : *read)
        if (!one.is_ca()) return Complaint{"\"" + *path + "\": '" + one.subject_text() + "' is no CA", nullptr};
    into.certificates = *std::move(read);
    return std::nullopt;
}

Verdict set_crls(Authority& into, const ConfigNode& value) {
    if (value.kind == ConfigNode::Kind::section) return no_scalar(value);
    for (const ListItem& item : list_items(value)) {
        auto crl = read_crl(item.text);
        if (!crl) return Complaint{crl.error().text, item.node};
        into.crls.push_back(*std::move(crl));
    }
    return std::nullopt;
}

const Key<Authority> kAuthorityKeys[] = {
    {{"cacert", "the absolute path of a PEM or DER file", "",
      "A CA, trusted where it is self-signed, with its intermediates; must be there."},
     set_cacert},
    {{"crl_uris", "file:// URIs", "none", "Revocation lists, read when the configuration is."}, set_crls},
};
constexpr LaterKey kLaterAuthority[] = {
    {"file", "swanctl's search for files; cacert takes a path"},
    {"handle", "PKCS#11 tokens"},
    {"slot", "PKCS#11 tokens"},
    {"module", "PKCS#11 tokens"},
    {"cert_uri_base", "hash and URL"},
    {"ocsp_uris", "OCSP"},
};

}  // namespace

Result<SecretBytes> read_credential_file(const std::string& path) {
    if (path.empty() || path.front() != '/') return about(path, "is not an absolute path");
    std::ifstream in(path, std::ios::binary | std::ios::ate);
    if (!in) return about(path, std::string("cannot be read: ") + std::strerror(errno));
    const auto size = static_cast<std::streamoff>(in.tellg());
    if (size < 0 || static_cast<std::size_t>(size) > kMaxCredentialFile)
        return about(path, "is larger than 4 MiB, or no file");
    SecretBytes content(static_cast<std::size_t>(size));
    in.seekg(0);
    if (!in.read(reinterpret_cast<char*>(content.mutable_view().data()), size)) return about(path, "cannot be read");
    return content;
}

Result<std::vector<Certificate>> read_certificates(const std::string& path) {
    const auto content = read_credential_file(path);
    if (!content) return content.error();
    auto parsed = Certificate::parse(content->view());
    if (!parsed) return about(path, parsed.error().text);
    return parsed;
}

Result<crypto::PublicKey> read_public_key(const std::string& path) {
    const auto content = read_credential_file(path);
    if (!content) return content.error();
    auto parsed = crypto::PublicKey::parse(content->view());
    if (!parsed) return about(path, parsed.error().text);
    return parsed;
}

Result<crypto::Crl> read_crl(const std::string& uri) {
    if (!uri.starts_with(kFileUri)) return about(uri, "is no file:// URI; other schemes are not supported yet");
    const auto content = read_credential_file(uri.substr(kFileUri.size()));
    if (!content) return content.error();
    auto parsed = crypto::Crl::parse(content->view());
    if (!parsed) return about(uri, parsed.error().text);
    return parsed;
}

Verdict set_auth_method(ike::AuthConfig& into, const ConfigNode& value) {
    const std::string* whole = scalar_of(value);
    if (whole == nullptr) return no_scalar(value);
    std::string_view rest = *whole;
    if (rest.starts_with("ike:")) rest.remove_prefix(4);
    for (const std::string_view later : {"eap", "xauth"})
        if (rest.starts_with(later)) return Complaint{"\"" + *whole + "\" is not supported yet", nullptr};
    const std::string_view first = rest.substr(0, rest.find('-'));
    const auto* kind =
        std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return k.text == first; });
    if (kind == std::end(kKinds)) return Complaint{"\"" + *whole + "\" is unknown", nullptr};
    ike::SignatureRule rule{.key = kind->key, .pss = kind->pss, .hashes = {}};
    rest.remove_prefix(first.size());
    while (!rest.empty()) {
        rest.remove_prefix(1);
        const std::string_view part = rest.substr(0, rest.find('-'));
        const auto hash = hash_named(part);
        const bool hashes =
            kind->method == ike::AuthMethod::pubkey && kind->key != KeyType::ed25519 && kind->key != KeyType::ed448;
        if (!hash || !hashes)
            return Complaint{"\"" + *whole + "\": \"" + std::string(part) + "\" does not go with it", nullptr};
        rule.hashes.push_back(*hash);
        rest.remove_prefix(part.size());
    }
    into.method = kind->method;
    into.signatures = std::move(rule);
    return std::nullopt;
}

void load_authorities(const ConfigNode& root, ike::Credentials& into, Findings& findings) {
    const ConfigNode* node = root.find("authorities");
    if (node == nullptr) return;
    if (node->kind != ConfigNode::Kind::section)
        return findings.error(*node, "authorities", "is not a section; expected tables such as [authorities.root]");
    for (const ConfigNode& member : node->children) {
        const Place place = Place{*node, "authorities"}.child(member);
        if (member.kind != ConfigNode::Kind::section) {
            findings.error(member, place.path, "is not a section; expected a table such as [authorities.root]");
            continue;
        }
        Authority authority;
        load_keys<Authority>(place, kAuthorityKeys, {"authorities.NAME", {}, kLaterAuthority}, authority, findings);
        if (member.find("cacert") == nullptr)
            findings.error(member, place.path, "has no cacert; expected the path of a certificate");
        into.cas.insert(into.cas.end(), authority.certificates.begin(), authority.certificates.end());
        into.crls.insert(into.crls.end(), authority.crls.begin(), authority.crls.end());
    }
}

SectionDoc authority_reference() {
    return document<Authority>("authorities.NAME", "A certification authority and its revocation lists.",
                               kAuthorityKeys);
}

}  // namespace sluice::control
