// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <set>

#include "ike/lifetime.hpp"
#include "ike/save.hpp"
#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

void bring_up(World& world) {
    add_pair(world);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(2s);
}

}  // namespace

TEST_CASE("TRAPS 37: soft limits are spread evenly over rand_*, and hard ones stand") {
    SeededRandom random(5);
    ike::EngineState engine({}, random);
    ike::ChildConfig config;
    config.rekey_time = 3600s;
    config.life_time = 3960s;
    config.rand_time = 360s;
    config.rekey_bytes = 1000;
    config.life_bytes = 1100;
    config.rand_bytes = 100;
    config.rekey_packets = 10;
    config.rand_packets = 50;  // more than there is: one packet at least
    std::set<std::uint64_t> packets;
    Duration low = 3600s;
    Duration high{};
    for (int i = 0; i < 2000; ++i) {
        const ipsec::Lifetime life = ike::draw_lifetime(engine, config);
        low = std::min(low, life.soft_time);
        high = std::max(high, life.soft_time);
        CHECK(life.hard_time == 3960s);
        CHECK(life.soft_bytes >= 900);
        CHECK(life.soft_bytes <= 1000);
        CHECK(life.hard_bytes == 1100);
        packets.insert(life.soft_packets);
        CHECK(life.hard_packets == 0);
    }
    CHECK(low >= 3240s);
    CHECK(low < 3245s);
    CHECK(high <= 3600s);
    CHECK(high > 3595s);
    CHECK(packets == std::set<std::uint64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
}

TEST_CASE("TRAPS 37: children and IKE SAs are replaced in time, for hours, and nothing ends") {
    const bool restored = GENERATE(false, true);
    World world;
    world.restore_between = restored;
    add_pair(world);
    for (const char* name : {"moon", "sun"}) {
        Node& node = world.node(name);
        ike::ConnectionConfig& connection = node.connections[0];
        connection.rekey_time = 1000s;
        connection.over_time = connection.rand_time = 100s;
        connection.children[0].rekey_time = 300s;
        connection.children[0].rand_time = 30s;
        connection.children[0].life_time = 330s;
        world.start(node);
    }
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.initiate(moon, "to-sun", "net");
    unsigned gaps = 0;
    for (int i = 0; i < 7200; ++i) {
        world.run(1s);
        if (moon.backend.outbound.empty() || sun.backend.outbound.empty()) ++gaps;
    }
    world.run(10s);
    CHECK(gaps == 0);
    CHECK(world.complaints().empty());
    CHECK(disagreement(moon, sun) == "");
    if (restored) return;  // counters begin anew with the engine
    const auto together = [&](const char* counter) { return moon.counter(counter) + sun.counter(counter); };
    CHECK(together("ike_child_rekeys") >= 24);
    CHECK(together("ike_child_rekeys") <= 30);
    CHECK(together("ike_ike_rekeys") >= 7);
    CHECK(together("ike_ike_rekeys") <= 8);
    CHECK(together("ike_rekeys_refused") == 0);
}

TEST_CASE(
    "RFC 7296 2.8.3: a rekeyed IKE SA is reauthenticated when the first one was to be, and ends where that fails") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    moon.connections[0].rekey_time = 100s;
    moon.connections[0].reauth_time = 250s;
    moon.connections[0].over_time = 20s;
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    const bool fails = GENERATE(false, true);
    world.run(240s);
    CHECK(moon.counter("ike_ike_rekeys") == 2);
    if (fails)
        world.fate = [](const Flight& flight) {
            return flight.bytes.size() > 18 && flight.bytes[18] == 34 ? std::vector<Duration>{}
                                                                      : std::vector<Duration>{1ms};
        };
    world.run(20s);
    CHECK(moon.counter("ike_reauthentications") == (fails ? 0 : 1));
    CHECK(moon.backend.installed.size() == 1);
    world.run(11s);
    CHECK(moon.backend.installed.size() == (fails ? 0 : 1));
}

