// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <chrono>

#include "control/host/child_process.hpp"
#include "control/host/port_guard.hpp"

using namespace sluice;
using namespace sluice::control;
using std::chrono::milliseconds;

TEST_CASE("guard tables of different prefixes and devices never share a name") {
    CHECK(guard_table("sluice", "eth0") == "sluice_sluice__eth0");
    CHECK(guard_table("a", "b_c") != guard_table("a_b", "c"));
    CHECK(guard_table("a", "eth-1") != guard_table("a", "eth_1"));
    CHECK(guard_table("a", "eth.1") == "sluice_a__eth_2e1");
}

TEST_CASE("TRAPS 60: the guard drops at ingress, before the packets of the kernel, and replaces itself in one go") {
    CHECK(guard_script("s", "e0") ==
          "add table netdev sluice_s__e0\n"
          "delete table netdev sluice_s__e0\n"
          "add table netdev sluice_s__e0\n"
          "add chain netdev sluice_s__e0 ingress { type filter hook ingress device \"e0\" priority -500; policy drop; "
          "}\n");
}

TEST_CASE("a program's output, its failure in its own words, and its limit") {
    const auto echoed = run_program({"cat"}, "two\nlines\n", milliseconds(5000));
    REQUIRE(echoed);
    CHECK(*echoed == "two\nlines\n");
    const auto failed = run_program({"sh"}, "echo no >&2; exit 3", milliseconds(5000));
    REQUIRE_FALSE(failed);
    CHECK(failed.error().text == "sh: no\n");
    const auto missing = run_program({"no-such-program-anywhere"}, "", milliseconds(5000));
    REQUIRE_FALSE(missing);
    CHECK(missing.error().text == "no-such-program-anywhere: no such program");
    const auto slow = run_program({"sleep", "3600"}, "", milliseconds(100));
    REQUIRE_FALSE(slow);
    CHECK(slow.error().text == "sleep: took too long");
}
