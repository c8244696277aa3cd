// SPDX-License-Identifier: Apache-2.0
// lookup3 is Bob Jenkins' public-domain hash; what is here is its little-endian form with Linux' initial values.
#include "lib/net/jhash.hpp"

#include <bit>
#include <cassert>

namespace sluice::net {
namespace {

constexpr std::uint32_t kInitial = 0xdeadbeef;

struct State {
    std::uint32_t a, b, c;
};

void mix(State& s) {
    s.a -= s.c, s.a ^= std::rotl(s.c, 4), s.c += s.b;
    s.b -= s.a, s.b ^= std::rotl(s.a, 6), s.a += s.c;
    s.c -= s.b, s.c ^= std::rotl(s.b, 8), s.b += s.a;
    s.a -= s.c, s.a ^= std::rotl(s.c, 16), s.c += s.b;
    s.b -= s.a, s.b ^= std::rotl(s.a, 19), s.a += s.c;
    s.c -= s.b, s.c ^= std::rotl(s.b, 4), s.b += s.a;
}

void finish(State& s) {
    s.c ^= s.b, s.c -= std::rotl(s.b, 14);
    s.a ^= s.c, s.a -= std::rotl(s.c, 11);
    s.b ^= s.a, s.b -= std::rotl(s.a, 25);
    s.c ^= s.b, s.c -= std::rotl(s.b, 16);
    s.a ^= s.c, s.a -= std::rotl(s.c, 4);
    s.b ^= s.a, s.b -= std::rotl(s.a, 14);
    s.c ^= s.b, s.c -= std::rotl(s.b, 24);
}

// Up to four bytes as a little-endian word; bytes past the end count as zero.
std::uint32_t word_at(Bytes key, std::size_t offset) {
    std::uint32_t word = 0;
    for (std::size_t i = 0; i < 4 && offset + i < key.size(); ++i) word |= std::uint32_t{key[offset + i]} << (8 * i);
    return word;
}

}  // namespace

std::uint32_t jhash(Bytes key, std::uint32_t seed) {
    const std::uint32_t start = kInitial + static_cast<std::uint32_t>(key.size()) + seed;
    State s{start, start, start};
    // A key of a whole number of blocks keeps its last block for the final round.
    while (key.size() > 12) {
        s.a += word_at(key, 0), s.b += word_at(key, 4), s.c += word_at(key, 8);
        mix(s);
        key = key.subspan(12);
    }
    if (key.empty()) return s.c;
    s.a += word_at(key, 0), s.b += word_at(key, 4), s.c += word_at(key, 8);
    finish(s);
    return s.c;
}

JhashTail::JhashTail(Bytes head, std::uint32_t seed) {
    assert(head.size() % 12 == 8);
    const std::uint32_t start = kInitial + static_cast<std::uint32_t>(head.size() + 4) + seed;
    State s{start, start, start};
    for (; head.size() > 8; head = head.subspan(12)) {
        s.a += word_at(head, 0), s.b += word_at(head, 4), s.c += word_at(head, 8);
        mix(s);
    }
    a_ = s.a + word_at(head, 0), b_ = s.b + word_at(head, 4), c_ = s.c;
}

std::uint32_t JhashTail::operator()(std::uint32_t last) const {
    State s{a_, b_, c_ + last};
    finish(s);
    return s.c;
}

}  // namespace sluice::net
