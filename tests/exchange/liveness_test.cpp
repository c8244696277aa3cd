// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <set>

#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;
using ike::NoticeKind;

namespace {

std::vector<Duration> nowhere(const Flight&) { return {}; }

void with_dpd(World& world, Node& node, Duration delay, ike::DpdAction action = ike::DpdAction::clear) {
    node.connections[0].dpd_delay = delay;
    node.connections[0].children[0].dpd_action = action;
    world.start(node);
}

// Up; moon brings back what sun deletes.
void bring_up_restarting(World& world) {
    add_pair(world);
    Node& moon = world.node("moon");
    moon.connections[0].children[0].close_action = ike::CloseAction::start;
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(5s);
}

}  // namespace

// moon                                   sun
// HDR, SK{}                         -->
//                                   <--  HDR, SK{}
TEST_CASE("TRAPS 22: a silent peer is asked with an empty INFORMATIONAL, with jitter") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    with_dpd(world, moon, 30s);
    std::vector<Instant> when;
    world.tap = [&](const Flight& flight) {
        if (flight.number > 4 && flight.from.address == moon.address) when.push_back(world.now());
    };
    world.initiate(moon, "to-sun", "net");
    world.run(302s);
    REQUIRE(when.size() >= 8);
    REQUIRE(when.size() <= 11);
    std::set<Duration> gaps;
    for (std::size_t i = 1; i < when.size(); ++i) {
        gaps.insert(when[i] - when[i - 1]);
        CHECK(when[i] - when[i - 1] >= 26s);
        CHECK(when[i] - when[i - 1] <= 34s);
    }
    CHECK(gaps.size() > 4);
    CHECK(unseal(moon, last_from(world, moon).bytes).payloads.empty());
    CHECK(unseal(world.node("sun"), last_from(world, world.node("sun")).bytes).payloads.empty());
    CHECK(disagreement(moon, world.node("sun")) == "");
}

TEST_CASE("TRAPS 22: inbound ESP that was verified counts as a sign of life") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    with_dpd(world, moon, 30s);
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    const ChildSaId child = moon.sas()[0].children[0].sa.id;
    const std::size_t sent = world.sent().size();
    for (int i = 0; i < 40; ++i) {
        world.run(10s);
        world.act(moon, moon.engine->child_heard(child, world.now()));
    }
    CHECK(world.sent().size() == sent);
    world.run(60s);
    CHECK(world.sent().size() > sent);
}

TEST_CASE("TRAPS 22: a peer that is gone: the IKE SA goes, and the action says what comes") {
    const ike::DpdAction action = GENERATE(ike::DpdAction::clear, ike::DpdAction::trap, ike::DpdAction::restart);
    const bool restored = GENERATE(false, true);
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    with_dpd(world, moon, 10s, action);
    world.initiate(moon, "to-sun", "net");
    world.run(5s);
    world.fate = nowhere;
    world.run(185s);
    CHECK(moon.backend.installed.empty());
    CHECK(moon.noticed(NoticeKind::peer_unreachable));
    if (restored) world.restore(moon);
    sun.backend = {};  // sun was switched off and begins anew
    world.start(sun);
    world.fate = {};
    world.run(400s);
    if (action == ike::DpdAction::restart)
        CHECK(disagreement(moon, sun) == "");
    else
        CHECK(moon.sas().empty());
}

