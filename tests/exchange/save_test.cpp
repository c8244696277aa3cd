// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <random>

#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;

TEST_CASE("A saved IKE SA is restored as it was, in every phase of every exchange") {
    World world;
    add_pair(world, {.ike_proposal = "aes128gcm16-prfsha256-x25519-ecp256", .esp_proposal = "aes128gcm16-x25519"});
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    sun.config.cookie_threshold = 0;
    moon.connections[0].dpd_delay = 5s;
    world.start(moon);
    world.start(sun);
    std::size_t compared = 0;
    auto compare = [&] {
        for (Node* node : {&moon, &sun})
            for (const IkeSaId id : node->engine->ids()) {
                const ByteVec saved = *node->engine->save(id);
                SeededRandom random(1);
                ike::Engine other(node->config, random);
                other.configure(node->connections, node->secrets);
                const Result<IkeSaId> restored = other.restore(saved, world.now());
                REQUIRE(restored);
                CHECK(*restored == id);
                CHECK(*other.save(*restored) == saved);
                ++compared;
            }
    };
    world.initiate(moon, "to-sun", "net");
    for (int i = 0; i < 200; ++i) {
        world.run(100us);
        compare();
    }
    world.act(moon, *moon.engine->terminate({.child = "net"}, world.now()));
    world.initiate(moon, "to-sun", "net");
    for (int i = 0; i < 200; ++i) {
        world.run(100us);
        compare();
    }
    using Replacement = ike::Engine::Replacement;
    for (const ike::Engine::RekeyRequest& request :
         {ike::Engine::RekeyRequest{.child = "net"}, ike::Engine::RekeyRequest{.ike = "to-sun"},
          ike::Engine::RekeyRequest{.ike = "to-sun", .how = Replacement::reauthenticate}}) {
        world.act(moon, moon.engine->rekey(request, world.now())->actions);
        for (int i = 0; i < 100; ++i) {
            world.run(100us);
            compare();
        }
        world.run(8s);
    }
    world.run(20s);
    compare();
    world.act(moon, *moon.engine->terminate({.ike = "to-sun"}, world.now()));
    for (int i = 0; i < 50; ++i) {
        world.run(100us);
        compare();
    }
    CHECK(compared > 500);
}

TEST_CASE("A saved IKE SA goes on at another node, with IVs and SPIs of that node's own") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    const std::vector<ByteVec> saved{*moon.engine->save(moon.sas()[0].id)};
    moon.config.node = NodeId(9);
    moon.config.incarnation = Incarnation(0x123);
    world.start(moon);
    REQUIRE(moon.engine->restore(saved[0], world.now()));
    world.act(moon, *moon.engine->terminate({.child = "net"}, world.now()));
    world.run(1s);
    world.initiate(moon, "to-sun", "net");
    world.run(1s);
    REQUIRE(disagreement(moon, sun) == "");
    CHECK(moon.sas()[0].children[0].sa.inbound.spi.value >> 28 == 9);
    const ByteVec& bytes = last_from(world, moon).bytes;
    CHECK(bytes.at(32) >> 4 == 9);
    CHECK((bytes.at(32) & 15) == 0);
    CHECK(bytes.at(33) == 0x12);
}

TEST_CASE("Times mean the same on a machine whose clock began elsewhere") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    moon.connections[0].children[0].life_time = 60s;
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(20s);
    moon.engine->tick(world.now());
    const ByteVec saved = *moon.engine->save(moon.sas()[0].id);
    SeededRandom random(5);
    ike::Engine other(moon.config, random);
    other.configure(moon.connections, moon.secrets);
    const Instant there = Instant{} + 77h;
    REQUIRE(other.restore(saved, there));
    REQUIRE(other.next_deadline());
    CHECK(*other.next_deadline() > there + 39s);
    CHECK(*other.next_deadline() <= there + 40s + 10ms);
}

TEST_CASE("What is not a saved IKE SA of this version and configuration is refused whole") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    const ByteVec saved = *moon.engine->save(moon.sas()[0].id);
    SeededRandom random(5);
    ike::Engine other(moon.config, random);
    CHECK(other.restore(saved, world.now()).error().code == ErrorCode::not_found);
    other.configure(moon.connections, moon.secrets);
    for (std::size_t size = 0; size < saved.size(); ++size)
        REQUIRE_FALSE(other.restore(Bytes(saved).first(size), world.now()));
    ByteVec longer = saved;
    longer.push_back(0);
    CHECK(other.restore(longer, world.now()).error().code == ErrorCode::invalid);
    ByteVec newer = saved;
    newer[0] = 3;
    CHECK(other.restore(newer, world.now()).error().code == ErrorCode::unsupported);
    CHECK(other.ids().empty());
    REQUIRE(other.restore(saved, world.now()));
    CHECK(other.restore(saved, world.now()).error().code == ErrorCode::conflict);
    // Flipped bits may give another IKE SA or none, and never more than that.
    std::mt19937_64 noise(7);
    for (int i = 0; i < 3000; ++i) {
        ByteVec changed = saved;
        changed[noise() % changed.size()] ^= static_cast<Byte>(1 + noise() % 255);
        ike::Engine third(moon.config, random);
        third.configure(moon.connections, moon.secrets);
        const Result<IkeSaId> restored = third.restore(changed, world.now());
        if (restored) CHECK(third.ids().size() == 1);
    }
}
