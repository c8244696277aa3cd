// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "lib/crypto/dh.hpp"
#include "tests/exchange/inspect.hpp"

using namespace sluice;
using namespace sluice::test;
using ike::NoticeKind;
using ike::NotifyType;

namespace {

ipsec::TrafficSelectors selectors(std::initializer_list<const char*> texts) {
    ipsec::TrafficSelectors list;
    for (const char* text : texts) list.push_back(ipsec::ConfiguredSelector::parse(text)->selector);
    return list;
}

void set_child(World& world, Node& node, const std::string& local, const std::string& remote,
               const std::string& proposal = "aes128gcm16") {
    node.connections[0].children = {child("net", local, remote, proposal)};
    world.start(node);
}

ipsec::PacketSelector packet(const char* source, const char* destination, std::uint8_t protocol, std::uint16_t port) {
    return {.source = *net::IpAddress::parse(source),
            .destination = *net::IpAddress::parse(destination),
            .protocol = protocol,
            .ports_known = true,
            .source_port = 40000,
            .destination_port = port};
}

}  // namespace

// HDR, SK{SA, Ni, [KEi,] TSi, TSr}  -->
//                                   <--  HDR, SK{SA, Nr, [KEr,] TSi, TSr}
TEST_CASE("CREATE_CHILD_SA makes further children from either side, with and without PFS") {
    const std::string esp = GENERATE("aes128gcm16", "aes128gcm16-x25519", "aes256-sha256-ecp256", "aes128gcm16-esn");
    const bool restored = GENERATE(false, true);
    CAPTURE(esp, restored);
    World world;
    world.restore_between = restored;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    moon.connections[0].children.push_back(child("a", "10.11.0.0/16", "10.12.0.0/16", esp));
    sun.connections[0].children.push_back(child("a", "10.12.0.0/16", "10.11.0.0/16", esp));
    moon.connections[0].children.push_back(child("b", "fd01::/64", "fd02::/64", esp));
    sun.connections[0].children.push_back(child("b", "fd02::/64", "fd01::/64", esp));
    world.start(moon);
    world.start(sun);
    world.initiate(moon, "to-sun", "net");
    world.initiate(moon, "to-sun", "a");  // waits until the IKE SA is up
    world.run(2s);
    REQUIRE(disagreement(moon, sun, 2) == "");
    world.initiate(sun, "to-moon", "b");
    world.run(2s);
    REQUIRE(disagreement(moon, sun, 3) == "");
    CHECK(world.complaints().empty());
    const ipsec::ChildSa made = inspect(moon).children[1].sa;
    CHECK(made.esn == (esp == "aes128gcm16-esn"));
    CHECK(made.inbound.keys != inspect(moon).children[0].sa.inbound.keys);
}

TEST_CASE("TRAPS 5: INVALID_KE_PAYLOAD in CREATE_CHILD_SA makes another try with the group that is wanted") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    moon.connections[0].children.push_back(child("a", "10.11.0.0/16", "10.12.0.0/16", "aes128gcm16-x25519-ecp256"));
    sun.connections[0].children.push_back(child("a", "10.12.0.0/16", "10.11.0.0/16", "aes128gcm16-ecp256"));
    world.start(moon);
    world.start(sun);
    world.initiate(moon, "to-sun", "net");
    world.initiate(moon, "to-sun", "a");
    world.run(5s);
    CHECK(disagreement(moon, sun, 2) == "");
    CHECK(world.sent().size() == 8);
}

TEST_CASE("TRAPS 16: selectors are narrowed to what both allow") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    set_child(world, moon, "10.1.0.0/16", "0.0.0.0/0");
    set_child(world, sun, "10.2.0.0/16[tcp/80]", "10.0.0.0/8");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    REQUIRE(disagreement(moon, sun) == "");
    const ipsec::ChildSa sa = inspect(moon).children[0].sa;
    CHECK(sa.local_ts == selectors({"10.1.0.0/16"}));
    CHECK(sa.remote_ts == selectors({"10.2.0.0/16[tcp/80]"}));
}

