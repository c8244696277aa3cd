// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "lib/base/result.hpp"
#include "lib/base/strong.hpp"

using namespace sluice;

TEST_CASE("A Result holds a value or an error") {
    const Result<int> good = 7;
    REQUIRE(good);
    CHECK(*good == 7);
    const Result<int> bad = fail(ErrorCode::not_found, "no such child");
    REQUIRE_FALSE(bad);
    CHECK(bad.error().code == ErrorCode::not_found);
    CHECK(Result<void>{}.ok());
}

TEST_CASE("Numbers of two kinds do not mix") {
    STATIC_REQUIRE_FALSE(std::is_convertible_v<Spi, Seq>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<std::uint32_t, Spi>);
    CHECK(Spi{1} < Spi{2});
}
