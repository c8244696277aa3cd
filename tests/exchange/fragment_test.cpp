// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <random>

#include "ike/protect.hpp"
#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;
using ike::NoticeKind;

namespace {

constexpr std::uint16_t kSmall = 150;  // bytes of an IP packet: IKE_AUTH needs several of them

void add_fragmenting_pair(World& world, const PairOptions& options = {}, std::uint16_t size = kSmall) {
    add_pair(world, options);
    for (const char* name : {"moon", "sun"}) {
        world.node(name).connections[0].fragment_size = size;
        world.start(world.node(name));
    }
}

bool is_fragment(const Flight& flight) { return ike::is_fragment(flight.bytes); }

std::vector<Flight> fragments_from(const World& world, const Node& node) {
    std::vector<Flight> found;
    for (const Flight& flight : world.sent())
        if (is_fragment(flight) && flight.from.address == node.address) found.push_back(flight);
    return found;
}

void come_up(World& world) {
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(60s);
    REQUIRE(disagreement(world.node("moon"), world.node("sun")) == "");
    REQUIRE(world.complaints().empty());
}

// What the last complete IKE_AUTH request of moon was, fragment by fragment.
std::vector<Flight> held_request(World& world) {
    std::vector<Flight> held;
    world.fate = [&](const Flight& flight) {
        if (is_fragment(flight) && flight.from.address == world.node("moon").address) {
            if (held.empty() || held.back().bytes != flight.bytes) held.push_back(flight);
            return std::vector<Duration>{};
        }
        return std::vector<Duration>{1ms};
    };
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(1s);
    world.fate = nullptr;
    return held;
}

// A fragment of IKE_AUTH's request that is authentic, whatever it says.
Flight crafted(const ike::IkeSa& moon, const Flight& like, const ike::Fragment& fragment) {
    const ike::Header header{.initiator_spi = moon.initiator_spi(),
                             .responder_spi = moon.responder_spi(),
                             .exchange = ike::ExchangeType::ike_auth,
                             .initiator = true,
                             .message_id = 1};
    Flight flight = like;
    flight.bytes = *ike::seal_fragment(header, fragment, moon.own_keys(), ByteVec(8, 0xee));
    return flight;
}

}  // namespace

// HDR, SAi1, KEi, Ni, N(FRAGMENTATION_SUPPORTED)   -->
//                                                  <--  HDR, SAr1, KEr, Nr, N(FRAGMENTATION_SUPPORTED)
// HDR, SKF{1/3} HDR, SKF{2/3} HDR, SKF{3/3}        -->
//                                                  <--  HDR, SKF{1/2} HDR, SKF{2/2}
TEST_CASE("TRAPS 27: messages above fragment_size go in fragments, each no larger than it") {
    const std::string cipher =
        GENERATE("aes128gcm16-prfsha256-x25519", "aes256-sha384-x25519", "chacha20poly1305-prfsha512-ecp256");
    World world;
    world.restore_between = GENERATE(false, true);
    add_fragmenting_pair(world, {.ike_proposal = cipher});
    come_up(world);
    const Node& moon = world.node("moon");
    const Node& sun = world.node("sun");
    const auto out = fragments_from(world, moon);
    const auto back = fragments_from(world, sun);
    CHECK(out.size() >= 3);
    CHECK(back.size() >= 2);
    for (const Flight& flight : out) {
        CHECK(flight.bytes.size() + 20 + 8 + 4 <= kSmall);
        const auto numbers = ike::fragment_numbers(flight.bytes);
        REQUIRE(numbers);
        CHECK(numbers->total == out.size());
        CHECK((static_cast<ike::PayloadType>(flight.bytes[28]) == ike::PayloadType::id_i) == (numbers->number == 1));
    }
    if (!world.restore_between) {
        CHECK(moon.counter("ike_fragments_sent") == out.size());
        CHECK(sun.counter("ike_fragments_received") == out.size());
        CHECK(sun.counter("ike_reassembled") == 1);
        CHECK(moon.counter("ike_reassembled") == 1);
    }
    CHECK(count_from(world, moon) == 1 + out.size());
}

TEST_CASE("TRAPS 27: more than 16 fragments are taken") {
    World world;
    add_fragmenting_pair(world, {}, 104);
    come_up(world);
    CHECK(fragments_from(world, world.node("moon")).size() > 16);
}

