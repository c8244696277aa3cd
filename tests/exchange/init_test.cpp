// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "lib/crypto/prf.hpp"
#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;
using ike::NotifyType;

namespace {

// What somebody on the path could answer to moon's last request, outside of any protection.
Flight unprotected_answer(const World& world, Node& moon, ike::NotifyPayload notify) {
    const Flight& request = last_from(world, moon);
    ike::Message message = *ike::parse_message(request.bytes);
    message.header.response = true;
    message.header.initiator = false;
    message.payloads = {std::move(notify)};
    return {request.to, request.from, ike::build_message(message), request.marker, 0};
}

ByteVec two(std::uint16_t value) { return {static_cast<Byte>(value >> 8), static_cast<Byte>(value)}; }

// IKE_SA_INIT requests of strangers, each with its own SPI.
Flight stranger(const World& world, const Node& moon, const net::IpAddress& from, std::uint64_t spi) {
    ike::Message message = *ike::parse_message(last_from(world, moon).bytes);
    message.header.initiator_spi = spi;
    return {{from, 500}, last_from(world, moon).to, ike::build_message(message), false, 0};
}

}  // namespace

TEST_CASE("TRAPS 4: unprotected refusals do not end an exchange") {
    const NotifyType type = GENERATE(NotifyType::no_proposal_chosen, NotifyType::authentication_failed,
                                     NotifyType::invalid_ike_spi, NotifyType::invalid_syntax, NotifyType(9999));
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    bool forged = false;
    world.tap = [&](const Flight& flight) {
        if (forged || flight.to.address != world.node("sun").address) return;
        forged = true;
        moon.engine->receive(
            {flight.from, flight.to, unprotected_answer(world, moon, ike::make_notify(type)).bytes, false},
            world.now());
    };
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    CHECK(forged);
    CHECK(disagreement(moon, world.node("sun")) == "");
    CHECK(moon.counter("ike_unprotected_notifies") == 1);
}

TEST_CASE("TRAPS 4: an unprotected notify for an established IKE SA changes nothing") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    for (const auto type : {NotifyType::invalid_ike_spi, NotifyType::authentication_failed, NotifyType::invalid_spi}) {
        ike::Message message{.header = {.initiator_spi = moon.sas()[0].initiator_spi,
                                        .responder_spi = moon.sas()[0].responder_spi,
                                        .exchange = ike::ExchangeType::informational,
                                        .message_id = 0},
                             .payloads = {ike::make_notify(type)}};
        world.inject({{world.node("sun").address, 500}, {moon.address, 500}, ike::build_message(message), false, 0});
    }
    world.run(1s);
    CHECK(disagreement(moon, world.node("sun")) == "");
}

// moon, who prefers x25519               sun, who wants ecp256
// SAi1, KEi(x25519), Ni             -->
//                                   <--  N(INVALID_KE_PAYLOAD, ecp256)
// SAi1, KEi(ecp256), Ni             -->
//                                   <--  SAr1, KEr(ecp256), Nr
TEST_CASE("TRAPS 5: INVALID_KE_PAYLOAD makes the initiator use the group that is wanted, SPI and nonce stay") {
    const bool restored = GENERATE(false, true);
    World world;
    world.restore_between = restored;
    add_pair(world, {.ike_proposal = "aes128gcm16-prfsha256-x25519-ecp256"});
    Node& sun = world.node("sun");
    sun.connections[0].proposals = *ipsec::parse_proposals({"aes128gcm16-prfsha256-ecp256"}, ipsec::Protocol::ike);
    world.start(sun);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(2s);
    REQUIRE(disagreement(world.node("moon"), sun) == "");
    const ike::Message first = *ike::parse_message(world.sent().at(0).bytes);
    const ike::Message second = *ike::parse_message(world.sent().at(2).bytes);
    CHECK(first.header == second.header);
    CHECK(*first.find<ike::NoncePayload>() == *second.find<ike::NoncePayload>());
    CHECK(*first.find<ike::SaPayload>() == *second.find<ike::SaPayload>());
    CHECK(second.find<ike::KePayload>()->group == crypto::Group::ecp256);
    CHECK(world.sent().size() == 6);
}

TEST_CASE("TRAPS 5: a group that was not offered, or was tried, is not used, and the loop is bounded") {
    World world;
    add_pair(world, {.ike_proposal = "aes128gcm16-prfsha256-x25519-ecp256-ecp384"});
    Node& moon = world.node("moon");
    world.fate = [](const Flight&) { return std::vector<Duration>{}; };
    world.initiate(moon, "to-sun", "net");
    world.run(1s);
    auto answer_group = [&](std::uint16_t group) {
        const Flight flight =
            unprotected_answer(world, moon, ike::make_notify(NotifyType::invalid_ke_payload, two(group)));
        world.act(moon, moon.engine->receive({flight.to, flight.from, flight.bytes, false}, world.now()));
        world.run(100ms);
        return ike::parse_message(last_from(world, moon).bytes)->find<ike::KePayload>()->group;
    };
    CHECK(answer_group(14) == crypto::Group::curve25519);  // not offered
    CHECK(answer_group(2) == crypto::Group::curve25519);   // unknown
    CHECK(answer_group(19) == crypto::Group::ecp256);
    CHECK(answer_group(31) == crypto::Group::ecp256);  // ping-pong
    CHECK(answer_group(20) == crypto::Group::ecp384);
    CHECK(answer_group(19) == crypto::Group::ecp384);
    CHECK(count_from(world, moon) == 3);
}

