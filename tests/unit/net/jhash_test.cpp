// SPDX-License-Identifier: Apache-2.0
#include "lib/net/jhash.hpp"

#include <catch2/catch.hpp>

using namespace sluice;
using net::jhash;
using net::reciprocal_scale;

// Known answers of Bob Jenkins' own self-test (driver5 of lookup3.c): an empty key with (initval) and the sentence that
// he hashes. hashlittle() is Linux' jhash with the same initval.
TEST_CASE("jhash gives lookup3's published answers") {
    const Bytes sentence = as_bytes("Four score and seven years ago");
    CHECK(jhash({}, 0) == 0xdeadbeef);
    CHECK(jhash({}, 0xdeadbeef) == 0xbd5b7dde);
    CHECK(jhash(sentence, 0) == 0x17770551);
    CHECK(jhash(sentence, 1) == 0xcd628161);
}

TEST_CASE("Every tail length changes the hash, and bytes past the end do not") {
    ByteVec key(40);
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<Byte>(i * 37 + 11);
    for (std::size_t n = 1; n < 32; ++n) {
        const Bytes head = Bytes(key).first(n);
        const std::uint32_t before = jhash(head, 7);
        key[n] = static_cast<Byte>(key[n] ^ 0x5a);
        CHECK(jhash(head, 7) == before);
        key[n] = static_cast<Byte>(key[n] ^ 0x5a);
        key[n - 1] = static_cast<Byte>(key[n - 1] ^ 0x80);
        CHECK(jhash(head, 7) != before);
        key[n - 1] = static_cast<Byte>(key[n - 1] ^ 0x80);
    }
}

TEST_CASE("TRAPS 62: the byte order of the key matters to the hash") {
    const Byte forward[] = {192, 0, 2, 1, 0x12, 0x34, 0x56, 0x78};
    const Byte word_swapped[] = {1, 2, 0, 192, 0x78, 0x56, 0x34, 0x12};
    CHECK(jhash(forward, 0) != jhash(word_swapped, 0));
}

TEST_CASE("reciprocal_scale maps the whole range evenly onto 0..n-1") {
    CHECK(reciprocal_scale(0, 16) == 0);
    CHECK(reciprocal_scale(0xffffffff, 16) == 15);
    CHECK(reciprocal_scale(0x7fffffff, 2) == 0);
    CHECK(reciprocal_scale(0x80000000, 2) == 1);
    CHECK(reciprocal_scale(0xffffffff, 1) == 0);
}
