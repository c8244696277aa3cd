// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

// The datagram of a number gets lost, every other arrives.
auto lose(std::size_t number) {
    return [number](const Flight& flight) {
        return flight.number == number ? std::vector<Duration>{} : std::vector<Duration>{1ms};
    };
}

}  // namespace

// moon                                   sun
// IKE_SA_INIT request               -->
//                                x  <--  IKE_SA_INIT response      (lost)
// the same request after 4 s        -->
//                                   <--  the same response
TEST_CASE("TRAPS 1: a lost response is asked for again, and the responder repeats the same bytes") {
    for (const bool restored : {false, true}) {
        CAPTURE(restored);
        World world;
        world.restore_between = restored;
        add_pair(world);
        const std::size_t lost = GENERATE(2u, 4u);
        world.fate = lose(lost);
        world.initiate(world.node("moon"), "to-sun", "net");
        world.run(10s);
        REQUIRE(disagreement(world.node("moon"), world.node("sun")) == "");
        CHECK(world.sent().size() == 6);
        CHECK(world.sent().at(lost - 2).bytes == world.sent().at(lost).bytes);      // the request again
        CHECK(world.sent().at(lost - 1).bytes == world.sent().at(lost + 1).bytes);  // the response again
        CHECK(world.complaints().empty());
        if (!restored) CHECK(world.node("sun").counter("ike_replayed_responses") == 1);
    }
}

TEST_CASE("TRAPS 1: only the initiator of an exchange repeats, with growing pauses, and then gives up") {
    World world;
    add_pair(world);
    std::vector<Duration> when;
    const Instant start = world.now();
    world.fate = [&](const Flight& flight) {
        if (flight.from.address == world.node("moon").address) when.push_back(world.now() - start);
        return std::vector<Duration>{};
    };
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(200s);
    REQUIRE(when.size() == 6);
    for (std::size_t i = 2; i < when.size(); ++i) CHECK(when[i] - when[i - 1] > (when[i - 1] - when[i - 2]) * 17 / 10);
    CHECK(when[1] - when[0] == 4s);
    CHECK(count_from(world, world.node("sun")) == 0);
    CHECK(world.node("moon").sas().empty());
    CHECK(world.node("moon").noticed(ike::NoticeKind::peer_unreachable));
    CHECK(world.node("moon").backend.reserved.empty());
}

TEST_CASE("TRAPS 1: a repeated request is known by its bytes; another one with its ID gets nothing") {
    World world;
    add_pair(world);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(2s);
    const Flight check = forge(world.node("moon"), {});
    world.inject(check);
    world.run(1s);
    const std::size_t answered = world.sent().size();
    const ByteVec answer = world.sent().back().bytes;
    world.inject(check);
    world.run(1s);
    REQUIRE(world.sent().size() == answered + 1);
    CHECK(world.sent().back().bytes == answer);
    // An authentic message with the same ID and other bytes.
    const std::uint32_t id = inspect(world.node("moon")).next_id;
    world.inject(
        forge(world.node("moon"),
              {.payloads = {ike::make_notify(ike::NotifyType::esp_tfc_padding_not_supported)}, .message_id = id}));
    world.run(1s);
    CHECK(world.sent().size() == answered + 1);
    CHECK(world.node("sun").counter("ike_out_of_window") == 1);
}

TEST_CASE("TRAPS 2: message IDs count from 0 in each direction of initiation") {
    World world;
    add_pair(world);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(2s);
    const ike::IkeSa moon = inspect(world.node("moon"));
    const ike::IkeSa sun = inspect(world.node("sun"));
    CHECK(moon.next_id == 2);
    CHECK(sun.expected_id == 2);
    CHECK(sun.next_id == 0);
    CHECK(moon.expected_id == 0);
    world.act(world.node("sun"), *world.node("sun").engine->terminate({.child = "net"}, world.now()));
    world.run(1s);
    CHECK(inspect(world.node("moon")).expected_id == 1);
    CHECK(inspect(world.node("sun")).next_id == 1);
    CHECK(world.node("moon").children() == 0);
}

TEST_CASE("TRAPS 3: requests outside of the window of one are dropped in silence") {
    World world;
    add_pair(world);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(2s);
    const std::size_t sent = world.sent().size();
    const std::uint32_t next = inspect(world.node("moon")).next_id;
    for (const std::uint32_t id : {next + 1, next + 7, next + 0x80000000u, 0xffffffffu, 0u})
        world.inject(forge(world.node("moon"), {.message_id = id}));
    world.run(1s);
    CHECK(world.sent().size() == sent);
    CHECK(world.node("sun").counter("ike_out_of_window") == 5);
    CHECK(disagreement(world.node("moon"), world.node("sun")) == "");
}

TEST_CASE("TRAPS 1: a request repeated while its DH runs is absorbed, and answered once") {
    World world;
    add_pair(world);
    world.dh_delay = 9s;  // longer than the first two repetitions
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(60s);
    CHECK(disagreement(world.node("moon"), world.node("sun")) == "");
    CHECK(world.node("sun").counter("ike_absorbed") >= 1);
    CHECK(world.node("sun").counter("ike_established") == 1);
}

TEST_CASE("Every message lost once or doubled: both ends still agree") {
    const std::size_t hit = GENERATE(range(1u, 9u));
    const bool twice = GENERATE(false, true);
    const bool restored = GENERATE(false, true);
    CAPTURE(hit, twice, restored);
    World world;
    world.restore_between = restored;
    add_pair(world, {.esp_proposal = "aes128gcm16-x25519"});
    world.fate = [&](const Flight& flight) {
        if (flight.number != hit) return std::vector<Duration>{1ms};
        return twice ? std::vector<Duration>{1ms, 1ms, 300ms, 7s} : std::vector<Duration>{};
    };
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    for (Node* node : {&moon, &sun}) {
        node->connections[0].children.push_back(child("more", node == &moon ? "10.3.0.0/16" : "10.4.0.0/16",
                                                      node == &moon ? "10.4.0.0/16" : "10.3.0.0/16",
                                                      "aes256gcm16-x25519"));
        world.start(*node);
    }
    world.initiate(moon, "to-sun", "net");
    world.run(20s);
    world.initiate(sun, "to-moon", "more");  // the other way round, with PFS
    world.run(20s);
    REQUIRE(disagreement(moon, sun, 2) == "");
    world.act(moon, *moon.engine->terminate({.child = "more"}, world.now()));
    world.run(20s);
    REQUIRE(disagreement(moon, sun, 1) == "");
    CHECK(world.complaints().empty());
}