TEST_CASE("TRAPS 27: fragments come in any order, and twice, with others between") {
    const unsigned seed = GENERATE(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u);
    CAPTURE(seed);
    World world;
    world.restore_between = seed % 2 == 0;
    std::mt19937 chance(seed);
    world.fate = [&](const Flight&) {
        std::vector<Duration> arrivals{std::chrono::milliseconds(1 + chance() % 40)};
        if (chance() % 3 == 0) arrivals.push_back(std::chrono::milliseconds(1 + chance() % 40));
        return arrivals;
    };
    add_fragmenting_pair(world);
    come_up(world);
}

TEST_CASE("TRAPS 27: a lost fragment is made up for by the whole set, sent again with the same bytes") {
    const bool of_request = GENERATE(true, false);
    const std::uint16_t lost = GENERATE(as<std::uint16_t>{}, 1, 2);
    World world;
    world.restore_between = GENERATE(false, true);
    add_fragmenting_pair(world);
    const Node& moon = world.node("moon");
    const Node& sun = world.node("sun");
    bool gone = false;
    world.fate = [&](const Flight& flight) {
        const bool from_moon = flight.from.address == moon.address;
        const auto numbers = ike::fragment_numbers(flight.bytes);
        if (!gone && numbers && numbers->number == lost && from_moon == of_request) {
            gone = true;
            return std::vector<Duration>{};
        }
        return std::vector<Duration>{1ms};
    };
    come_up(world);
    CHECK(gone);
    const auto out = fragments_from(world, moon);
    const std::size_t total = ike::fragment_numbers(out.at(0).bytes)->total;
    REQUIRE(out.size() == 2 * total);
    for (std::size_t i = 0; i < total; ++i) CHECK(out[i].bytes == out[i + total].bytes);
    const auto back = fragments_from(world, sun);
    const std::size_t answers = ike::fragment_numbers(back.at(0).bytes)->total;
    CHECK(back.size() == (of_request ? answers : 2 * answers));
}

TEST_CASE("TRAPS 1 and 27: a repeated set is answered again once, for its first fragment, with the same bytes") {
    World world;
    add_fragmenting_pair(world);
    come_up(world);
    const Node& sun = world.node("sun");
    const auto out = fragments_from(world, world.node("moon"));
    const auto answered = fragments_from(world, sun);
    for (const Flight& flight : out) world.inject(flight);
    world.run(1s);
    const auto again = fragments_from(world, sun);
    REQUIRE(again.size() == 2 * answered.size());
    for (std::size_t i = 0; i < answered.size(); ++i) CHECK(again[i].bytes == again[i + answered.size()].bytes);
    CHECK(sun.counter("ike_replayed_responses") == 1);
    CHECK(sun.counter("ike_established") == 1);
}

TEST_CASE("TRAPS 27: a forged first fragment of an answered request is not answered") {
    World world;
    add_fragmenting_pair(world);
    come_up(world);
    Flight forged = fragments_from(world, world.node("moon")).at(0);
    forged.bytes.back() ^= 1;
    const std::size_t before = world.sent().size();
    world.inject(forged);
    world.run(1s);
    CHECK(world.sent().size() == before);
}

TEST_CASE("TRAPS 27: without the peer's announcement nothing is fragmented, and no fragment is taken") {
    World world;
    add_fragmenting_pair(world);
    Node& sun = world.node("sun");
    sun.connections[0].fragmentation = ike::Fragmentation::no;
    world.start(sun);
    come_up(world);
    CHECK(fragments_from(world, world.node("moon")).empty());
    CHECK(fragments_from(world, sun).empty());
}

TEST_CASE("fragmentation = accept takes fragments and sends none") {
    World world;
    add_fragmenting_pair(world);
    Node& sun = world.node("sun");
    sun.connections[0].fragmentation = ike::Fragmentation::accept;
    world.start(sun);
    come_up(world);
    CHECK(!fragments_from(world, world.node("moon")).empty());
    CHECK(fragments_from(world, sun).empty());
}

TEST_CASE("TRAPS 27: any changed bit of a fragment costs a counter and nothing else") {
    World world;
    add_fragmenting_pair(world);
    Node& sun = world.node("sun");
    const auto held = held_request(world);
    REQUIRE(held.size() >= 3);
    std::mt19937 chance(11);
    for (int i = 0; i < 400; ++i) {
        Flight changed = held[chance() % held.size()];
        changed.bytes[16 + chance() % (changed.bytes.size() - 16)] ^= static_cast<Byte>(1U << chance() % 8);
        world.inject(changed);
    }
    world.run(100ms);
    CHECK(sun.counter("ike_fragments_received") == 0);
    CHECK(inspect(sun).request_parts.parts.empty());
    for (const Flight& flight : held) world.inject(flight);
    world.run(10s);
    CHECK(disagreement(world.node("moon"), sun) == "");
}

