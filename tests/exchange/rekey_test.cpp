// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "ike/keymat.hpp"
#include "lib/crypto/dh.hpp"
#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;
using ike::NotifyType;

// Rekeying by the peer. Its requests are made by hand with sun's keys: the engine does not begin a rekeying itself.
namespace {

ByteVec spi_bytes(std::uint32_t spi) {
    ByteWriter out;
    out.u32(spi);
    return std::move(out).take();
}

constexpr std::uint32_t kNewSpi = 0x2aaaaaaa;

struct Rekeying {
    World world;
    Node* moon = nullptr;
    Node* sun = nullptr;
    ipsec::ChildSa old;  // as moon has it
    std::uint32_t next_id = 0;

    explicit Rekeying(const std::string& esp = "aes128gcm16") {
        add_pair(world, {.esp_proposal = esp});
        moon = &world.node("moon");
        sun = &world.node("sun");
        world.initiate(*moon, "to-sun", "net");
        world.run(2s);
        old = inspect(*moon).children.at(0).sa;
        world.fate = [](const Flight&) { return std::vector<Duration>{}; };  // sun's engine hears nothing more
    }
    // Sends as sun would.
    void tell(ike::ExchangeType exchange, std::vector<ike::Payload> payloads) {
        const Flight flight =
            forge(*sun, {.exchange = exchange, .payloads = std::move(payloads), .message_id = next_id++});
        world.act(*moon, moon->engine->receive({flight.to, flight.from, flight.bytes, flight.marker}, world.now()));
        world.run(10ms);
    }
    // And gives moon's answer.
    ike::Message ask(ike::ExchangeType exchange, std::vector<ike::Payload> payloads) {
        tell(exchange, std::move(payloads));
        return unseal(*moon, last_from(world, *moon).bytes);
    }
    std::vector<ike::Payload> offer(Spi rekeyed, std::uint32_t spi = kNewSpi) {
        ipsec::Proposal proposal = sun->connections[0].children[0].esp_proposals[0];
        proposal.number = 1;
        proposal.spi = spi_bytes(spi);
        std::vector<ike::Payload> payloads{
            ike::NotifyPayload{NotifyType::rekey_sa, ipsec::Protocol::esp, spi_bytes(rekeyed.value), {}},
            ike::SaPayload{{proposal}}, ike::NoncePayload{ByteVec(32, 7)}, ike::TsI{old.remote_ts},
            ike::TsR{old.local_ts}};
        return payloads;
    }
};

}  // namespace

// sun                                    moon
// SK{N(REKEY_SA), SA, Ni, TSi, TSr} -->
//                                   <--  SK{SA, Nr, TSi, TSr}      new inbound half is there, outbound waits
// ESP on the new pair, or SK{D}     -->                            outbound switches
TEST_CASE("TRAPS 17: the responder of a rekeying installs inbound first and switches outbound later") {
    Rekeying ladder;
    Node& moon = *ladder.moon;
    const ike::Message answer = ladder.ask(ike::ExchangeType::create_child_sa, ladder.offer(ladder.old.outbound.spi));
    REQUIRE(answer.find<ike::SaPayload>() != nullptr);
    REQUIRE(moon.backend.installed.size() == 2);
    const ike::IkeSa sa = inspect(moon);
    const ipsec::ChildSa& fresh = sa.children.at(1).sa;
    CHECK_FALSE(moon.backend.installed.at(fresh.id).outbound_ready);
    CHECK(fresh.outbound.spi == Spi(kNewSpi));
    CHECK(fresh.local_ts == ladder.old.local_ts);
    const ByteVec ni(32, 7);
    const ike::ChildKeys keys =
        ike::derive_child_keys(sa.suite.prf, sa.keys.sk_d, {ni, answer.find<ike::NoncePayload>()->data}, {},
                               {.encr = crypto::Encr::aes_gcm_16, .key_bits = 128});
    CHECK(fresh.inbound.keys == keys.i_to_r);
    CHECK(fresh.outbound.keys == keys.r_to_i);

    const bool by_packet = GENERATE(true, false);
    if (by_packet) {
        ladder.world.act(moon, moon.engine->child_heard(fresh.id, ladder.world.now()));
        CHECK(moon.backend.installed.at(fresh.id).outbound_ready);
        CHECK(moon.backend.installed.count(ladder.old.id) == 1);  // still open for what is in flight
    }
    const ike::Message deleted = ladder.ask(ike::ExchangeType::informational,
                                            {ike::DeletePayload{ipsec::Protocol::esp, {ladder.old.outbound.spi}}});
    CHECK(deleted.deletes().at(0)->spis == std::vector<Spi>{ladder.old.inbound.spi});
    CHECK(moon.backend.installed.at(fresh.id).outbound_ready);
    CHECK(moon.backend.installed.count(ladder.old.id) == 1);
    ladder.world.run(6s);
    CHECK(moon.backend.installed.size() == 1);
    CHECK(moon.backend.installed.count(fresh.id) == 1);
    CHECK(ladder.world.complaints().empty());
}

