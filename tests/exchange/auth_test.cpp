// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;
using ike::NoticeKind;
using ike::NotifyType;

namespace {

void set_psk(World& world, Node& node, const std::string& secret) {
    node.secrets[0].secret = SecretBytes(as_bytes(secret));
    world.start(node);
}

bool nothing_left(const Node& node) {
    return node.sas().empty() && node.backend.installed.empty() && node.backend.reserved.empty();
}

}  // namespace

// HDR, SK{IDi, AUTH, ...}           -->
//                                   <--  HDR, SK{N(AUTHENTICATION_FAILED)}
TEST_CASE("A wrong shared key: both ends say so, and nothing comes up") {
    World world;
    const bool restored = GENERATE(false, true);
    world.restore_between = restored;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    set_psk(world, sun, "something else");
    world.initiate(moon, "to-sun", "net");
    world.run(70s);
    CHECK(nothing_left(moon));
    CHECK(nothing_left(sun));
    CHECK(world.sent().size() == 4);
    const std::string here = sun.notice_text(NoticeKind::authentication_failed);
    for (const char* part : {"moon.sluice.test", "to-moon", "shared key", "differs", "192.0.2.1"})
        CHECK(here.find(part) != std::string::npos);
    const std::string there = moon.notice_text(NoticeKind::authentication_failed);
    for (const char* part : {"AUTHENTICATION_FAILED", "to-sun", "shared key", "192.0.2.2"})
        CHECK(there.find(part) != std::string::npos);
    // The reason is told once: ike_down says what it came to.
    const std::string down = moon.notice_text(NoticeKind::ike_down);
    CHECK(down.find("connection 'to-sun'") != std::string::npos);
    CHECK(down.find("was not established") != std::string::npos);
    CHECK(down.find("AUTHENTICATION_FAILED") == std::string::npos);
    CHECK(!sun.noticed(NoticeKind::ike_up));
    CHECK(sun.counter("ike_half_open") == 0);
}

TEST_CASE("No shared key for the pair: told with both identities") {
    World world;
    add_pair(world);
    Node& sun = world.node("sun");
    sun.secrets[0].ids = {*ike::Identity::parse("venus.sluice.test"), sun.connections[0].local.id};
    world.start(sun);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(70s);
    const std::string text = sun.notice_text(NoticeKind::authentication_failed);
    CHECK(text.find("no shared key found for 'sun.sluice.test' - 'moon.sluice.test'") != std::string::npos);
    CHECK(nothing_left(sun));
    CHECK(nothing_left(world.node("moon")));
}

// What the responder answers verifies for everybody but the initiator, which tells it in an exchange of its own.
TEST_CASE("The responder's AUTH does not verify: the initiator refuses and the responder learns of it") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    bool changed = false;
    world.tap = [&](const Flight& flight) {
        if (flight.to.address != moon.address || world.sent().size() < 4 || changed) return;
        changed = true;
        auto secrets = moon.secrets;
        secrets[0].secret = SecretBytes(as_bytes("changed while IKE_AUTH is under way"));
        moon.engine->configure(moon.connections, secrets);
    };
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    CHECK(nothing_left(moon));
    CHECK(nothing_left(sun));
    CHECK(moon.notice_text(NoticeKind::authentication_failed).find("differs") != std::string::npos);
    CHECK(sun.notice_text(NoticeKind::authentication_failed).find("does not accept") != std::string::npos);
    CHECK(world.sent().size() == 6);
}

TEST_CASE("TRAPS 7: AUTH covers the very bytes of IKE_SA_INIT: one changed byte on the way fails it") {
    // The reserved bytes of the first payload and a NAT detection hash: nothing else looks at them.
    const std::size_t offset = GENERATE(29u, 0u);
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.translate = [&](Flight& flight) {
        if (flight.number != 1) return;
        const std::size_t at = offset != 0 ? offset : flight.bytes.size() - 1;
        flight.bytes[at] ^= 0x01;
    };
    world.initiate(moon, "to-sun", "net");
    world.run(70s);
    CHECK(nothing_left(moon));
    CHECK(nothing_left(sun));
    CHECK(sun.noticed(NoticeKind::authentication_failed));
}

TEST_CASE("The connection is found by the identities once they are known") {
    World world;
    add_pair(world);
    Node& sun = world.node("sun");
    ike::ConnectionConfig other = sun.connections[0];
    other.name = "to-venus";
    other.remote.id = *ike::Identity::parse("venus.sluice.test");
    ike::ConnectionConfig anybody = sun.connections[0];
    anybody.name = "to-anybody";
    anybody.remote.id = {};
    sun.connections = {other, anybody, sun.connections[0]};
    world.start(sun);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(2s);
    REQUIRE(disagreement(world.node("moon"), sun) == "");
    CHECK(sun.sas()[0].name == "to-moon");  // who names the peer goes before who takes any
}