// moon                                   sun, under attack
// SAi1, KEi, Ni                     -->
//                                   <--  N(COOKIE)
// N(COOKIE), SAi1, KEi, Ni          -->
//                                   <--  SAr1, KEr, Nr
TEST_CASE("TRAPS 6: the cookie goes first and everything else stays; AUTH covers the message with it (TRAPS 7)") {
    World world;
    add_pair(world);
    Node& sun = world.node("sun");
    sun.config.cookie_threshold = 0;
    world.start(sun);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(2s);
    REQUIRE(disagreement(world.node("moon"), sun) == "");
    const ike::Message first = *ike::parse_message(world.sent().at(0).bytes);
    ike::Message second = *ike::parse_message(world.sent().at(2).bytes);
    REQUIRE(std::get<ike::NotifyPayload>(second.payloads[0]).type == NotifyType::cookie);
    second.payloads.erase(second.payloads.begin());
    CHECK(first == second);
    CHECK(sun.counter("ike_cookies_sent") == 1);
}

TEST_CASE("TRAPS 5: COOKIE and INVALID_KE_PAYLOAD together: the cookie is kept") {
    World world;
    add_pair(world, {.ike_proposal = "aes128gcm16-prfsha256-x25519-ecp256"});
    Node& sun = world.node("sun");
    sun.config.cookie_threshold = 0;
    sun.connections[0].proposals = *ipsec::parse_proposals({"aes128gcm16-prfsha256-ecp256"}, ipsec::Protocol::ike);
    world.start(sun);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(2s);
    REQUIRE(disagreement(world.node("moon"), sun) == "");
    const ike::Message third = *ike::parse_message(world.sent().at(4).bytes);
    CHECK(third.notify(NotifyType::cookie) != nullptr);
    CHECK(third.find<ike::KePayload>()->group == crypto::Group::ecp256);
    CHECK(sun.counter("ike_cookies_sent") == 1);
}

TEST_CASE("TRAPS 6: a cookie of another address, SPI or nonce is refused, and nothing is kept for it") {
    World world;
    add_pair(world);
    Node& sun = world.node("sun");
    sun.config.cookie_threshold = 0;
    world.start(sun);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(1ms);
    world.run(1ms);
    world.run(1ms);
    const Flight with_cookie = world.sent().at(2);
    Flight other_address = with_cookie;
    other_address.from.address = *net::IpAddress::parse("192.0.2.77");
    ike::Message other_spi = *ike::parse_message(with_cookie.bytes);
    other_spi.header.initiator_spi ^= 1;
    const std::uint64_t before = sun.counter("ike_half_open");
    const std::vector<ByteVec> forgeries{other_address.bytes, ike::build_message(other_spi)};
    for (const ByteVec& bytes : forgeries) {
        Flight flight = other_address;
        flight.bytes = bytes;
        world.inject(flight);
    }
    world.run(100ms);
    CHECK(sun.counter("ike_cookies_refused") == 2);
    CHECK(sun.counter("ike_half_open") <= before);
}

TEST_CASE("TRAPS 23: half-open limits in all and per address, and a large NAT still gets in with a cookie") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    sun.config.cookie_threshold = 1000;
    sun.config.cookie_threshold_ip = 3;
    sun.config.half_open_limit_ip = 8;
    sun.connections[0].remote_addrs.clear();
    world.start(sun);
    world.fate = [&](const Flight& flight) {  // what moon is answered does not arrive
        return flight.to.address == moon.address ? std::vector<Duration>{} : std::vector<Duration>{1ms};
    };
    const net::IpAddress flooder = *net::IpAddress::parse("203.0.113.9");
    world.initiate(moon, "to-sun", "net");
    world.run(10ms);
    for (std::uint64_t spi = 1; spi <= 20; ++spi) {
        world.inject(stranger(world, moon, flooder, spi));
        world.run(1ms);
    }
    world.run(10ms);
    CHECK(sun.counter("ike_half_open") == 4);  // moon's and three strangers
    CHECK(sun.counter("ike_cookies_sent") == 17);
    // Another address is not troubled, and half-open IKE SAs end by themselves.
    world.inject(stranger(world, moon, *net::IpAddress::parse("203.0.113.10"), 99));
    world.run(10ms);
    CHECK(sun.counter("ike_half_open") == 5);
    world.run(31s);
    CHECK(sun.counter("ike_half_open") <= 1);
    CHECK(sun.counter("ike_half_open_expired") >= 4);
}

