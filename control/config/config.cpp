// SPDX-License-Identifier: Apache-2.0
#include "control/config/config.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "control/config/connection_sections.hpp"
#include "control/config/credential_files.hpp"
#include "control/config/policies.hpp"
#include "control/config/schema.hpp"
#include "control/config/secret_sections.hpp"
#include "control/config/static_sections.hpp"
#include "control/config/system_sections.hpp"
#include "control/config/toml_file.hpp"

namespace sluice::control {
namespace {

constexpr std::string_view kTopLevel[] = {"daemon",      "metrics", "debug",  "dataplane",  "port",
                                          "worker",      "route",   "class",  "policy",     "ike",
                                          "connections", "secrets", "static", "authorities"};

std::vector<ConnectionDraft> load_connections(const ConfigNode& root, Findings& findings) {
    std::vector<ConnectionDraft> out;
    const ConfigNode* node = root.find("connections");
    if (node == nullptr) return out;
    if (node->kind != ConfigNode::Kind::section) {
        findings.error(*node, "connections", "is not a section; expected tables such as [connections.carol]");
        return out;
    }
    for (const ConfigNode& member : node->children) {
        const Place place = Place{*node, "connections"}.child(member);
        if (member.kind == ConfigNode::Kind::section) {
            out.push_back(load_connection(place, findings));
        } else {
            findings.error(member, place.path, "is not a section; expected a table such as [connections.carol]");
        }
    }
    return out;
}

bool on_a_port(const Config& config, const net::Prefix& wanted) {
    return std::any_of(config.addresses.begin(), config.addresses.end(),
                       [&](const auto& own) { return wanted.contains(own.address); });
}

const ConfigNode& at_key(const ConfigNode& section, std::string_view key) {
    const ConfigNode* node = section.find(key);
    return node != nullptr ? *node : section;
}

// Ports follow [ike] where the connection does not say one of its own.
void settle_ports(const ConfigNode& node, const std::string& path, const Config& config,
                  ike::ConnectionConfig& connection, Findings& findings) {
    if (node.find("local_port") == nullptr) connection.local_port = config.dataplane.ike_port;
    const bool ours =
        connection.local_port == config.dataplane.ike_port || connection.local_port == config.dataplane.nat_port;
    if (!ours) {
        findings.error(at_key(node, "local_port"), path + ".local_port",
                       "is no port that IKE listens on; expected " + std::to_string(config.dataplane.ike_port) +
                           " or " + std::to_string(config.dataplane.nat_port) + ", as [ike] has them");
    }
}

// What a public key needs beside it; VICI clients may still bring it.
void check_keys(const ConfigNode& node, const Config& config, const ike::ConnectionConfig& connection,
                Findings& findings) {
    const std::string path = "connections." + connection.name;
    const auto has_key = [&](const crypto::PublicKey& wanted) {
        return std::any_of(config.credentials.keys.begin(), config.credentials.keys.end(),
                           [&](const crypto::PrivateKey& key) { return key.public_key() == wanted; });
    };
    if (!connection.local.certs.empty()) {
        const auto key = connection.local.certs.front().public_key();
        if (!key)
            findings.error(node, path + ".local.certs", "has a key that cannot be used: " + key.error().text);
        else if (!has_key(*key))
            findings.warning(node, path + ".local.certs", "has no private key among [secrets] yet");
    }
    const ike::AuthConfig& remote = connection.remote;
    if (remote.method == ike::AuthMethod::pubkey && remote.certs.empty() && remote.cacerts.empty() &&
        remote.pubkeys.empty() && config.credentials.cas.empty())
        findings.warning(node, path + ".remote",
                         "has nothing that its certificates are trusted by yet; expected [authorities]");
    const auto knows = [&](const ike::PpkSecret& ppk) {
        return std::find(ppk.ids.begin(), ppk.ids.end(), connection.ppk_id) != ppk.ids.end();
    };
    const auto& ppks = config.credentials.ppks;
    if (!connection.ppk_id.empty() && std::none_of(ppks.begin(), ppks.end(), knows))
        findings.warning(node, path + ".ppk_id", "names no [secrets.ppk-NAME] yet");
}

void check_connection(const ConfigNode& node, const Config& config, ConnectionDraft& draft, Findings& findings) {
    const std::string path = "connections." + draft.config.name;
    settle_ports(node, path, config, draft.config, findings);
    for (const net::Prefix& local : draft.config.local_addrs) {
        if (on_a_port(config, local)) continue;
        findings.warning(at_key(node, "local_addrs"), path + ".local_addrs",
                         local.to_string() + " is on no port: nothing can be sent from it");
    }
    if (!draft.authenticates) return;
    check_keys(node, config, draft.config, findings);
    if (draft.config.local.method != ike::AuthMethod::psk && draft.config.remote.method != ike::AuthMethod::psk) return;
    const ike::Identity& remote = draft.config.remote.id;
    if (find_secret(config.secrets, draft.config.local.id, remote) != nullptr) return;
    const std::string wanted = remote.is_any() ? "" : " with id = [\"" + remote.to_string() + "\"], or without ids";
    findings.error(node, path, "has no preshared key; expected a [secrets.ike-NAME]" + wanted);
}

void check_statics(const ConfigNode& root, const Config& config, Findings& findings) {
    for (const ipsec::ChildSa& sa : config.static_sas) {
        if (!sa.local.address || on_a_port(config, net::Prefix::host(sa.local.address))) continue;
        const ConfigNode& node = *root.find("static")->find(sa.name);
        findings.warning(at_key(node, "local"), "static." + sa.name + ".local",
                         sa.local.address.to_string() + " is on no port: nothing can be sent from it");
    }
}

Config load(const ConfigNode& root, Findings& findings) {
    Config config;
    report_unknown({root, {}}, {{}, kTopLevel, {}}, {}, findings);
    load_system(root, config, findings);
    load_secrets(root, config, findings);
    load_authorities(root, config.credentials, findings);
    load_statics(root, config.static_sas, findings);
    for (ipsec::ChildSa& sa : config.static_sas) sa.iv_node = config.daemon.node;
    std::vector<ConnectionDraft> drafts = load_connections(root, findings);
    for (ConnectionDraft& draft : drafts) {
        check_connection(*root.find("connections")->find(draft.config.name), config, draft, findings);
    }
    check_statics(root, config, findings);
    make_policies(root, std::move(drafts), config, findings);
    return config;
}

std::string markdown_row(const KeyDoc& doc) {
    const std::string takes = doc.expected.empty() ? "see swanctl.conf" : std::string(doc.expected);
    std::string row = "| `" + std::string(doc.name) + "` | " + takes + " | " + std::string(doc.fallback) + " | " +
                      std::string(doc.help) + " |\n";
    for (std::size_t at = row.find("p|s"); at != std::string::npos; at = row.find("p|s", at))
        row.replace(at, 3, "p\\|s");
    return row;
}

}  // namespace

Checked check_config_text(std::string_view text, const std::string& file) {
    Checked out;
    auto parsed = parse_toml(text);
    if (const auto* error = std::get_if<TomlError>(&parsed)) {
        out.diagnostics.push_back(
            {Diagnostic::Severity::error, file, error->at.line, error->at.column, {}, "is not TOML: " + error->text});
        return out;
    }
    auto& root = std::get<ConfigNode>(parsed);
    Findings findings(file);
    Config config = load(root, findings);
    wipe(root);
    if (!findings.failed()) out.config = std::move(config);
    out.diagnostics = std::move(findings).take();
    return out;
}

Checked check_config(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream content;
    content << in.rdbuf();
    if (!in || in.bad() || content.bad()) {
        Checked out;
        out.diagnostics.push_back(
            {Diagnostic::Severity::error, path, 0, 0, {}, std::string("cannot be read: ") + std::strerror(errno)});
        return out;
    }
    std::string text = std::move(content).str();
    Checked out = check_config_text(text, path);
    sluice::wipe(MutBytes(reinterpret_cast<Byte*>(text.data()), text.size()));
    return out;
}

std::string config_reference() {
    std::vector<SectionDoc> sections = system_reference();
    for (SectionDoc& doc : connection_reference()) sections.push_back(std::move(doc));
    for (SectionDoc& doc : secret_reference()) sections.push_back(std::move(doc));
    sections.push_back(authority_reference());
    for (SectionDoc& doc : static_reference()) sections.push_back(std::move(doc));
    std::string out;
    for (const SectionDoc& section : sections) {
        out += "## [" + std::string(section.kind) + "]\n\n" + std::string(section.help) + "\n\n";
        out += "| key | takes | default | meaning |\n| --- | --- | --- | --- |\n";
        for (const KeyDoc& doc : section.keys) out += markdown_row(doc);
        out += "\n";
    }
    return out;
}

}  // namespace sluice::control
