// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/incarnation.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/control/temporary_directory.hpp"

using namespace sluice;
using namespace sluice::control;

namespace {

struct Directory : test::TemporaryDirectory {
    void write(const std::string& text) const { std::ofstream(path() + "/incarnation") << text; }
};

}  // namespace

TEST_CASE("Every start has the next incarnation, from 1 on") {
    const Directory directory;
    for (std::uint16_t i = 1; i <= 5; ++i) {
        const auto incarnation = next_incarnation(directory.path() + "/deeper");
        REQUIRE(incarnation);
        CHECK(incarnation->value == i);
    }
}

TEST_CASE("A record that cannot be trusted stops the start, and stays") {
    const Directory directory;
    for (const std::string bad : {"", "x\n", "12x\n", "-1\n", "65536\n", "99999999999\n"}) {
        directory.write(bad);
        const auto incarnation = next_incarnation(directory.path());
        INFO(bad);
        REQUIRE_FALSE(incarnation);
        CHECK(incarnation.error().text.find("/incarnation") != std::string::npos);
    }
}

TEST_CASE("The last incarnation is not passed: no IV may repeat, TRAPS 47") {
    const Directory directory;
    directory.write("65534\n");
    CHECK(next_incarnation(directory.path())->value == 65535);
    const auto past = next_incarnation(directory.path());
    REQUIRE_FALSE(past);
    CHECK(past.error().code == ErrorCode::exhausted);
    CHECK_FALSE(next_incarnation(directory.path()));
}
