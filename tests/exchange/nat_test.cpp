// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// moon is behind a NAT that shows it as 198.51.100.1; sun is not. The mapping can be changed in mid-flow.
struct Masquerade {
    net::IpAddress inside = *net::IpAddress::parse("192.0.2.1");
    net::IpAddress outside = *net::IpAddress::parse("198.51.100.1");
    std::uint16_t port_500 = 31500;
    std::uint16_t port_4500 = 34500;

    void operator()(Flight& flight) const {
        if (flight.from.address == inside) {
            flight.from.address = outside;
            flight.from.port = flight.from.port == 500 ? port_500 : port_4500;
        } else if (flight.to.address == outside) {
            flight.to.port = flight.to.port == port_500 ? 500 : flight.to.port == port_4500 ? 4500 : 1;
            flight.to.address = inside;
        }
    }
};

void open_to_all(World& world, Node& sun) {
    sun.connections[0].remote_addrs.clear();
    world.start(sun);
}

}  // namespace

// moon             NAT                   sun
// 500              31500            -->  500     SAi1, N(NATD)...
// 500              31500           <--   500
// 4500             34500            -->  4500    SK{IDi, ...}     from here on with the non-ESP marker
TEST_CASE("TRAPS 24: a NAT is found by both ends, and IKE_AUTH goes to port 4500") {
    const bool restored = GENERATE(false, true);
    World world;
    world.restore_between = restored;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    open_to_all(world, sun);
    Masquerade nat;
    world.translate = [&](Flight& flight) { nat(flight); };
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    REQUIRE(moon.children() == 1);
    REQUIRE(sun.children() == 1);
    const ike::IkeView here = moon.sas()[0];
    const ike::IkeView there = sun.sas()[0];
    CHECK(here.nat_local);
    CHECK_FALSE(here.nat_remote);
    CHECK(there.nat_remote);
    CHECK_FALSE(there.nat_local);
    CHECK(there.remote == net::Endpoint{nat.outside, 34500});
    CHECK(there.local.port == 4500);
    CHECK(here.children[0].sa.encap);
    CHECK(there.children[0].sa.encap);
    CHECK(there.children[0].sa.remote == there.remote);
    CHECK(there.children[0].sa.segment_address == nat.outside);
    for (std::size_t i = 0; i < 4; ++i) CHECK(world.sent().at(i).marker == (i >= 2));
}

TEST_CASE("TRAPS 24: keepalives come from behind the NAT alone, one byte each, and are dropped") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    open_to_all(world, sun);
    world.translate = Masquerade();
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    const std::size_t from_sun = count_from(world, sun);
    world.run(200s);
    CHECK(count_from(world, sun) == from_sun);
    CHECK(moon.counter("ike_keepalives_sent") >= 9);
    CHECK(moon.counter("ike_keepalives_sent") <= 10);
    CHECK(sun.counter("ike_keepalives_received") == moon.counter("ike_keepalives_sent"));
    CHECK(last_from(world, moon).bytes == ByteVec{0xff});
    CHECK_FALSE(last_from(world, moon).marker);
    world.act(moon, *moon.engine->terminate({.ike = "to-sun"}, world.now()));
    world.run(2s);
    const std::size_t sent = world.sent().size();
    world.run(200s);
    CHECK(world.sent().size() == sent);
}

TEST_CASE("TRAPS 24: without a NAT nothing floats, and nothing is kept alive") {
    World world;
    add_pair(world);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(100s);
    CHECK(world.sent().size() == 4);
    CHECK(world.sent().at(2).to.port == 500);
    CHECK_FALSE(world.node("sun").sas()[0].children[0].sa.encap);
}

TEST_CASE("TRAPS 24: the peer is followed after an authentic fresh packet, and its children with it") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    open_to_all(world, sun);
    Masquerade nat;
    world.translate = [&](Flight& flight) { nat(flight); };
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    const Flight old = last_from(world, moon);  // IKE_AUTH, which sun has answered

    SECTION("an IKE message from the new mapping moves it") {
        nat.port_4500 = 45678;
        world.inject(forge(moon, {}));
        world.run(1s);
        CHECK(sun.sas()[0].remote == net::Endpoint{nat.outside, 45678});
        CHECK(sun.backend.installed.begin()->second.remote == net::Endpoint{nat.outside, 45678});
        CHECK(sun.counter("ike_endpoint_changes") == 1);
    }
    SECTION("ESP from the new mapping moves it, as the backend reports it") {
        const ChildSaId child = sun.sas()[0].children[0].sa.id;
        const net::Endpoint place{nat.outside, 45679};
        world.act(sun, sun.engine->backend_event(ipsec::EndpointChanged{child, place}, world.now()));
        CHECK(sun.sas()[0].remote == place);
        CHECK(sun.backend.installed.begin()->second.remote == place);
        // The end behind the NAT follows nobody.
        const ChildSaId inside = moon.sas()[0].children[0].sa.id;
        world.act(moon, moon.engine->backend_event(ipsec::EndpointChanged{inside, place}, world.now()));
        CHECK(moon.sas()[0].remote.address == sun.address);
    }
    SECTION("an old message repeated from elsewhere does not") {
        Flight replay = old;
        replay.from = {*net::IpAddress::parse("203.0.113.66"), 4500};
        world.inject(replay);
        world.run(1s);
        CHECK(sun.sas()[0].remote == net::Endpoint{nat.outside, 34500});
    }
    SECTION("a forged message does not") {
        Flight forged = forge(moon, {});
        forged.bytes.back() ^= 1;
        forged.from = {*net::IpAddress::parse("203.0.113.66"), 4500};
        world.inject(forged);
        world.run(1s);
        CHECK(sun.sas()[0].remote == net::Endpoint{nat.outside, 34500});
        CHECK(sun.counter("ike_not_authentic") == 1);
    }
}

TEST_CASE("TRAPS 24: without a NAT a peer is not followed to another address") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    open_to_all(world, sun);
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    Flight elsewhere = forge(moon, {});
    elsewhere.from = {*net::IpAddress::parse("203.0.113.66"), 500};
    world.inject(elsewhere);
    world.run(1s);
    CHECK(sun.sas()[0].remote == net::Endpoint{moon.address, 500});
}

TEST_CASE("encap = true makes both ends see a NAT, and nobody sends keepalives for it") {
    const bool by_initiator = GENERATE(true, false);
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    Node& forcing = by_initiator ? moon : sun;
    forcing.connections[0].encap = true;
    world.start(forcing);
    world.initiate(moon, "to-sun", "net");
    world.run(100s);
    REQUIRE(disagreement(moon, sun) == "");
    CHECK(moon.sas()[0].children[0].sa.encap);
    CHECK(sun.sas()[0].local.port == 4500);
    CHECK(moon.counter("ike_keepalives_sent") == 0);
    CHECK(sun.counter("ike_keepalives_sent") == 0);
}