TEST_CASE("TRAPS 27: an authentic larger total begins anew, a smaller one is dropped") {
    World world;
    add_fragmenting_pair(world);
    Node& sun = world.node("sun");
    const auto held = held_request(world);
    const ike::IkeSa moon = inspect(world.node("moon"));
    const auto total = ike::fragment_numbers(held[0].bytes)->total;
    auto part = [&](std::uint16_t number, std::uint16_t of) {
        return crafted(moon, held[0], {number, of, ike::PayloadType::id_i, ByteVec(10, 0)});
    };
    world.inject(held[0]);
    world.run(10ms);
    CHECK(inspect(sun).request_parts.total == total);
    world.inject(part(1, static_cast<std::uint16_t>(total + 5)));
    world.run(10ms);
    CHECK(inspect(sun).request_parts.total == total + 5);
    CHECK(inspect(sun).request_parts.parts.size() == 1);
    const auto dropped = sun.counter("ike_fragments_dropped");
    for (const Flight& flight : held) world.inject(flight);
    world.run(10ms);
    CHECK(sun.counter("ike_fragments_dropped") == dropped + held.size());
    CHECK(sun.sas()[0].state == "CONNECTING");
}

TEST_CASE("TRAPS 27: a flood of authentic fragments is bounded in number, bytes and time") {
    World world;
    add_fragmenting_pair(world);
    Node& sun = world.node("sun");
    sun.config.half_open_timeout = 300s;
    world.start(sun);
    const auto held = held_request(world);
    const ike::IkeSa moon = inspect(world.node("moon"));
    auto part = [&](std::uint16_t number, std::uint16_t of, std::size_t size) {
        return crafted(moon, held[0], {number, of, ike::PayloadType::id_i, ByteVec(size, 0)});
    };
    SECTION("number") {
        world.inject(part(1, 513, 10));
        world.inject(part(1, 65535, 10));
        world.run(10ms);
        CHECK(sun.counter("ike_fragments_received") == 0);
    }
    SECTION("bytes") {
        for (std::uint16_t n = 1; n <= 40; ++n) world.inject(part(n, 500, 1000));
        world.run(10ms);
        std::size_t size = 0;
        for (const auto& one : inspect(sun).request_parts.parts) size += one.text.size();
        CHECK(size <= 16384);
        CHECK(sun.counter("ike_fragments_dropped") >= 1);
    }
    SECTION("time") {
        world.inject(held[0]);
        world.fate = [](const Flight&) { return std::vector<Duration>{}; };  // nothing else comes
        world.run(29s);
        CHECK(sun.counter("ike_reassembly_expired") == 0);
        world.run(2s);
        CHECK(sun.counter("ike_reassembly_expired") == 1);
    }
}

TEST_CASE("TRAPS 27: what was put together and is malformed inside is refused like any other message") {
    World world;
    add_fragmenting_pair(world);
    Node& sun = world.node("sun");
    const auto held = held_request(world);
    const ike::IkeSa moon = inspect(world.node("moon"));
    const bool nested = GENERATE(true, false);
    for (std::uint16_t number = 1; number <= 2; ++number) {
        const ByteVec text = nested && number == 1 ? ByteVec{0, 0, 0, 6} : ByteVec{1, 2};
        const auto first = nested ? ike::PayloadType::sk : ike::PayloadType::id_i;
        world.inject(crafted(moon, held[0], {number, 2, first, text}));
    }
    world.run(1s);
    CHECK(sun.sas().empty());
    CHECK(sun.notice_text(NoticeKind::protocol_error).find("malformed") != std::string::npos);
}

TEST_CASE("TRAPS 27: later exchanges are fragmented as well, and after a rekey of the IKE SA by the peer") {
    World world;
    world.restore_between = GENERATE(false, true);
    add_fragmenting_pair(world, {.esp_proposal = "aes128gcm16-modp2048"});
    come_up(world);
    Node& moon = world.node("moon");
    world.act(moon, *moon.engine->terminate({.child = "net"}, world.now()));
    world.run(1s);
    const auto before = fragments_from(world, moon).size();
    world.initiate(moon, "to-sun", "net");
    world.run(5s);
    CHECK(disagreement(moon, world.node("sun")) == "");
    CHECK(fragments_from(world, moon).size() > before);
}