TEST_CASE("TRAPS 17: REKEY_SA of an SPI that is not there is CHILD_SA_NOT_FOUND with that SPI") {
    Rekeying ladder;
    const bool other_half = GENERATE(true, false);
    const Spi wrong = other_half ? ladder.old.inbound.spi : Spi(0x12345678);
    const ike::Message answer = ladder.ask(ike::ExchangeType::create_child_sa, ladder.offer(wrong));
    const auto* missing = answer.notify(NotifyType::child_sa_not_found);
    REQUIRE(missing != nullptr);
    CHECK(missing->spi == spi_bytes(wrong.value));
    CHECK(missing->protocol == ipsec::Protocol::esp);
    CHECK(ladder.moon->children() == 1);
}

TEST_CASE("TRAPS 18: what is being deleted is not rekeyed: TEMPORARY_FAILURE") {
    Rekeying ladder;
    Node& moon = *ladder.moon;
    const bool whole = GENERATE(true, false);
    ike::Engine::TerminateRequest request;
    (whole ? request.ike : request.child) = whole ? "to-sun" : "net";
    ladder.world.act(moon, *moon.engine->terminate(request, ladder.world.now()));
    const ike::Message answer = ladder.ask(ike::ExchangeType::create_child_sa, ladder.offer(ladder.old.outbound.spi));
    CHECK(answer.notify(NotifyType::temporary_failure) != nullptr);
}

TEST_CASE("TRAPS 16: a rekeying never narrows what is in use") {
    Rekeying ladder;
    auto payloads = ladder.offer(ladder.old.outbound.spi);
    std::get<ike::TsI>(payloads[3]).selectors[0].range.last = *net::IpAddress::parse("10.2.0.255");
    const ike::Message answer = ladder.ask(ike::ExchangeType::create_child_sa, payloads);
    CHECK(answer.notify(NotifyType::ts_unacceptable) != nullptr);
    CHECK(ladder.moon->children() == 1);
}

TEST_CASE("Rekeying with PFS uses a fresh Diffie-Hellman secret, and asks for its group") {
    Rekeying ladder("aes128gcm16-x25519");
    SeededRandom random(3);
    auto payloads = ladder.offer(ladder.old.outbound.spi);
    ike::Message answer = ladder.ask(ike::ExchangeType::create_child_sa, payloads);
    const auto* wanted = answer.notify(NotifyType::invalid_ke_payload);
    REQUIRE(wanted != nullptr);
    CHECK(wanted->data == ByteVec{0, 31});
    const crypto::DhKeyPair pair = *crypto::dh_generate(crypto::Group::curve25519, random);
    payloads.push_back(ike::KePayload{crypto::Group::curve25519, pair.public_value});
    answer = ladder.ask(ike::ExchangeType::create_child_sa, payloads);
    REQUIRE(answer.find<ike::KePayload>() != nullptr);
    const SecretBytes shared =
        *crypto::dh_shared(crypto::Group::curve25519, pair.private_key, answer.find<ike::KePayload>()->data);
    const ike::IkeSa sa = inspect(*ladder.moon);
    const ByteVec ni(32, 7);
    const ike::ChildKeys keys =
        ike::derive_child_keys(sa.suite.prf, sa.keys.sk_d, {ni, answer.find<ike::NoncePayload>()->data}, shared,
                               {.encr = crypto::Encr::aes_gcm_16, .key_bits = 128});
    CHECK(sa.children.at(1).sa.inbound.keys == keys.i_to_r);
    const std::vector<ike::ChildView> shown = ladder.moon->sas()[0].children;
    CHECK(shown.at(0).group == crypto::Group::none);  // made in IKE_AUTH
    CHECK(shown.at(1).group == crypto::Group::curve25519);
}

