// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <fstream>
#include <map>

#include "control/config/config.hpp"

using namespace sluice::control;

namespace {

const std::string kPort = R"([[port]]
name = "wan"
device = "eth0"
addresses = ["192.0.2.1/24"]
)";
const std::string kConnection = kPort + R"([secrets.ike-c]
secret = "x"
[connections.c]
local_addrs = ["192.0.2.1"]
remote_addrs = ["192.0.2.2"]
[connections.c.local]
auth = "psk"
[connections.c.remote]
auth = "psk"
[connections.c.children.n]
)";
const std::string kStatic = kPort + R"([static.lab]
local = "192.0.2.1"
remote = "192.0.2.2"
local_ts = ["10.1.0.0/24"]
remote_ts = ["10.2.0.0/24"]
)";

std::string findings(const std::string& text) {
    std::string out;
    for (const Diagnostic& d : check_config_text(text, "f").diagnostics) out += d.to_string() + "\n";
    return out;
}

struct Case {
    std::string base;
    std::string text;
    std::string expected;
};

std::vector<Case> read_cases() {
    std::ifstream in(std::string(SLUICE_SOURCE_ROOT) + "/tests/unit/control/diagnostics.txt");
    std::vector<Case> cases;
    for (std::string line; std::getline(in, line);) {
        if (line.rfind("base ", 0) == 0) cases.push_back({line.substr(5), {}, {}});
        if (line.rfind("| ", 0) == 0) cases.back().text += line.substr(2) + "\n";
        if (line.rfind("> ", 0) == 0) cases.back().expected += line.substr(2) + "\n";
    }
    return cases;
}

}  // namespace

TEST_CASE("TRAPS 55: findings name file, line, key and what was expected") {
    const std::map<std::string, std::string> bases{
        {"nothing", ""}, {"port", kPort}, {"connection", kConnection}, {"static", kStatic}};
    const std::vector<Case> cases = read_cases();
    CHECK(cases.size() > 80);
    for (const Case& c : cases) {
        INFO(c.base << " and\n" << c.text);
        CHECK(findings(bases.at(c.base) + c.text) == c.expected);
    }
}

TEST_CASE("What the cases are built on is itself in order") {
    CHECK(findings(kPort).empty());
    CHECK(findings(kConnection).empty());
    const std::string half = " = { spi = 0x1001, integ_key = \"0x" + std::string(64, '0') + "\" }\n";
    CHECK(findings(kStatic + "esp_proposal = \"null-sha256\"\nin" + half + "out" + half).empty());
}

TEST_CASE("ChaCha20-Poly1305's fixed key takes 36 bytes, salt included (RFC 7634 2)") {
    const auto half = [](const char* name, char digit) {
        return std::string(name) + " = { spi = 0x1001, encr_key = \"0x" + std::string(72, digit) + "\" }\n";
    };
    const std::string sas = "esp_proposal = \"chacha20poly1305\"\n" + half("in", '1') + half("out", '2');
    const Checked checked = check_config_text(kStatic + sas, "f");
    REQUIRE(checked.ok());
    CHECK(checked.config->static_sas[0].inbound.keys.key_bits == 256);
    // Where counters meet under one key, both plaintexts are given away.
    CHECK_FALSE(
        check_config_text(kStatic + "esp_proposal = \"chacha20poly1305\"\n" + half("in", '1') + half("out", '1'), "f")
            .ok());
}

TEST_CASE("TRAPS 51: a finding about a secret does not repeat it") {
    for (const char* secret : {"0xhunter2", "0s!hunter2"}) {
        const std::string text = kPort + "[secrets.ike-x]\nsecret = \"" + secret + "\"\n";
        CHECK_FALSE(findings(text).empty());
        CHECK(findings(text).find("hunter2") == std::string::npos);
    }
    const std::string keys = "esp_proposal = \"aes128gcm16\"\nin = { spi = 256, encr_key = \"hunter2\" }\n";
    CHECK(findings(kStatic + keys).find("hunter2") == std::string::npos);
}

TEST_CASE("TRAPS 55: more selectors than a TS payload holds beside the trigger packet's are refused") {
    const auto child_with = [](int count) {
        std::string list;
        for (int i = 0; i < count; ++i) list += (i == 0 ? "\"10.1.0." : ", \"10.1.0.") + std::to_string(i) + "\"";
        return findings(kConnection + "local_ts = [" + list + "]\nremote_ts = [\"10.2.0.0/16\"]\n");
    };
    CHECK(child_with(254).empty());
    CHECK(child_with(255).find("connections.c.children.n.local_ts: has 255 selectors; at most 254 fit") !=
          std::string::npos);
}
