// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "lib/base/be.hpp"
#include "lib/base/byte_reader.hpp"
#include "lib/base/byte_writer.hpp"
#include "lib/base/secret.hpp"

using namespace sluice;

TEST_CASE("A reader that lacks bytes fails whole and moves nothing") {
    const ByteVec bytes{0x12, 0x34, 0x56};
    ByteReader in(bytes);
    CHECK_FALSE(in.u32());
    CHECK(in.remaining() == 3);
    CHECK(in.u16() == 0x1234);
    CHECK_FALSE(in.u16());
    CHECK(in.u8() == 0x56);
    CHECK(in.empty());
}

TEST_CASE("A writer writes network order and patches lengths") {
    ByteWriter out;
    const auto mark = out.mark_u16();
    out.u32(0x01020304);
    out.patch_u16(mark, out.size());
    CHECK(to_hex(out.view()) == "000601020304");
}

TEST_CASE("Be converts only by name, TRAPS 62") {
    const auto be = Be32::of(0x01020304);
    CHECK(be.host() == 0x01020304);
    Byte raw[4];
    std::memcpy(raw, &be, 4);
    CHECK(to_hex(raw) == "01020304");
}

TEST_CASE("Hexadecimal text round-trips and refuses what is not") {
    CHECK(to_hex(*from_hex("0xDEADbeef")) == "deadbeef");
    CHECK_FALSE(from_hex("abc"));
    CHECK_FALSE(from_hex("zz"));
}

TEST_CASE("A secret that was moved from holds nothing") {
    Secret<4> a;
    a.mutable_view()[0] = 7;
    const Secret<4> b = std::move(a);
    CHECK(b.view()[0] == 7);
    CHECK(a.view()[0] == 0);  // NOLINT(bugprone-use-after-move): the very point
}

TEST_CASE("A constant-time compare tells equal from unequal in any byte") {
    const ByteVec a{1, 2, 3, 4};
    CHECK(constant_time_equal(a, a));
    for (std::size_t i = 0; i < a.size(); ++i) {
        ByteVec b = a;
        b[i] ^= 0x80;
        CHECK_FALSE(constant_time_equal(a, b));
    }
    CHECK_FALSE(constant_time_equal(a, Bytes(a).first(3)));
}