TEST_CASE("TRAPS 18: RFC 7296 2.25 a rekeying that the peer puts off is tried again, and one that it refuses later") {
    World world;
    bring_up(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.act(moon, moon.engine->rekey({.child = "net"}, world.now())->actions);
    const bool later = GENERATE(true, false);
    const auto type = later ? ike::NotifyType::temporary_failure : ike::NotifyType::no_proposal_chosen;
    world.fate = [](const Flight&) { return std::vector<Duration>{}; };
    const ike::IkeSa of_sun = inspect(sun);
    const ike::IkeSa of_moon = inspect(moon);
    REQUIRE(of_moon.request);
    const Flight refusal = forge(sun, {.exchange = ike::ExchangeType::create_child_sa,
                                       .payloads = {ike::make_notify(type)},
                                       .message_id = of_moon.request->message_id,
                                       .response = true});
    world.act(moon, moon.engine->receive({refusal.to, refusal.from, refusal.bytes, refusal.marker}, world.now()));
    CHECK_FALSE(inspect(moon).request);
    CHECK(moon.backend.installed.size() == 1);
    CHECK(moon.backend.reserved.size() == (later ? 1 : 0));
    world.run(later ? 3500ms : 11s);
    CHECK(moon.counter("ike_rekeys_refused") == (later ? 0 : 1));
    CHECK(inspect(moon).request.has_value() == later);
    world.run(8s);
    CHECK(inspect(moon).request.has_value());
}

TEST_CASE("RFC 7296 2.25: a child that the peer does not know is removed and made from scratch") {
    World world;
    bring_up(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    const ChildSaId lost = sun.backend.outbound.back();
    world.fate = [](const Flight&) { return std::vector<Duration>{}; };
    world.act(sun, *sun.engine->terminate({.child_id = lost.value}, world.now()));
    const ike::IkeSa of_sun = inspect(sun);
    REQUIRE(of_sun.request);
    // sun takes moon's silence for an answer.
    const Flight answer = forge(moon, {.exchange = ike::ExchangeType::informational,
                                       .payloads = {},
                                       .message_id = of_sun.request->message_id,
                                       .response = true});
    world.act(sun, sun.engine->receive({answer.to, answer.from, answer.bytes, answer.marker}, world.now()));
    CHECK(sun.backend.installed.empty());
    world.fate = {};
    world.act(moon, moon.engine->rekey({.child = "net"}, world.now())->actions);
    world.run(5s);
    CHECK(moon.counter("ike_rekeys_refused") == 1);
    CHECK(moon.backend.installed.size() == 1);
    CHECK(sun.backend.installed.size() == 1);
    CHECK(world.complaints().empty());
}

TEST_CASE("TRAPS 16: RFC 7296 2.9.2 an answer to a rekeying that allows less than is in use is given back") {
    World world;
    bring_up(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.act(moon, moon.engine->rekey({.child = "net"}, world.now())->actions);
    world.fate = [](const Flight&) { return std::vector<Duration>{}; };
    const ike::IkeSa of_moon = inspect(moon);
    REQUIRE(of_moon.request);
    ipsec::Proposal chosen = of_moon.active->offer.proposals.at(0);
    ByteWriter spi;
    spi.u32(0x2aaaaaaa);
    chosen.spi = std::move(spi).take();
    ipsec::TrafficSelectors less = of_moon.children.at(0).sa.remote_ts;
    less[0].range.last = *net::IpAddress::parse("10.2.0.255");
    const Flight answer = forge(sun, {.exchange = ike::ExchangeType::create_child_sa,
                                      .payloads = {ike::SaPayload{{chosen}}, ike::NoncePayload{ByteVec(32, 9)},
                                                   ike::TsI{of_moon.children.at(0).sa.local_ts}, ike::TsR{less}},
                                      .message_id = of_moon.request->message_id,
                                      .response = true});
    world.act(moon, moon.engine->receive({answer.to, answer.from, answer.bytes, answer.marker}, world.now()));
    CHECK(moon.backend.installed.size() == 1);
    CHECK(moon.notice_text(ike::NoticeKind::ts_unacceptable).find("less than is in use") != std::string::npos);
    const ike::IkeSa after = inspect(moon);
    REQUIRE(after.active);
    CHECK(after.active->kind == ike::TaskKind::delete_child);
}

namespace {

// Restarts a node with its IKE SA as if it had sent and answered so many requests more.
void advance_ids(World& world, Node& node, std::uint32_t by) {
    SeededRandom random(99);
    ike::EngineState editor(node.config, random);
    for (const ike::ConnectionConfig& connection : node.connections)
        editor.connections.push_back(std::make_shared<const ike::ConnectionConfig>(connection));
    world.act(node, node.engine->tick(world.now()));
    ike::IkeSa sa = *ike::load_ike_sa(editor, *node.engine->save(node.sas().at(0).id), world.now());
    editor.now = world.now();
    sa.next_id += by;
    sa.expected_id += by;
    const ByteVec saved = ike::save_ike_sa(editor, sa);
    world.start(node);
    REQUIRE(node.engine->restore(saved, world.now()));
}

}  // namespace

TEST_CASE("TRAPS 2: an IKE SA whose message IDs come far is rekeyed, and begins at 0 again") {
    World world;
    bring_up(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    const bool by_moon = GENERATE(true, false);
    const std::uint64_t before = moon.sas().at(0).initiator_spi;
    for (Node* node : {&moon, &sun}) advance_ids(world, *node, ike::kRekeyFromId - 3);
    Node& asks = by_moon ? moon : sun;
    for (int i = 0; i < 4; ++i) {
        world.act(asks, asks.engine->rekey({.child = "net"}, world.now())->actions);
        world.run(6s);
    }
    world.run(100s);
    CHECK(moon.sas().at(0).initiator_spi != before);
    CHECK(inspect(moon).next_id < 20);
    CHECK(inspect(moon).expected_id < 20);
    CHECK(disagreement(moon, sun) == "");
    CHECK(world.complaints().empty());
}
