// SPDX-License-Identifier: Apache-2.0
// What an engine must not take: each case is about one check, and red without it.
#include <catch2/catch.hpp>

#include "ike/auth.hpp"
#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;
using ike::NotifyType;

namespace {

std::vector<Duration> nothing_arrives(const Flight&) { return {}; }

ike::Datagram received(const Flight& flight) { return {flight.to, flight.from, flight.bytes, flight.marker}; }

ipsec::TrafficSelectors selectors(const char* text) { return {ipsec::ConfiguredSelector::parse(text)->selector}; }

// Both ends have the further child "more"; up with the first one.
struct Two {
    World world;
    Node* moon = nullptr;
    Node* sun = nullptr;
    explicit Two(const std::string& esp) {
        add_pair(world);
        moon = &world.node("moon");
        sun = &world.node("sun");
        moon->connections[0].children.push_back(child("more", "10.11.0.0/16", "10.12.0.0/16", esp));
        sun->connections[0].children.push_back(child("more", "10.12.0.0/16", "10.11.0.0/16", esp));
        moon->connections[0].children.push_back(child("third", "10.21.0.0/16", "10.22.0.0/16", esp));
        sun->connections[0].children.push_back(child("third", "10.22.0.0/16", "10.21.0.0/16", esp));
        world.start(*moon);
        world.start(*sun);
        world.initiate(*moon, "to-sun", "net");
        world.run(2s);
        REQUIRE(disagreement(*moon, *sun) == "");
    }
};

// moon's IKE_SA_INIT request, which sun has not seen.
ike::Message first_request(World& world) {
    world.fate = nothing_arrives;
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(10ms);
    return *ike::parse_message(last_from(world, world.node("moon")).bytes);
}

void give(World& world, Node& node, const Flight& flight) {
    world.act(node, node.engine->receive(received(flight), world.now()));
    world.run(100ms);
}

Flight from_moon(const ike::Message& message, const std::string& source = "192.0.2.1") {
    return {{*net::IpAddress::parse(source), 500},
            {*net::IpAddress::parse("192.0.2.2"), 500},
            ike::build_message(message),
            false,
            0};
}

}  // namespace

TEST_CASE("TRAPS 1: a CREATE_CHILD_SA request repeated while its DH runs is absorbed") {
    Two two("aes128gcm16-x25519");
    two.world.dh_delay = 9s;
    two.world.initiate(*two.moon, "to-sun", "more");
    two.world.run(60s);
    CHECK(disagreement(*two.moon, *two.sun, 2) == "");
    CHECK(two.sun->counter("ike_absorbed") >= 1);
    CHECK(two.sun->counter("ike_child_installed") == 2);
}

TEST_CASE("TRAPS 2: the response to an earlier request answers no later one") {
    Two two("aes128gcm16");
    two.world.initiate(*two.moon, "to-sun", "more");
    two.world.run(2s);
    const Flight old = last_from(two.world, *two.sun);
    REQUIRE(unseal(*two.sun, old.bytes).header.response);
    two.world.fate = nothing_arrives;
    two.world.initiate(*two.moon, "to-sun", "third");
    const std::uint64_t before = two.moon->counter("ike_unexpected");
    CHECK(two.moon->engine->receive(received(old), two.world.now()).empty());
    CHECK(two.moon->counter("ike_unexpected") == before + 1);
    CHECK(two.moon->children() == 2);
    two.world.fate = nullptr;
    two.world.run(20s);
    CHECK(disagreement(*two.moon, *two.sun, 3) == "");
}

TEST_CASE("TRAPS 6: cookies without end do not make the initiator send without end") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    ike::Message answer = first_request(world);
    answer.header.response = true;
    answer.header.initiator = false;
    for (Byte i = 1; i <= 20; ++i) {
        answer.payloads = {ike::make_notify(NotifyType::cookie, ByteVec(16, i))};
        const Flight sent = last_from(world, moon);
        world.act(moon, moon.engine->receive({sent.from, sent.to, ike::build_message(answer), false}, world.now()));
    }
    CHECK(count_from(world, moon) == 1U + ike::kMaxRestarts);
}

TEST_CASE("TRAPS 10: an answer with a KE payload of another group than its SA is as if never received") {
    World world;
    add_pair(world, {.ike_proposal = "aes128gcm16-prfsha256-x25519-ecp256"});
    Node& moon = world.node("moon");
    bool changed = false;
    world.tap = [&](const Flight& flight) {
        if (changed || flight.to.address != moon.address) return;
        changed = true;
        ike::Message message = *ike::parse_message(flight.bytes);
        for (ike::Payload& payload : message.payloads)
            if (auto* ke = std::get_if<ike::KePayload>(&payload)) *ke = {crypto::Group::ecp256, ByteVec(64, 1)};
        CHECK(moon.engine->receive({flight.to, flight.from, ike::build_message(message), false}, world.now()).empty());
    };
    world.initiate(moon, "to-sun", "net");
    world.run(10s);
    CHECK(changed);
    CHECK(moon.counter("ike_unexpected") == 1);
    CHECK(disagreement(moon, world.node("sun")) == "");
}