TEST_CASE("An identity that nothing is configured for is refused") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    moon.connections[0].local.id = *ike::Identity::parse("mars@sluice.test");
    moon.secrets[0].ids.clear();
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(70s);
    CHECK(nothing_left(world.node("sun")));
    CHECK(world.node("sun").notice_text(NoticeKind::authentication_failed).find("mars@sluice.test") !=
          std::string::npos);
}

TEST_CASE("A responder with another identity than the one configured is refused") {
    World world;
    add_pair(world);
    Node& sun = world.node("sun");
    sun.connections[0].local.id = *ike::Identity::parse("mercury.sluice.test");
    sun.secrets[0].ids.clear();
    world.start(sun);
    Node& moon = world.node("moon");
    const bool named = GENERATE(true, false);
    moon.secrets[0].ids.clear();  // the key would do for anybody
    if (!named) moon.connections[0].remote.id = {};
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(70s);
    if (named)
        CHECK(nothing_left(moon));
    else
        CHECK(disagreement(moon, sun) == "");
}

TEST_CASE("TRAPS 21: INITIAL_CONTACT of a peer that began anew closes its older IKE SA, once it has authenticated") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.initiate(moon, "to-sun", "net");
    world.run(10s);
    REQUIRE(disagreement(moon, sun) == "");
    const ChildSaId old = sun.sas()[0].children[0].sa.id;
    // moon crashes and forgets everything.
    moon.backend = {};
    moon.random = std::make_unique<SeededRandom>(77);
    const bool right_key = GENERATE(true, false);
    if (!right_key) moon.secrets[0].secret = SecretBytes(as_bytes("an impostor"));
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(10s);
    if (right_key) {
        CHECK(disagreement(moon, sun) == "");
        CHECK(sun.backend.installed.count(old) == 0);
    } else {
        CHECK(sun.backend.installed.count(old) == 1);
        CHECK(sun.sas().size() == 1);
    }
    CHECK(world.complaints().empty());
}

TEST_CASE("TRAPS 21: INITIAL_CONTACT touches no other identities") {
    World world;
    add_pair(world);
    Node& sun = world.node("sun");
    sun.connections[0].remote.id = {};
    sun.connections[0].remote_addrs.clear();
    sun.secrets[0].ids.clear();
    world.start(sun);
    Node& mars = world.add("mars", "192.0.2.3");
    mars.random = std::make_unique<SeededRandom>(5);
    mars.config.node = NodeId(3);
    mars.connections = world.node("moon").connections;
    mars.connections[0].local_addrs = {net::Prefix::host(mars.address)};
    mars.connections[0].local.id = *ike::Identity::parse("mars.sluice.test");
    mars.secrets = world.node("moon").secrets;
    mars.secrets[0].ids.clear();
    world.start(mars);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(5s);
    world.initiate(mars, "to-sun", "net");
    world.run(5s);
    CHECK(sun.sas().size() == 2);
    CHECK(world.node("moon").sas().size() == 1);
}

TEST_CASE("TRAPS 51: key log lines are written where asked for, and only there") {
    const bool wanted = GENERATE(true, false);
    World world;
    add_pair(world, {.ike_proposal = "aes128-sha256-modp2048", .esp_proposal = "aes128-sha256"});
    Node& moon = world.node("moon");
    moon.config.key_log = wanted;
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    REQUIRE(disagreement(moon, world.node("sun")) == "");
    REQUIRE(moon.key_lines.size() == (wanted ? 3 : 0));
    if (!wanted) return;
    const ike::IkeSa sa = inspect(moon);
    CHECK(moon.key_lines[0].find(R"({"t":"ike","spi_i":")") == 0);
    CHECK(moon.key_lines[0].find(R"("encr":12,"key_bits":128,"integ":12,"prf":5,"sk_ei":")" +
                                 to_hex(sa.keys.initiator.encr_key.view())) != std::string::npos);
    CHECK(moon.key_lines[1].find(R"({"t":"esp","dir":"out","spi":"0x)") == 0);
    CHECK(moon.key_lines[1].find(
              R"("src":"192.0.2.1","dst":"192.0.2.2","encr":12,"key_bits":128,"integ":12,"esn":false)") !=
          std::string::npos);
    CHECK(moon.key_lines[2].find(R"("dir":"in")") != std::string::npos);
    CHECK(moon.key_lines[2].find(to_hex(sa.children[0].sa.inbound.keys.integ_key.view())) != std::string::npos);
}
