// SPDX-License-Identifier: Apache-2.0
#include "lib/esp/sequence.hpp"

#include <catch2/catch.hpp>

using namespace sluice;
using esp::OutboundSequence;

TEST_CASE("TRAPS 33: the first number is 1, and none is sent before it is reserved") {
    OutboundSequence seq(false);
    CHECK_FALSE(seq.take());
    CHECK_FALSE(seq.exhausted());
    seq.reserve(Seq(2));
    CHECK(seq.take() == Seq(1));
    CHECK(seq.take() == Seq(2));
    CHECK_FALSE(seq.take());
    seq.reserve(Seq(1));  // a ceiling never goes down
    CHECK(seq.ceiling() == Seq(2));
    seq.reserve(Seq(3));
    CHECK(seq.reserved() == 1);
    CHECK(seq.take() == Seq(3));
}

TEST_CASE("TRAPS 35: without ESN the space ends at 2^32 - 1 and never wraps") {
    OutboundSequence seq(false, Seq(UINT32_MAX - 2));
    seq.reserve(Seq(UINT64_MAX));
    CHECK(seq.ceiling() == Seq(UINT32_MAX));
    CHECK(seq.take() == Seq(UINT32_MAX - 1));
    CHECK(seq.take() == Seq(UINT32_MAX));
    CHECK(seq.exhausted());
    for (int i = 0; i < 3; ++i) CHECK_FALSE(seq.take());
    seq.reserve(Seq(UINT64_MAX));
    CHECK_FALSE(seq.take());
    CHECK(seq.last() == Seq(UINT32_MAX));
}

TEST_CASE("TRAPS 35: with ESN it crosses 2^32 and ends at 2^64 - 1") {
    OutboundSequence seq(true, Seq(UINT32_MAX));
    seq.reserve(Seq(UINT64_MAX));
    CHECK(seq.take() == Seq(std::uint64_t{1} << 32));
    OutboundSequence end(true, Seq(UINT64_MAX - 1));
    end.reserve(Seq(UINT64_MAX));
    CHECK(end.take() == Seq(UINT64_MAX));
    CHECK_FALSE(end.take());
    CHECK(end.exhausted());
}

TEST_CASE("TRAPS 47: a taker begins above the ceiling of the one it takes over from") {
    OutboundSequence owner(true);
    owner.reserve(Seq(1000));
    CHECK(owner.take() == Seq(1));
    OutboundSequence taker(true, owner.ceiling());
    CHECK_FALSE(taker.take());
    taker.reserve(Seq(2000));
    CHECK(taker.take() == Seq(1001));
}

TEST_CASE("Ranges come whole or as far as the ceiling allows") {
    OutboundSequence seq(false);
    seq.reserve(Seq(10));
    const auto a = seq.take(4);
    CHECK((a.first == Seq(1) && a.count == 4));
    const auto b = seq.take(100);
    CHECK((b.first == Seq(5) && b.count == 6));
    CHECK(seq.take(1).count == 0);
    CHECK(seq.last() == Seq(10));
}

TEST_CASE("Half of the space asks for a rekey") {
    CHECK_FALSE(OutboundSequence(false, Seq(0x7fffffff)).rekey_due());
    CHECK(OutboundSequence(false, Seq(0x80000000)).rekey_due());
    CHECK_FALSE(OutboundSequence(true, Seq(0x80000000)).rekey_due());
    CHECK(OutboundSequence(true, Seq(std::uint64_t{1} << 63)).rekey_due());
}
