// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/exchange/world.hpp"

using namespace sluice;
using namespace sluice::test;

// moon                                   sun
// HDR, SAi1, KEi, Ni                -->
//                                   <--  HDR, SAr1, KEr, Nr
// HDR, SK{IDi, IDr, AUTH, SA, TS}   -->
//                                   <--  HDR, SK{IDr, AUTH, SA, TS}
TEST_CASE("Two engines set up an IKE SA and a child") {
    const std::string ike =
        GENERATE("aes128gcm16-prfsha256-x25519", "aes256gcm16-prfsha384-ecp384", "aes128-sha256-modp2048",
                 "aes256-sha512-ecp256", "chacha20poly1305-prfsha256-x25519");
    const std::string esp = GENERATE("aes128gcm16", "aes256-sha256", "chacha20poly1305");
    CAPTURE(ike, esp);
    World world;
    add_pair(world, {.ike_proposal = ike, .esp_proposal = esp});
    world.initiate(world.node("moon"), "to-sun", "net");
    world.run(2s);
    CHECK(disagreement(world.node("moon"), world.node("sun")) == "");
    CHECK(world.sent().size() == 4);
    CHECK(world.complaints().empty());
    CHECK(world.node("moon").noticed(ike::NoticeKind::child_up));
    CHECK(world.node("sun").noticed(ike::NoticeKind::ike_up));
}