TEST_CASE("TRAPS 23: beyond the half-open limit IKE_SA_INIT is dropped in silence") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    sun.config.half_open_limit = 2;
    sun.connections[0].remote_addrs.clear();
    world.start(sun);
    world.fate = [&](const Flight& flight) {
        return flight.to.address == moon.address ? std::vector<Duration>{} : std::vector<Duration>{1ms};
    };
    world.initiate(moon, "to-sun", "net");
    world.run(10ms);
    for (std::uint64_t spi = 1; spi <= 5; ++spi) {
        world.inject(stranger(world, moon, *net::IpAddress::parse("203.0.113." + std::to_string(spi)), spi));
        world.run(1ms);
    }
    const std::size_t sent = count_from(world, sun);
    world.run(10ms);
    CHECK(sun.counter("ike_half_open") == 2);
    CHECK(sun.counter("ike_half_open_dropped") == 4);
    CHECK(count_from(world, sun) == sent);
}

TEST_CASE("No common IKE proposal: told at both ends, with what was offered and what is allowed") {
    World world;
    add_pair(world);
    Node& sun = world.node("sun");
    sun.connections[0].proposals = *ipsec::parse_proposals({"aes256-sha512-ecp384"}, ipsec::Protocol::ike);
    world.start(sun);
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(2s);
    CHECK(sun.notice_text(ike::NoticeKind::no_proposal).find("AES_GCM_16") != std::string::npos);
    CHECK(sun.notice_text(ike::NoticeKind::no_proposal).find("AES_CBC") != std::string::npos);
    CHECK(world.node("moon").noticed(ike::NoticeKind::no_proposal));
    CHECK(sun.counter("ike_half_open") == 0);
    world.run(200s);
    CHECK(world.node("moon").sas().empty());
}

TEST_CASE("TRAPS 9 and 10: IKE_SA_INIT has no SPI in SA, ESP has ours, and the answer has the offer's number") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    moon.connections[0].proposals =
        *ipsec::parse_proposals({"aes256gcm16-prfsha384-ecp384", "aes128gcm16-prfsha256-x25519"}, ipsec::Protocol::ike);
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    // The first key exchange was for the first proposal; sun allows the second alone.
    const auto answer = [&](std::size_t i) {
        return ike::parse_message(world.sent().at(i).bytes)->find<ike::SaPayload>();
    };
    REQUIRE(disagreement(moon, world.node("sun")) == "");
    (void)answer;
    const ike::Message accepted = *ike::parse_message(world.sent().at(3).bytes);
    const auto& chosen = accepted.find<ike::SaPayload>()->proposals;
    REQUIRE(chosen.size() == 1);
    CHECK(chosen[0].number == 2);
    CHECK(chosen[0].spi.empty());
    const ike::Message request = unseal(moon, world.sent().at(4).bytes);
    CHECK(request.find<ike::SaPayload>()->proposals[0].spi.size() == 4);
}

TEST_CASE("TRAPS 15: a public value that the checks refuse is as if never received") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    bool spoiled = false;
    world.tap = [&](const Flight& flight) {
        if (spoiled || flight.to.address != moon.address) return;
        spoiled = true;
        ike::Message message = *ike::parse_message(flight.bytes);
        for (ike::Payload& payload : message.payloads)
            if (auto* ke = std::get_if<ike::KePayload>(&payload)) ke->data.assign(ke->data.size(), 0);
        world.act(moon,
                  moon.engine->receive({flight.to, flight.from, ike::build_message(message), false}, world.now()));
    };
    world.initiate(moon, "to-sun", "net");
    world.run(30s);
    CHECK(spoiled);
    CHECK(moon.counter("ike_bad_public_values") == 1);
    CHECK(disagreement(moon, world.node("sun")) == "");
}

TEST_CASE("TRAPS 11: a higher major version is refused, other versions are dropped") {
    World world;
    add_pair(world);
    Node& sun = world.node("sun");
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(1s);
    Flight flight = world.sent().at(0);
    const std::size_t before = count_from(world, sun);
    flight.bytes[17] = 0x30;
    world.inject(flight);
    world.run(1s);
    REQUIRE(count_from(world, sun) == before + 1);
    const auto answer = ike::parse_message(last_from(world, sun).bytes);
    REQUIRE(answer);
    CHECK(answer->notify(NotifyType::invalid_major_version) != nullptr);
    flight.bytes[17] = 0x10;
    world.inject(flight);
    flight.bytes[17] = 0x30;
    flight.bytes[19] |= 0x20;  // a response
    world.inject(flight);
    world.run(1s);
    CHECK(count_from(world, sun) == before + 1);
}
