// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "control/vici/codec.hpp"
#include "control/vici/views.hpp"
#include "tests/unit/control/vici_fixture.hpp"

using namespace sluice;
using namespace sluice::control;
using namespace sluice::control::vici;
using std::chrono::seconds;

TEST_CASE("A list-sa event has strongSwan's fields") {
    const CannedCommands commands;
    const Message event = sa_message(commands.listing_.ikes.front(), commands.listing_);
    CHECK(to_text(event) ==
          "carol {\n"
          "  uniqueid = 3\n"
          "  version = 2\n"
          "  state = ESTABLISHED\n"
          "  local-host = 192.0.2.1\n"
          "  local-port = 4500\n"
          "  local-id = moon.sluice.test\n"
          "  remote-host = 198.51.100.9\n"
          "  remote-port = 61234\n"
          "  remote-id = carol@sluice.test\n"
          "  initiator-spi = 0102030405060708\n"
          "  responder-spi = a1a2a3a4a5a6a7a8\n"
          "  nat-remote = yes\n"
          "  nat-any = yes\n"
          "  encr-alg = AES_CBC\n"
          "  encr-keysize = 128\n"
          "  integ-alg = HMAC_SHA2_256_128\n"
          "  prf-alg = PRF_HMAC_SHA2_256\n"
          "  dh-group = CURVE_25519\n"
          "  established = 100\n"
          "  rekey-time = 13000\n"
          "  reauth-time = 86000\n"
          "  child-sas {\n"
          "    net-7 {\n"
          "      name = net\n"
          "      uniqueid = 7\n"
          "      reqid = 5\n"
          "      state = INSTALLED\n"
          "      mode = TUNNEL\n"
          "      protocol = ESP\n"
          "      encap = yes\n"
          "      spi-in = c1020304\n"
          "      spi-out = 00a0b0c0\n"
          "      encr-alg = AES_GCM_16\n"
          "      encr-keysize = 256\n"
          "      esn = 1\n"
          "      bytes-in = 1008\n"
          "      packets-in = 12\n"
          "      use-in = 4\n"
          "      bytes-out = 0\n"
          "      packets-out = 0\n"
          "      life-time = 510\n"
          "      install-time = 90\n"
          "      local-ts = [ 10.1.0.0/24, 10.3.0.0/24 ]\n"
          "      remote-ts = [ 10.2.0.0/24 ]\n"
          "    }\n"
          "  }\n"
          "}\n");
}

TEST_CASE("A child with perfect forward secrecy shows its group") {
    CannedCommands commands;
    ike::IkeView& view = commands.listing_.ikes.front();
    CHECK(to_text(sa_message(view, commands.listing_)).find("dh-group = ECP_384") == std::string::npos);
    view.children.front().group = crypto::Group::ecp384;
    CHECK(to_text(sa_message(view, commands.listing_)).find("dh-group = ECP_384\n      esn = 1") != std::string::npos);
}

TEST_CASE("An IKE SA in its first exchange is shown without what it does not have yet") {
    CannedCommands commands;
    ike::IkeView& view = commands.listing_.ikes.front();
    view.state = "CONNECTING";
    view.initiator = true;
    view.suite = {};
    view.established = {};
    view.children.clear();
    view.remote_id.clear();
    const Message event = sa_message(view, commands.listing_);
    const Message& ike = *event.find_section("carol");
    CHECK(ike.get("initiator") == "yes");
    CHECK(ike.get("remote-id") == "%any");
    CHECK(ike.find("encr-alg") == nullptr);
    CHECK(ike.find("established") == nullptr);
    CHECK(ike.find_section("child-sas")->empty());
}

TEST_CASE("list-sas filters by names and ids") {
    CannedCommands commands;
    const auto count = [&](const SaFilter& filter) { return list_sas(commands.listing_, filter).size(); };
    CHECK(count({}) == 1);
    CHECK(count({"carol", "", 0, 0}) == 1);
    CHECK(count({"dave", "", 0, 0}) == 0);
    CHECK(count({"", "net", 0, 7}) == 1);
    CHECK(count({"", "net", 0, 8}) == 0);
    CHECK(count({"", "", 3, 0}) == 1);
    CHECK(count({"", "", 4, 0}) == 0);
}

TEST_CASE("SAs with manual keys are listed under static") {
    CannedCommands commands;
    commands.listing_.statics = {commands.listing_.ikes.front().children.front()};
    commands.listing_.ikes.clear();
    const auto events = list_sas(commands.listing_, {});
    REQUIRE(events.size() == 1);
    const Message* ike = events.front().find_section("static");
    REQUIRE(ike != nullptr);
    CHECK(ike->get("state") == "STATIC");
    CHECK(ike->find_section("child-sas")->find_section("net-7") != nullptr);
    CHECK(list_sas(commands.listing_, {"", "", 3, 0}).empty());
}

TEST_CASE("TRAPS 51: no view holds keys") {
    CannedCommands commands;
    const std::string key = "a key that nobody may see";
    auto& sa = commands.listing_.ikes.front().children.front().sa;
    for (ipsec::SaHalf* half : {&sa.inbound, &sa.outbound}) {
        half->keys.encr_key = SecretBytes(as_bytes(key));
        half->keys.integ_key = SecretBytes(as_bytes(key));
    }
    commands.config_.secrets = {{"ike-carol", SecretBytes(as_bytes(key)), {}}};
    std::string shown;
    for (const Message& m : list_sas(commands.listing_, {})) shown += to_text(m);
    for (const Message& m : list_conns(commands.config_, {})) shown += to_text(m);
    CHECK_FALSE(shown.empty());
    CHECK(shown.find(key) == std::string::npos);
    CHECK(shown.find(to_hex(as_bytes(key))) == std::string::npos);
}

TEST_CASE("A connection that holds shunts alone is listed") {
    CannedCommands commands;
    commands.config_.connections.clear();
    const auto events = list_conns(commands.config_, {});
    REQUIRE(events.size() == 1);
    const Message* children = events.front().find_section("carol")->find_section("children");
    CHECK(children->find_section("lan")->get("mode") == "PASS");
    CHECK(list_conns(commands.config_, "dave").empty());
}

TEST_CASE("Uptimes use the largest unit of which there are two") {
    CHECK(relative_time(seconds(0)) == "0 seconds");
    CHECK(relative_time(seconds(1)) == "1 second");
    CHECK(relative_time(seconds(119)) == "119 seconds");
    CHECK(relative_time(seconds(120)) == "2 minutes");
    CHECK(relative_time(seconds(7199)) == "119 minutes");
    CHECK(relative_time(seconds(7200)) == "2 hours");
    CHECK(relative_time(seconds(172800)) == "2 days");
}