TEST_CASE("TRAPS 16: the trigger packet's selectors go first, and decide between children") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    moon.connections[0].children[0].policy = PolicyId(4);
    moon.connections[0].children[0].remote_ts = {*ipsec::ConfiguredSelector::parse("10.0.0.0/8")};
    world.start(moon);
    sun.connections[0].children = {child("wrong", "10.3.0.0/16", "10.1.0.0/16", "aes128gcm16"),
                                   child("right", "10.2.0.0/16", "10.1.0.0/16", "aes128gcm16")};
    world.start(sun);
    const ipsec::Acquire acquire{PolicyId(4), packet("10.1.2.3", "10.2.9.9", 17, 53)};
    world.act(moon, moon.engine->backend_event(acquire, world.now()));
    world.act(moon, moon.engine->backend_event(acquire, world.now()));  // once more before the first is done
    world.run(2s);
    REQUIRE(disagreement(moon, sun) == "");
    CHECK(sun.sas()[0].children[0].sa.name == "right");
    const ike::Message request = unseal(moon, world.sent().at(2).bytes);
    const auto& ts = request.find<ike::TsR>()->selectors;
    REQUIRE(ts.size() == 2);
    CHECK(ts[0] == selectors({"10.2.9.9/32[udp/53]"})[0]);
    CHECK(request.find<ike::TsI>()->selectors[0] == selectors({"10.1.2.3/32[udp/40000]"})[0]);
    CHECK(moon.counter("ike_acquires_ignored") == 1);
    CHECK(world.sent().size() == 4);
}

// SK{SA, Ni, TSi = packet, net, TSr}  -->
//                                     <--  SK{SA, Nr, TSi = what there is already, TSr}
// SK{D}                               -->
TEST_CASE("TRAPS 16: packets that the peer always leaves out make no child after child") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    moon.connections[0].children[0].policy = PolicyId(4);
    world.start(moon);
    set_child(world, sun, "10.2.9.9/32", "10.1.2.3/32");
    world.act(moon, moon.engine->backend_event(ipsec::Acquire{PolicyId(4), packet("10.1.2.3", "10.2.9.9", 17, 53)},
                                               world.now()));
    world.run(2s);
    REQUIRE(disagreement(moon, sun) == "");
    const ipsec::Acquire outside{PolicyId(4), packet("10.1.5.5", "10.2.5.5", 17, 53)};
    const std::size_t before = world.sent().size();
    for (int i = 0; i < 10; ++i) {
        world.act(moon, moon.engine->backend_event(outside, world.now()));
        world.run(500ms);
    }
    CHECK(disagreement(moon, sun) == "");
    CHECK(world.sent().size() == before + 4);  // one attempt and its delete
    CHECK(moon.counter("ike_acquires_ignored") == 9);
    CHECK(moon.notice_text(NoticeKind::ts_unacceptable).find("not the packet from 10.1.5.5 to 10.2.5.5") !=
          std::string::npos);
    CHECK(moon.backend.reserved.empty());
    world.run(31s);
    world.act(moon, moon.engine->backend_event(outside, world.now()));
    world.run(2s);
    CHECK(world.sent().size() == before + 8);
    CHECK(disagreement(moon, sun) == "");
}

TEST_CASE("TRAPS 16: nothing in common is TS_UNACCEPTABLE; the IKE SA stays") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    set_child(world, sun, "10.2.0.0/16", "10.99.0.0/16");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    CHECK(disagreement(moon, sun, 0) == "");
    CHECK(moon.noticed(NoticeKind::ts_unacceptable));
    CHECK(sun.notice_text(NoticeKind::ts_unacceptable).find("10.1.0.0/16") != std::string::npos);
    CHECK(moon.backend.reserved.empty());
}

