// SPDX-License-Identifier: Apache-2.0
#include "lib/esp/iv.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "lib/base/bytes.hpp"

using namespace sluice;
using namespace sluice::esp;

namespace {

std::string hex_of(Be64 iv) {
    Byte bytes[8];
    std::memcpy(bytes, &iv, 8);
    return to_hex(bytes);
}

}  // namespace

TEST_CASE("TRAPS 62: the IV is node:4 | incarnation:16 | counter:44, most significant first") {
    const std::uint64_t prefix = iv_prefix(NodeId(0xa), Incarnation(0x1234));
    const Be64 iv = iv_of(prefix, 0x56789abcdef);
    CHECK(hex_of(iv) == "a123456789abcdef");
    CHECK(iv_node(iv) == NodeId(0xa));
    CHECK(iv_incarnation(iv) == Incarnation(0x1234));
    CHECK(iv_counter(iv) == 0x56789abcdef);
    const Be64 last = iv_of(iv_prefix(NodeId(15), Incarnation(0xffff)), kIvHardLimit - 1);
    CHECK(hex_of(last) == "ffffffffffffffff");
}

TEST_CASE("TRAPS 47: two nodes, or two lives of one, never make the same IV") {
    std::set<std::uint64_t> ivs;
    std::size_t made = 0;
    for (std::uint8_t node = 0; node < 16; ++node) {
        for (const int life : {0, 1, 2, 0xff, 0x100, 0xffff}) {
            for (const std::uint64_t counter : {std::uint64_t{0}, std::uint64_t{1}, kIvSoftLimit, kIvHardLimit - 1}) {
                ivs.insert(
                    iv_of(iv_prefix(NodeId(node), Incarnation(static_cast<std::uint16_t>(life))), counter).raw());
                ++made;
            }
        }
    }
    CHECK(ivs.size() == made);
}

TEST_CASE("Ranges of one source never overlap, whatever their sizes, and are used in order") {
    const unsigned seed = 8750;
    std::mt19937 random(seed);
    INFO("seed " << seed);
    IvSource source;
    std::uint64_t expected = 0;
    for (int i = 0; i < 1000; ++i) {
        const std::uint64_t size = random() % 50;
        IvRange range = source.allocate(size);
        REQUIRE(range.left() == size);
        for (std::uint64_t n = 0; n < size; ++n) REQUIRE(range.take() == expected++);
        REQUIRE_FALSE(range.take());
    }
    CHECK(source.used() == expected);
    IvRange none;
    CHECK_FALSE(none.take());
}

TEST_CASE("TRAPS 35: IVs ask for a rekey at 2^43 and end before 2^44") {
    IvSource source(kIvSoftLimit - 1);
    CHECK_FALSE(source.rekey_due());
    source.allocate(1);
    CHECK(source.rekey_due());
    CHECK_FALSE(source.exhausted());

    IvSource end(kIvHardLimit - 3);
    IvRange last = end.allocate(100);
    CHECK(last.left() == 3);
    CHECK(last.take() == kIvHardLimit - 3);
    CHECK(last.take() == kIvHardLimit - 2);
    CHECK(last.take() == kIvHardLimit - 1);
    CHECK_FALSE(last.take());
    CHECK(end.exhausted());
    CHECK(end.allocate(1).left() == 0);
}

TEST_CASE("RFC 4106 4: the nonce is salt, then IV") {
    const Byte salt[] = {0xca, 0xfe, 0xba, 0xbe};
    const auto nonce = make_nonce(salt, Be64::of(0xfacedbaddecaf888));
    CHECK(to_hex(nonce) == "cafebabefacedbaddecaf888");
}

TEST_CASE("TRAPS 36, 61: a CBC IV takes all its 16 bytes from the generator, and no block is given twice") {
    std::array<Byte, 16 * 256> storage{};
    RandomIvPool pool(storage);
    std::array<Byte, 16> iv{};
    iv[5] = 0x77;
    CHECK_FALSE(pool.take(iv));  // nothing until it is filled
    CHECK(iv[5] == 0x77);

    const unsigned seed = 46397;
    std::mt19937 random(seed);
    INFO("seed " << seed);
    std::set<std::array<Byte, 16>> seen;
    std::array<std::set<Byte>, 16> values;
    for (int round = 0; round < 4; ++round) {
        pool.fill([&](MutBytes out) {
            for (Byte& b : out) b = static_cast<Byte>(random());
        });
        CHECK(pool.left() == 256);
        while (pool.take(iv)) {
            seen.insert(iv);
            for (std::size_t i = 0; i < 16; ++i) values[i].insert(iv[i]);
        }
        CHECK(pool.left() == 0);
    }
    CHECK(seen.size() == 4 * 256);
    for (const auto& position : values) CHECK(position.size() > 230);  // of 256, at every one of the 16 places
    for (const Byte b : storage) REQUIRE(b == 0);                      // what was given is wiped
}
