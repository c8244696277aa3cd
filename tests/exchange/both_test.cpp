// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <chrono>

#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// Loses, doubles and delays. Datagrams that pass each other are reordered by it.
class BadNetwork {
  public:
    BadNetwork(std::uint64_t seed, unsigned loss_percent) : source_(seed), loss_(loss_percent) {}
    std::vector<Duration> operator()(const Flight&) {
        std::vector<Duration> arrivals;
        if (source_() % 100 >= loss_) arrivals.push_back(delay());
        while (source_() % 100 < 20) arrivals.push_back(delay());
        return arrivals;
    }

  private:
    Duration delay() {
        const auto spread = source_() % 100 < 10 ? 9000u : 80u;  // now and then longer than a repetition
        return std::chrono::milliseconds(1 + source_() % spread);
    }
    std::mt19937_64 source_;
    unsigned loss_;
};

}  // namespace

// Both begin at once. X is moon's, Y sun's; the lowest of the four nonces makes its IKE SA redundant, and the end that
// began that one deletes it.
// moon                                   sun
// X: SAi1, Ni                       -->
//                                   <--  Y: SAi1, Ni
// Y: SAr1, Nr                       -->
//                                   <--  X: SAr1, Nr
// X: SK{... N(INITIAL_CONTACT)}     -->
//                                   <--  Y: SK{... N(INITIAL_CONTACT)}
// ...
// SK{D} of the loser's initiator
TEST_CASE("TRAPS 20: both ends start at once, and the lowest nonce says which IKE SA goes") {
    // moon: Ni of X, then Nr of Y; sun: Ni of Y, then Nr of X.
    struct Case {
        std::vector<Byte> moon;
        std::vector<Byte> sun;
        bool moon_wins;
    };
    const Case chosen = GENERATE(Case{{1, 5}, {6, 7}, false}, Case{{5, 1}, {6, 7}, true}, Case{{5, 6}, {1, 7}, true},
                                 Case{{5, 6}, {7, 1}, false});
    const bool restored = GENERATE(false, true);
    CAPTURE(chosen.moon, chosen.sun, restored);
    World world;
    world.restore_between = restored;
    add_pair(world);
    for (const Byte byte : chosen.moon) world.node("moon").random->nonces.push_back(nonce(byte));
    for (const Byte byte : chosen.sun) world.node("sun").random->nonces.push_back(nonce(byte));
    world.initiate(world.node("moon"), "to-sun", "net");
    world.initiate(world.node("sun"), "to-moon", "net");
    world.run(10s);
    REQUIRE(disagreement(world.node("moon"), world.node("sun")) == "");
    CHECK(world.node("moon").sas()[0].initiator == chosen.moon_wins);
    CHECK(world.complaints().empty());
}

TEST_CASE("TRAPS 20: both ends make the same child at once in one IKE SA") {
    World world;
    add_pair(world, {.esp_proposal = "aes128gcm16"});
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    world.act(moon, *moon.engine->terminate({.child = "net"}, world.now()));
    world.run(2s);
    REQUIRE(moon.children() == 0);
    const bool moon_low = GENERATE(true, false);
    moon.random->nonces = {nonce(moon_low ? 1 : 8), nonce(5)};
    sun.random->nonces = {nonce(moon_low ? 8 : 1), nonce(6)};
    world.initiate(moon, "to-sun", "net");
    world.initiate(sun, "to-moon", "net");
    world.run(5s);
    CHECK(disagreement(moon, sun) == "");
    CHECK(world.complaints().empty());
    const ike::IkeSa left = inspect(moon);
    REQUIRE(left.children.size() == 1);
    CHECK(left.children[0].initiated == !moon_low);
}