TEST_CASE("No common ESP proposal: the IKE SA stays, both ends say why") {
    World world;
    add_pair(world);
    Node& sun = world.node("sun");
    set_child(world, sun, "10.2.0.0/16", "10.1.0.0/16", "aes256-sha512");
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(2s);
    CHECK(disagreement(world.node("moon"), sun, 0) == "");
    CHECK(world.node("moon").noticed(NoticeKind::no_proposal));
    CHECK(sun.notice_text(NoticeKind::no_proposal).find("AES_GCM_16") != std::string::npos);
}

// moon                                   somebody with sun's keys
// SK{IDi, AUTH, SA, TSi(packet, all), TSr(...)} -->
//                                   <--  SK{IDr, AUTH, N(SINGLE_PAIR_REQUIRED)}
// SK{SA, Ni, TSi(packet), TSr(packet)} -->
TEST_CASE("TRAPS 16: SINGLE_PAIR_REQUIRED is answered with the packet's selectors alone") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    moon.connections[0].children.push_back(child("a", "10.11.0.0/16", "10.12.0.0/16", "aes128gcm16"));
    moon.connections[0].children[1].policy = PolicyId(9);
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    world.fate = [&](const Flight&) { return std::vector<Duration>{}; };
    const ipsec::Acquire acquire{PolicyId(9), packet("10.11.1.1", "10.12.1.1", 6, 443)};
    world.act(moon, moon.engine->backend_event(acquire, world.now()));
    const auto id = inspect(moon).request->message_id;
    const Flight refusal = forge(sun, {.exchange = ike::ExchangeType::create_child_sa,
                                       .payloads = {ike::make_notify(NotifyType::single_pair_required)},
                                       .message_id = id,
                                       .response = true});
    world.act(moon, moon.engine->receive({refusal.to, refusal.from, refusal.bytes, refusal.marker}, world.now()));
    const ike::Message again = unseal(moon, last_from(world, moon).bytes);
    CHECK(again.find<ike::TsI>()->selectors == selectors({"10.11.1.1/32[tcp/40000]"}));
    CHECK(again.find<ike::TsR>()->selectors == selectors({"10.12.1.1/32[tcp/443]"}));
    CHECK(again.header.message_id == id + 1);
}

TEST_CASE("An answer with selectors that were not offered is given back") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    moon.connections[0].children.push_back(child("a", "10.11.0.0/16", "10.12.0.0/16", "aes128gcm16"));
    world.start(moon);
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    world.fate = [&](const Flight&) { return std::vector<Duration>{}; };
    world.initiate(moon, "to-sun", "a");
    const ike::IkeSa sa = inspect(moon);
    const Spi offered = sa.active->offer.spi;
    ipsec::Proposal chosen = sa.active->offer.proposals[0];
    chosen.spi = {0x50, 1, 2, 3};
    const Flight answer =
        forge(sun, {.exchange = ike::ExchangeType::create_child_sa,
                    .payloads = {ike::SaPayload{{chosen}}, ike::NoncePayload{ByteVec(32, 9)},
                                 ike::TsI{selectors({"10.11.0.0/16"})}, ike::TsR{selectors({"0.0.0.0/0"})}},
                    .message_id = sa.request->message_id,
                    .response = true});
    world.act(moon, moon.engine->receive({answer.to, answer.from, answer.bytes, answer.marker}, world.now()));
    CHECK(moon.children() == 1);
    CHECK(moon.noticed(NoticeKind::ts_unacceptable));
    const ike::Message deleted = unseal(moon, last_from(world, moon).bytes);
    REQUIRE(deleted.deletes().size() == 1);
    CHECK(deleted.deletes()[0]->spis == std::vector<Spi>{offered});
    CHECK(moon.backend.reserved.empty());
}

TEST_CASE("TRAPS 53: the SPI is reserved before it is offered, and installed when keyed") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    std::size_t reserved_at_send = 99;
    world.tap = [&](const Flight& flight) {
        if (flight.number == 3) reserved_at_send = moon.backend.reserved.size();
    };
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    CHECK(reserved_at_send == 1);
    CHECK(moon.backend.reserved.empty());
    CHECK(moon.backend.installed.size() == 1);
}

