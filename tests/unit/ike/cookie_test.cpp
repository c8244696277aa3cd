// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "ike/cookie.hpp"
#include "tests/unit/ike/seeded_random.hpp"

namespace sluice::ike {
namespace {

constexpr Instant at(int seconds) { return Instant{std::chrono::seconds(seconds)}; }

const ByteVec kNonce(32, 0x11);
CookieClaim claim() { return {kNonce, *net::IpAddress::parse("192.0.2.1"), 0x0102030405060708}; }

}  // namespace

TEST_CASE("TRAPS 6: a cookie is good for its nonce, address and SPI only") {
    SeededRandom random(6);
    CookieSecrets cookies(random, at(0));
    const ByteVec cookie = cookies.make(claim(), at(1));
    CHECK(cookie.size() == CookieSecrets::kSize);
    CHECK(cookies.make(claim(), at(1)) == cookie);
    CHECK(cookies.check(claim(), cookie, at(1)));

    CookieClaim other = claim();
    const ByteVec other_nonce(32, 0x12);
    other.nonce = other_nonce;
    CHECK_FALSE(cookies.check(other, cookie, at(1)));
    other = claim();
    other.nonce = other.nonce.first(31);
    CHECK_FALSE(cookies.check(other, cookie, at(1)));
    other = claim();
    other.address = *net::IpAddress::parse("192.0.2.2");
    CHECK_FALSE(cookies.check(other, cookie, at(1)));
    other.address = *net::IpAddress::parse("c000:201::");  // the same leading bytes
    CHECK_FALSE(cookies.check(other, cookie, at(1)));
    other = claim();
    other.initiator_spi ^= 1;
    CHECK_FALSE(cookies.check(other, cookie, at(1)));
    for (std::size_t i = 0; i < cookie.size(); ++i) {
        ByteVec changed = cookie;
        changed[i] ^= 1;
        CHECK_FALSE(cookies.check(claim(), changed, at(1)));
    }
    CHECK_FALSE(cookies.check(claim(), {}, at(1)));
    CHECK_FALSE(cookies.check(claim(), Bytes(cookie).first(32), at(1)));
}

TEST_CASE("TRAPS 6: the secret rotates, and the one before is still valid") {
    SeededRandom random(6);
    CookieSecrets cookies(random, at(0));
    const ByteVec first = cookies.make(claim(), at(59));
    CHECK(cookies.check(claim(), first, at(60)));  // rotates here
    const ByteVec second = cookies.make(claim(), at(61));
    CHECK(second != first);
    CHECK(cookies.check(claim(), first, at(119)));
    CHECK(cookies.check(claim(), second, at(119)));
    CHECK_FALSE(cookies.check(claim(), first, at(120)));
    CHECK(cookies.check(claim(), second, at(120)));
}

TEST_CASE("TRAPS 6: after a long silence no old cookie is valid") {
    SeededRandom random(6);
    CookieSecrets cookies(random, at(0));
    const ByteVec cookie = cookies.make(claim(), at(1));
    CHECK_FALSE(cookies.check(claim(), cookie, at(120)));
    CHECK(cookies.check(claim(), cookies.make(claim(), at(121)), at(122)));
}

TEST_CASE("TRAPS 6: another node's secret makes other cookies") {
    SeededRandom one_random(1);
    SeededRandom two_random(2);
    CookieSecrets one(one_random, at(0));
    CookieSecrets two(two_random, at(0));
    CHECK_FALSE(two.check(claim(), one.make(claim(), at(1)), at(1)));
}

TEST_CASE("TRAPS 6: version numbers come round without opening anything") {
    SeededRandom random(6);
    CookieSecrets cookies(random, at(0));
    const ByteVec oldest = cookies.make(claim(), at(0));
    int now = 0;
    for (int i = 0; i < 256; ++i) {
        now += 60;
        const ByteVec cookie = cookies.make(claim(), at(now));
        CHECK(cookies.check(claim(), cookie, at(now)));
    }
    CHECK(cookies.make(claim(), at(now)).front() == oldest.front());
    CHECK_FALSE(cookies.check(claim(), oldest, at(now)));
}

}  // namespace sluice::ike