// A peer that does not know the rule: what it began and has lost stays until moon deletes it.
TEST_CASE("TRAPS 20: a duplicate that its initiator leaves standing is deleted by the other end after a while") {
    const bool restored = GENERATE(false, true);
    const bool whole = GENERATE(false, true);
    CAPTURE(restored, whole);
    World world;
    world.restore_between = restored;
    add_pair(world, {.esp_proposal = "aes128gcm16"});
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    if (!whole) {
        world.initiate(moon, "to-sun", "net");
        world.run(2s);
        world.act(moon, *moon.engine->terminate({.child = "net"}, world.now()));
        world.run(2s);
    }
    moon.random->nonces = {nonce(8), nonce(7)};
    sun.random->nonces = {nonce(1), nonce(6)};
    world.fate = [&](const Flight& flight) -> std::vector<Duration> {  // sun's deletes get nowhere
        const bool request = flight.bytes.size() > 19 && flight.bytes[18] == 37 && (flight.bytes[19] & 0x20) == 0;
        if (request && flight.from.address == sun.address) return {};
        return {1ms};
    };
    world.initiate(moon, "to-sun", "net");
    world.initiate(sun, "to-moon", "net");
    world.run(2s);
    CHECK(moon.backend.installed.size() == 2);
    world.run(3s);
    REQUIRE(moon.backend.installed.size() == 1);
    REQUIRE(moon.sas().size() == 1);
    CHECK(inspect(moon).children.at(0).initiated);
    CHECK(world.complaints().empty());
    if (whole) CHECK(disagreement(moon, sun) == "");
}

TEST_CASE("TRAPS 20: a second initiate while the first runs or has ended makes nothing twice") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    world.initiate(moon, "to-sun", "net");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    world.initiate(moon, "to-sun", "net");
    world.initiate(world.node("sun"), "to-moon", "net");
    world.run(2s);
    CHECK(disagreement(moon, world.node("sun")) == "");
    CHECK(world.sent().size() == 4);
}

// Loses 15 of 100, doubles 20, delays some for longer than a repetition takes.
TEST_CASE("Both ends converge on a bad network, whatever the seed") {
    const auto began = std::chrono::steady_clock::now();
    unsigned both = 0;
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        World world;
        world.restore_between = seed % 10 == 0;
        add_pair(world, {.seed = seed});
        world.fate = BadNetwork(seed, 15);
        const bool both_start = seed % 2 == 0;
        both += both_start ? 1 : 0;
        world.initiate(world.node("moon"), "to-sun", "net");
        if (both_start) {
            world.run(std::chrono::milliseconds(seed * 37 % 5000));
            world.initiate(world.node("sun"), "to-moon", "net");
        }
        world.run(600s);
        INFO("seed " << seed << (both_start ? ", both start" : ", moon starts"));
        REQUIRE(disagreement(world.node("moon"), world.node("sun")) == "");
        REQUIRE(world.complaints().empty());
    }
    CHECK(both == 500);
    const auto took = std::chrono::steady_clock::now() - began;
    WARN("1000 seeds in " << std::chrono::duration_cast<std::chrono::milliseconds>(took).count() << " ms");
}

// Both ends rekey whatever they like whenever they like, on a network that does the same with their messages.
TEST_CASE("TRAPS 18, 19: rekeyings without order on a bad network leave one of each, whatever the seed") {
    unsigned settled = 0;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        World world;
        world.restore_between = seed % 8 == 0;
        add_pair(world, {.esp_proposal = seed % 2 == 0 ? "aes128gcm16" : "aes128gcm16-x25519", .seed = seed});
        Node& moon = world.node("moon");
        Node& sun = world.node("sun");
        world.initiate(moon, "to-sun", "net");
        world.run(2s);
        world.fate = BadNetwork(seed, 10);
        std::mt19937_64 choice(seed);
        for (int i = 0; i < 12; ++i) {
            Node& node = choice() % 2 == 0 ? moon : sun;
            ike::Engine::RekeyRequest request;
            if (choice() % 3 == 0)
                request.ike = &node == &moon ? "to-sun" : "to-moon";
            else
                request.child = "net";
            if (auto begun = node.engine->rekey(request, world.now())) world.act(node, std::move(begun->actions));
            world.run(std::chrono::milliseconds(choice() % 4000));
        }
        world.fate = {};
        world.run(300s);
        INFO("seed " << seed);
        CHECK(world.complaints().empty());
        // A request that was lost six times over ends the IKE SA: then both have nothing.
        if (moon.noticed(ike::NoticeKind::peer_unreachable) || sun.noticed(ike::NoticeKind::peer_unreachable)) continue;
        ++settled;
        CHECK(disagreement(moon, sun) == "");
    }
    CHECK(settled > 390);
}