// sun                                    moon
// SK{SA(IKE, SPI), Ni, KEi}         -->
//                                   <--  SK{SA(IKE, SPI), Nr, KEr}   children move
// old: SK{D(IKE)}                   -->
//                                   <--  SK{}                        children stay
TEST_CASE("TRAPS 19: the peer rekeys the IKE SA: children move, the old one goes without them") {
    Rekeying ladder;
    Node& moon = *ladder.moon;
    SeededRandom random(3);
    const crypto::DhKeyPair pair = *crypto::dh_generate(crypto::Group::curve25519, random);
    ipsec::Proposal proposal = ladder.sun->connections[0].proposals[0];
    proposal.number = 1;
    proposal.spi = {0x2b, 1, 2, 3, 4, 5, 6, 7};
    const ike::IkeSa old = inspect(moon);
    const ike::Message answer =
        ladder.ask(ike::ExchangeType::create_child_sa, {ike::SaPayload{{proposal}}, ike::NoncePayload{ByteVec(32, 7)},
                                                        ike::KePayload{crypto::Group::curve25519, pair.public_value}});
    REQUIRE(answer.find<ike::SaPayload>() != nullptr);
    CHECK(answer.find<ike::SaPayload>()->proposals[0].spi.size() == 8);
    const auto views = moon.sas();
    REQUIRE(views.size() == 2);
    CHECK(views[0].children.empty());
    REQUIRE(views[1].children.size() == 1);
    CHECK(views[1].initiator_spi == 0x2b01020304050607);
    CHECK_FALSE(views[1].initiator);
    CHECK(views[1].children[0].sa.ike == views[1].id);

    ladder.tell(ike::ExchangeType::informational, {ike::DeletePayload{ipsec::Protocol::ike, {}}});
    REQUIRE(moon.sas().size() == 1);
    CHECK(moon.backend.installed.size() == 1);
    CHECK(ladder.world.complaints().empty());

    // The new one works, with message IDs from 0 (TRAPS 2), under keys that both can derive.
    const ike::IkeSa fresh = inspect(moon);
    CHECK(fresh.expected_id == 0);
    CHECK(fresh.next_id == 0);
    const SecretBytes shared =
        *crypto::dh_shared(crypto::Group::curve25519, pair.private_key, answer.find<ike::KePayload>()->data);
    const ByteVec ni(32, 7);
    const ike::Nonces kept{ni, answer.find<ike::NoncePayload>()->data};
    const ike::IkeKeys keys =
        ike::derive_ike_keys(fresh.suite, ike::rekey_skeyseed(old.suite.prf, old.keys.sk_d, kept, shared), kept,
                             {fresh.initiator_spi(), fresh.responder_spi()});
    CHECK(fresh.keys == keys);
}

TEST_CASE("TRAPS 18: no IKE rekeying while a child is being made: TEMPORARY_FAILURE") {
    Rekeying ladder;
    Node& moon = *ladder.moon;
    ladder.world.act(moon, *moon.engine->terminate({.child = "net"}, ladder.world.now()));
    SeededRandom random(3);
    const crypto::DhKeyPair pair = *crypto::dh_generate(crypto::Group::curve25519, random);
    ipsec::Proposal proposal = ladder.sun->connections[0].proposals[0];
    proposal.number = 1;
    proposal.spi = ByteVec(8, 0x2b);
    const ike::Message answer =
        ladder.ask(ike::ExchangeType::create_child_sa, {ike::SaPayload{{proposal}}, ike::NoncePayload{ByteVec(32, 7)},
                                                        ike::KePayload{crypto::Group::curve25519, pair.public_value}});
    CHECK(answer.notify(NotifyType::temporary_failure) != nullptr);
}

TEST_CASE("TRAPS 18: RFC 7296 2.25.2 nothing new over an IKE SA that is being rekeyed here, or was by the peer") {
    Rekeying ladder;
    Node& moon = *ladder.moon;
    const bool here = GENERATE(true, false);
    if (here) {
        ladder.world.act(moon, moon.engine->rekey({.ike = "to-sun"}, ladder.world.now())->actions);
        ladder.world.run(10ms);
        REQUIRE(inspect(moon).request);
    } else {
        SeededRandom random(3);
        const crypto::DhKeyPair pair = *crypto::dh_generate(crypto::Group::curve25519, random);
        ipsec::Proposal proposal = ladder.sun->connections[0].proposals[0];
        proposal.number = 1;
        proposal.spi = ByteVec(8, 0x2b);
        const ike::Message answer = ladder.ask(ike::ExchangeType::create_child_sa,
                                               {ike::SaPayload{{proposal}}, ike::NoncePayload{ByteVec(32, 7)},
                                                ike::KePayload{crypto::Group::curve25519, pair.public_value}});
        REQUIRE(answer.find<ike::SaPayload>() != nullptr);
    }
    const ike::Message answer = ladder.ask(ike::ExchangeType::create_child_sa, ladder.offer(ladder.old.outbound.spi));
    CHECK(answer.notify(NotifyType::temporary_failure) != nullptr);
    CHECK(moon.backend.installed.size() == 1);
}
