// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "control/config/config.hpp"

using namespace sluice;
using namespace sluice::control;

namespace {

const std::filesystem::path kConfigs = std::filesystem::path(SLUICE_SOURCE_ROOT) / "configs";

Config load(const char* name) {
    Checked checked = check_config((kConfigs / name).string());
    REQUIRE(checked.ok());
    return std::move(*checked.config);
}

}  // namespace

TEST_CASE("Every example loads without a single finding") {
    unsigned examples = 0;
    for (const auto& entry : std::filesystem::directory_iterator(kConfigs)) {
        if (entry.path().extension() != ".toml") continue;
        ++examples;
        const Checked checked = check_config(entry.path().string());
        for (const Diagnostic& d : checked.diagnostics) UNSCOPED_INFO(d.to_string());
        CHECK(checked.diagnostics.empty());
    }
    CHECK(examples >= 5);
}

TEST_CASE("The roadwarrior example serves anyone with a key, at the client's own address") {
    const Config config = load("roadwarrior.toml");
    REQUIRE(config.connections.size() == 1);
    CHECK(config.connections[0].remote_addrs.empty());
    CHECK(config.connections[0].children.at(0).remote_ts.at(0).dynamic);
    CHECK(config.secrets.size() == 2);
}

TEST_CASE("The site-to-site example traps both IP versions and lets one thing pass") {
    const Config config = load("site-to-site.toml");
    REQUIRE(config.spd.policies.size() == 3);
    CHECK(config.spd.policies[0].action == ipsec::PolicyAction::bypass);
    CHECK(config.spd.policies[1].trap);
    CHECK(config.spd.policies[2].trap);
    CHECK(config.spd.default_action == ipsec::PolicyAction::discard);
}

TEST_CASE("The transport example protects two hosts, and has rules for the packets of a tunnel") {
    const Config config = load("transport.toml");
    REQUIRE(config.static_sas.size() == 2);
    CHECK(config.static_sas[0].mode == ipsec::Mode::transport);
    CHECK(config.static_sas[0].rules == ipsec::PacketRules{.mss_clamp = ipsec::kByPathMtu});
    CHECK(config.static_sas[1].mode == ipsec::Mode::tunnel);
    CHECK(config.static_sas[1].rules == ipsec::PacketRules{.tfc_padding = ipsec::kByPathMtu,
                                                           .mss_clamp = ipsec::kByPathMtu,
                                                           .dscp = 10,
                                                           .icmp = true,
                                                           .mark_in = {0x20, 0xf0},
                                                           .mark_out = {0x10, 0xf0}});
    REQUIRE(config.dataplane.classes.size() == 1);
    CHECK(config.dataplane.classes[0].mark == ipsec::Mark{0x10, 0xf0});
    CHECK(config.dataplane.classes[0].dscp == 46);
    CHECK(config.dataplane.path_mtu_age == std::chrono::minutes(10));
}

TEST_CASE("configs/README.md has the reference that the tables give") {
    std::ifstream in(kConfigs / "README.md");
    std::ostringstream content;
    content << in.rdbuf();
    CHECK(content.str().find(config_reference()) != std::string::npos);
}