TEST_CASE("TRAPS 38: SPIs carry the node in their upper bits and are never below 256") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    const ipsec::ChildSa sa = inspect(moon).children[0].sa;
    CHECK(sa.inbound.spi.value >> 28 == 1);
    CHECK(sa.outbound.spi.value >> 28 == 2);
    CHECK(moon.sas()[0].initiator_spi >> 60 == 1);
    CHECK(sa.iv_node == NodeId(1));
    CHECK(sa.iv_incarnation == Incarnation(7));
}

TEST_CASE("TRAPS 9: a delete names the sender's inbound SPIs, and the answer the other half") {
    World world;
    const bool restored = GENERATE(false, true);
    world.restore_between = restored;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    const ipsec::ChildSa sa = inspect(moon).children[0].sa;
    world.act(moon, *moon.engine->terminate({.child = "net"}, world.now()));
    world.run(2s);
    CHECK(disagreement(moon, sun, 0) == "");
    const auto& sent = world.sent();
    const ike::Message request = unseal(moon, sent[4].bytes);
    const ike::Message answer = unseal(sun, sent[5].bytes);
    CHECK(request.deletes()[0]->spis == std::vector<Spi>{sa.inbound.spi});
    CHECK(answer.deletes()[0]->spis == std::vector<Spi>{sa.outbound.spi});
}

TEST_CASE("Both ends delete the same child at once: neither names it in its answer") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    world.act(moon, *moon.engine->terminate({.child = "net"}, world.now()));
    world.act(sun, *sun.engine->terminate({.child = "net"}, world.now()));
    world.run(2s);
    CHECK(disagreement(moon, sun, 0) == "");
    CHECK(world.complaints().empty());
    CHECK(unseal(moon, last_from(world, moon).bytes).deletes().empty());
}

TEST_CASE("The IKE SA is deleted from either side, also from both at once") {
    const int who = GENERATE(1, 2, 3);
    const bool restored = GENERATE(false, true);
    World world;
    world.restore_between = restored;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    if ((who & 1) != 0) world.act(moon, *moon.engine->terminate({.ike = "to-sun"}, world.now()));
    if ((who & 2) != 0) world.act(sun, *sun.engine->terminate({.ike = "to-moon"}, world.now()));
    world.run(5s);
    for (const Node* node : {&moon, &sun}) {
        CHECK(node->sas().empty());
        CHECK(node->backend.installed.empty());
        CHECK(node->noticed(NoticeKind::ike_down));
        CHECK(node->noticed(NoticeKind::child_down));
    }
    CHECK(world.complaints().empty());
    world.run(120s);
    CHECK(moon.engine->ids().empty());  // not even a last response is kept for ever
    CHECK(sun.engine->ids().empty());
}

TEST_CASE("Shutdown tells every peer once and waits for nothing") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    world.initiate(moon, "to-sun", "net");
    world.run(2s);
    world.act(moon, moon.engine->shutdown(world.now()));
    CHECK(moon.sas().empty());
    world.run(2s);
    CHECK(sun.sas().empty());
    CHECK(world.complaints().empty());
}

TEST_CASE("Initiate and terminate say what they do not find") {
    World world;
    add_pair(world);
    Node& moon = world.node("moon");
    CHECK(moon.engine->initiate({.connection = "to-sun", .child = "nothing"}, world.now()).error().code ==
          ErrorCode::not_found);
    CHECK(moon.engine->initiate({.child = "nothing"}, world.now()).error().code == ErrorCode::not_found);
    CHECK(moon.engine->terminate({.ike = "to-sun"}, world.now()).error().code == ErrorCode::not_found);
    CHECK(moon.engine->initiate({.child = "net"}, world.now()).ok());
}
