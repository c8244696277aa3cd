// SPDX-License-Identifier: Apache-2.0
// Be<T>, ByteReader and ByteWriter beyond the first steps in bytes_test.cpp.
#include <catch2/catch.hpp>
#include <random>
#include <unordered_set>

#include "lib/base/be.hpp"
#include "lib/base/byte_reader.hpp"
#include "lib/base/byte_writer.hpp"
#include "lib/base/strong.hpp"

using namespace sluice;

namespace {

template <class T>
std::string bytes_of(const T& value) {
    Byte bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    return to_hex(bytes);
}

}  // namespace

TEST_CASE("TRAPS 62: Be of every width lies most significant byte first") {
    CHECK(bytes_of(Be16::of(0x0102)) == "0102");
    CHECK(bytes_of(Be64::of(0x0102030405060708)) == "0102030405060708");
    CHECK(Be64::of(0x0102030405060708).host() == 0x0102030405060708);
    CHECK(bytes_of(Be32::of_raw(Be32::of(0xa1b2c3d4).raw())) == "a1b2c3d4");
    CHECK(Be16{} == Be16::of(0));
    CHECK(Be32::of(1) != Be32::of(0x01000000));
    STATIC_REQUIRE_FALSE(std::is_convertible_v<Be32, std::uint32_t>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<std::uint32_t, Be32>);
}

TEST_CASE("Every read fails whole at each length that is too short") {
    const ByteVec bytes = *from_hex("0102030405060708");
    for (std::size_t n = 0; n <= 8; ++n) {
        const Bytes head = Bytes(bytes).first(n);
        ByteReader u8(head), u16(head), u32(head), u64(head), taken(head), skipped(head);
        CHECK(u8.u8().has_value() == (n >= 1));
        CHECK(u16.u16().has_value() == (n >= 2));
        CHECK(u32.u32().has_value() == (n >= 4));
        CHECK(u64.u64().has_value() == (n >= 8));
        CHECK(u64.remaining() == (n >= 8 ? 0 : n));
        CHECK(taken.take(5).has_value() == (n >= 5));
        CHECK(skipped.skip(5) == (n >= 5));
        CHECK(skipped.remaining() == (n >= 5 ? n - 5 : n));
    }
    ByteReader in(bytes);
    CHECK_FALSE(in.take(SIZE_MAX));
    CHECK(in.take(0)->empty());
    CHECK(in.u64() == 0x0102030405060708);
    CHECK(in.take(0)->empty());
    CHECK_FALSE(in.u8());
}

TEST_CASE("What is written is read back, whatever the order of widths") {
    const unsigned seed = 0xbe;
    std::mt19937_64 random(seed);
    INFO("seed " << seed);
    for (int round = 0; round < 200; ++round) {
        ByteWriter out;
        std::vector<std::pair<unsigned, std::uint64_t>> values;
        for (int i = 0; i < 50; ++i) {
            const unsigned kind = random() % 4;
            const std::uint64_t value = random() >> (64 - (8U << kind));
            values.emplace_back(kind, value);
            if (kind == 0) out.u8(static_cast<std::uint8_t>(value));
            if (kind == 1) out.u16(static_cast<std::uint16_t>(value));
            if (kind == 2) out.u32(static_cast<std::uint32_t>(value));
            if (kind == 3) out.u64(value);
        }
        ByteReader in(out.view());
        for (const auto& [kind, value] : values) {
            if (kind == 0) REQUIRE(in.u8() == value);
            if (kind == 1) REQUIRE(in.u16() == value);
            if (kind == 2) REQUIRE(in.u32() == value);
            if (kind == 3) REQUIRE(in.u64() == value);
        }
        REQUIRE(in.empty());
    }
}

TEST_CASE("Patches change their bytes and no others") {
    ByteWriter out;
    out.raw(*from_hex("aaaaaaaaaaaaaaaa"));
    out.patch_u8(1, 0x11);
    out.patch_u32(3, 0x01020304);
    CHECK(to_hex(out.view()) == "aa11aa01020304aa");
    out.zeros(2);
    CHECK(to_hex(std::move(out).take()) == "aa11aa01020304aa0000");
}

TEST_CASE("Strong numbers order and hash like what they hold") {
    CHECK(Seq(std::uint64_t{1} << 40) > Seq(2));
    std::unordered_set<Spi> spis;
    for (std::uint32_t i = 0; i < 100; ++i) spis.insert(Spi(i % 50));
    CHECK(spis.size() == 50);
    STATIC_REQUIRE(sizeof(Seq) == 8);
    STATIC_REQUIRE(sizeof(Spi) == 4);
}
