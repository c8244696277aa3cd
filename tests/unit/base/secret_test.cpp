// SPDX-License-Identifier: Apache-2.0
// TRAPS 51: key material is wiped when it goes.
#include "lib/base/secret.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <new>
#include <sstream>

using namespace sluice;

namespace {

template <class T>
concept Printable = requires(std::ostream& out, const T& value) {
    out << value;
};

}  // namespace

TEST_CASE("TRAPS 51: a Secret leaves nothing behind where it lived") {
    alignas(Secret<32>) unsigned char place[sizeof(Secret<32>)] = {};
    auto* const secret = new (place) Secret<32>();
    std::fill(secret->mutable_view().begin(), secret->mutable_view().end(), Byte{0xa5});
    REQUIRE(std::count(std::begin(place), std::end(place), 0xa5) == 32);
    secret->~Secret();
    CHECK(std::count(std::begin(place), std::end(place), 0xa5) == 0);
}

TEST_CASE("TRAPS 51: what SecretBytes held is wiped when another value takes its place") {
    SecretBytes secret(ByteVec(64, 0xa5));
    const Byte* const old = secret.view().data();
    const SecretBytes shorter(ByteVec(16, 0x11));
    secret = shorter;  // fits into the same memory
    REQUIRE(secret.view().data() == old);
    CHECK(std::count(old, old + 64, 0xa5) == 0);
    CHECK(secret == shorter);
}

TEST_CASE("Moving SecretBytes leaves the source empty") {
    SecretBytes a(ByteVec(16, 0x11));
    const SecretBytes b = std::move(a);
    CHECK(a.empty());  // NOLINT(bugprone-use-after-move): the very point
    CHECK(b.size() == 16);
    SecretBytes c(ByteVec(4, 0x22));
    c = SecretBytes(ByteVec(8, 0x33));
    CHECK(c.size() == 8);
    c = *&c;
    CHECK(c == SecretBytes(ByteVec(8, 0x33)));
}

TEST_CASE("Secrets compare by content and length, and cannot be printed") {
    CHECK(SecretBytes(ByteVec{1, 2, 3}) == SecretBytes(ByteVec{1, 2, 3}));
    CHECK_FALSE(SecretBytes(ByteVec{1, 2, 3}) == SecretBytes(ByteVec{1, 2, 4}));
    CHECK_FALSE(SecretBytes(ByteVec{1, 2, 3}) == SecretBytes(ByteVec{1, 2}));
    STATIC_REQUIRE_FALSE(Printable<SecretBytes>);
    STATIC_REQUIRE_FALSE(Printable<Secret<16>>);
}

TEST_CASE("wipe takes an empty span") {
    wipe({});
    ByteVec bytes(100, 0xff);
    wipe(MutBytes(bytes).subspan(10, 80));
    CHECK(std::count(bytes.begin(), bytes.end(), 0xff) == 20);
}