TEST_CASE("TRAPS 15: the responder does not answer a public value that the checks refuse") {
    World world;
    add_pair(world);
    Node& sun = world.node("sun");
    ike::Message request = first_request(world);
    for (ike::Payload& payload : request.payloads)
        if (auto* ke = std::get_if<ike::KePayload>(&payload)) ke->data.assign(ke->data.size(), 0);
    give(world, sun, from_moon(request));
    CHECK(sun.counter("ike_bad_public_values") == 1);
    CHECK(sun.counter("ike_half_open") == 0);
    CHECK(count_from(world, sun) == 0);
}

TEST_CASE("TRAPS 23: beyond the half-open limit of one address it is dropped, another gets in") {
    World world;
    add_pair(world);
    Node& sun = world.node("sun");
    sun.config.half_open_limit_ip = 2;
    sun.connections[0].remote_addrs.clear();
    world.start(sun);
    ike::Message request = first_request(world);
    for (std::uint64_t spi = 1; spi <= 5; ++spi) {
        request.header.initiator_spi = spi;
        give(world, sun, from_moon(request, "203.0.113.9"));
    }
    CHECK(sun.counter("ike_half_open") == 2);
    CHECK(sun.counter("ike_half_open_dropped") == 3);
    give(world, sun, from_moon(request, "203.0.113.10"));
    CHECK(sun.counter("ike_half_open") == 3);
}

TEST_CASE("TRAPS 38: an SPI below 256 is refused in an offer and in an answer") {
    for (const bool in_answer : {false, true}) {
        CAPTURE(in_answer);
        Two two("aes128gcm16");
        two.world.fate = nothing_arrives;
        two.world.initiate(*two.moon, "to-sun", "more");
        const ike::IkeSa sa = inspect(*two.moon);
        ipsec::Proposal proposal = sa.active->offer.proposals[0];
        proposal.spi = {0, 0, 0, 255};
        const Flight forged =
            forge(in_answer ? *two.sun : *two.moon,
                  {.exchange = ike::ExchangeType::create_child_sa,
                   .payloads = {ike::SaPayload{{proposal}}, ike::NoncePayload{ByteVec(32, 9)},
                                ike::TsI{selectors("10.11.0.0/16")}, ike::TsR{selectors("10.12.0.0/16")}},
                   .message_id = sa.request->message_id,
                   .response = in_answer});
        Node& target = in_answer ? *two.moon : *two.sun;
        give(two.world, target, forged);
        CHECK(target.children() == 1);
        CHECK(target.backend.installed.size() == 1);
        if (!in_answer) {
            const ike::Message answer = unseal(target, last_from(two.world, target).bytes);
            CHECK(answer.notify(NotifyType::no_proposal_chosen) != nullptr);
        }
    }
}

TEST_CASE("TRAPS 7: a responder who proves another identity than the one configured is refused") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    moon.secrets[0].ids.clear();  // the key would do for anybody
    world.start(moon);
    world.fate = [](const Flight& flight) {  // IKE_AUTH does not arrive
        return flight.number < 3 ? std::vector<Duration>{1ms} : std::vector<Duration>{};
    };
    world.initiate(moon, "to-sun", "net");
    world.run(100ms);
    const ike::IkeSa sa = inspect(sun);
    const bool right = GENERATE(true, false);
    const ike::IdR id{*ike::Identity::parse(right ? "sun.sluice.test" : "mercury.sluice.test")};
    const ByteVec body = id.body();
    const ike::SignedOctets octets{sa.suite.prf, sa.handshake.response, sa.handshake.nonce_i, sa.keys.sk_pr.view(),
                                   body};
    const ByteVec auth = ike::psk_auth(octets, sun.secrets[0].secret);
    give(world, moon,
         forge(sun, {.exchange = ike::ExchangeType::ike_auth,
                     .payloads = {id, ike::AuthPayload{ike::AuthPayload::kSharedKey, auth}},
                     .message_id = 1,
                     .response = true}));
    CHECK(moon.counter("ike_established") == (right ? 1 : 0));
    CHECK(moon.noticed(ike::NoticeKind::authentication_failed) == !right);
}