TEST_CASE("close_action = start brings back what the peer deleted, the child or the whole IKE SA") {
    const bool whole = GENERATE(false, true);
    World world;
    bring_up_restarting(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    ike::Engine::TerminateRequest request;
    (whole ? request.ike : request.child) = whole ? "to-moon" : "net";
    world.act(sun, *sun.engine->terminate(request, world.now()));
    world.run(200ms);
    CHECK(moon.children() == 0);
    world.run(10s);
    CHECK(disagreement(moon, sun) == "");
    // What is deleted on purpose stays away.
    world.act(moon, *moon.engine->terminate({.child = "net"}, world.now()));
    world.run(30s);
    CHECK(moon.children() == 0);
}

TEST_CASE("What is about to be brought back stays away when it is terminated meanwhile") {
    const bool whole = GENERATE(false, true);
    World world;
    bring_up_restarting(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.act(sun, *sun.engine->terminate({.ike = "to-moon"}, world.now()));
    world.run(200ms);
    REQUIRE(moon.children() == 0);
    ike::Engine::TerminateRequest request;
    (whole ? request.ike : request.child) = whole ? "to-sun" : "net";
    world.act(moon, *moon.engine->terminate(request, world.now()));
    world.run(30s);
    CHECK(moon.children() == 0);
}

TEST_CASE("TRAPS 37: at the end of its lifetime a child is gone from the backend before the peer answers") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    const bool by_time = GENERATE(true, false);
    if (by_time) moon.connections[0].children[0].life_time = 60s;
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(5s);
    REQUIRE(disagreement(moon, world.node("sun")) == "");
    world.fate = nowhere;
    if (!by_time) {
        const ChildSaId id = moon.sas()[0].children[0].sa.id;
        world.act(moon, moon.engine->backend_event(ipsec::Expire{id, false}, world.now()));
        CHECK(moon.backend.installed.size() == 1);  // soft: it goes on
        world.act(moon, moon.engine->backend_event(ipsec::Expire{id, true}, world.now()));
    } else {
        world.run(56s);
    }
    CHECK(moon.backend.installed.empty());
    CHECK(moon.noticed(NoticeKind::child_down));
    world.fate = {};
    world.run(20s);
    CHECK(disagreement(moon, world.node("sun"), by_time ? 0 : 1) == "");  // the soft limit had begun a rekeying
}

TEST_CASE("TRAPS 37: the hard lifetime of the IKE SA takes its children with it, and ends at the peer too") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    moon.connections[0].reauth_time = 60s;  // which does not succeed
    moon.connections[0].over_time = 10s;
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(50s);
    world.fate = [](const Flight& flight) {
        const bool init = flight.bytes.size() > 18 && flight.bytes[18] == 34;
        return init ? std::vector<Duration>{} : std::vector<Duration>{1ms};
    };
    world.run(19s);
    REQUIRE(moon.backend.installed.size() == 1);
    world.run(200s);
    for (const char* name : {"moon", "sun"}) {
        CHECK(world.node(name).sas().empty());
        CHECK(world.node(name).backend.installed.empty());
    }
}

TEST_CASE("A child that is to start is made again when its lifetime has ended") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    moon.connections[0].children[0].life_time = 60s;
    moon.connections[0].children[0].start_action = ike::StartAction::start;
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(65s);
    CHECK(disagreement(moon, world.node("sun")) == "");
    CHECK(moon.counter("ike_child_installed") == 2);
}

TEST_CASE("TRAPS 56: while a DH job stalls, everything else goes on") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    // A stranger's IKE_SA_INIT whose arithmetic never ends.
    sun.connections[0].remote_addrs.clear();
    sun.engine->configure(sun.connections, sun.secrets);
    ike::Message stranger = *ike::parse_message(world.sent().at(0).bytes);
    stranger.header.initiator_spi = 5;
    const ByteVec bytes = ike::build_message(stranger);
    const ike::Actions stalled = sun.engine->receive(
        {{sun.address, 500}, {*net::IpAddress::parse("203.0.113.5"), 500}, bytes, false}, world.now());
    REQUIRE(stalled.size() == 1);
    REQUIRE(std::holds_alternative<ike::StartDh>(stalled[0]));
    CHECK(sun.counter("ike_half_open") == 1);
    world.act(moon, *moon.engine->terminate({.child = "net"}, world.now()));
    world.run(1s);
    CHECK(sun.children() == 0);
    world.initiate(moon, "to-sun", "net");
    world.run(40s);
    CHECK(disagreement(moon, sun) == "");  // and the half-open one has timed out
}
