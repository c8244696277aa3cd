// SPDX-License-Identifier: Apache-2.0
#include "lib/ipsec/segment.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "lib/net/jhash.hpp"

using namespace sluice;
using ipsec::SegmentHash;

namespace {

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

std::uint16_t by_hand(std::string_view hex, const SegmentHash& hash) {
    return static_cast<std::uint16_t>(net::reciprocal_scale(net::jhash(*from_hex(hex), hash.seed), hash.segments) + 1);
}

// Pearson's statistic over equal expectations.
double chi_square(const std::vector<unsigned>& counts) {
    double total = 0;
    for (const unsigned c : counts) total += c;
    const double expected = total / static_cast<double>(counts.size());
    double sum = 0;
    for (const unsigned c : counts) sum += (c - expected) * (c - expected) / expected;
    return sum;
}

}  // namespace

TEST_CASE("TRAPS 62: what is hashed is the address, the SPI and the masked number, in network order") {
    const SegmentHash h{.seed = 0x12345678, .segments = 16};
    CHECK(h.ike(ip("192.0.2.1")).value == by_hand("c0000201", h));
    CHECK(h.outbound(ip("192.0.2.1"), Spi(0x12345678)).value == by_hand("c000020112345678", h));
    CHECK(h.inbound(ip("192.0.2.1"), Spi(0x12345678)).value == by_hand("c000020112345678", h));
    CHECK(h.inbound_seq(ip("192.0.2.1"), Spi(0x12345678), 0x9abcdef7).value == by_hand("c0000201123456789abcdef0", h));
    CHECK(h.ike(ip("2001:db8::1:2")).value == by_hand("20010db8000000000000000000010002", h));
    CHECK(h.inbound(ip("2001:db8::1:2"), Spi(0x12345678)).value ==
          by_hand("20010db800000000000000000001000212345678", h));
    CHECK(h.inbound_seq(ip("2001:db8::1:2"), Spi(0x12345678), 0x9abcdef7).value ==
          by_hand("20010db8000000000000000000010002123456789abcdef0", h));
}

TEST_CASE("H14: the segments of one SA's numbers are those of the whole hash, for both families") {
    const unsigned seed = 0x5e9;
    std::mt19937 random(seed);
    INFO("seed " << seed);
    for (const char* address : {"192.0.2.1", "2001:db8::1:2"}) {
        for (int i = 0; i < 20'000; ++i) {
            const SegmentHash h{.seed = static_cast<std::uint32_t>(random()),
                                .segments = static_cast<std::uint16_t>(1 + random() % 256)};
            const Spi spi(static_cast<std::uint32_t>(random()));
            const auto seq = static_cast<std::uint32_t>(random());
            const ipsec::SequenceSegments segments(h, ip(address), spi);
            if (segments.of(seq) != h.inbound_seq(ip(address), spi, seq))
                FAIL(address << " " << spi.value << " " << seq);
        }
    }
}

// Taken from a running kernel (nft "jhash ip daddr . esp spi mod 16 seed S", xt_cluster for the IPv4 peer), which
// tests/packet/segment_kernel_test.py compares with afresh.
TEST_CASE("H13: fixed vectors that every node must agree on") {
    const SegmentHash h{.seed = 0xdeadbeef, .segments = 16};
    CHECK(h.inbound(ip("192.0.2.1"), Spi(0x12345678)).value == 3);
    CHECK(h.inbound(ip("10.1.2.3"), Spi(0x00001001)).value == 14);
    CHECK(h.inbound(ip("2001:db8::1:2"), Spi(0x89abcdef)).value == 12);
    CHECK(h.inbound_seq(ip("192.0.2.1"), Spi(0x12345678), 0x9abcdef7).value == 4);
    CHECK(h.ike(ip("198.51.100.77")).value == 4);
    CHECK(h.ike(ip("2001:db8:7::9")).value == 16);
}

TEST_CASE("H14: runs of 16 numbers stay together, also across the end of the space") {
    const SegmentHash h{.seed = 7, .segments = 16};
    const auto segment = [&](std::uint32_t seq) { return h.inbound_seq(ip("192.0.2.1"), Spi(0x1001), seq); };
    unsigned changes = 0;
    for (std::uint32_t run = 0; run < 1000; ++run) {
        const std::uint32_t first = 0xffffffff - 16 * 500 + 1 + run * 16;  // wraps half way
        for (std::uint32_t i = 1; i < 16; ++i) REQUIRE(segment(first + i) == segment(first));
        changes += segment(first + 16) != segment(first);
    }
    CHECK(changes > 850);  // 15 in 16 runs go elsewhere
}

TEST_CASE("H10: every SA has exactly one segment, from 1 to n") {
    for (std::uint16_t n = 1; n <= 16; ++n) {
        const SegmentHash h{.seed = 3, .segments = n};
        std::vector<unsigned> counts(n);
        for (std::uint32_t spi = 256; spi < 256 + 4000; ++spi) {
            const SegmentId id = h.outbound(ip("203.0.113.5"), Spi(spi));
            REQUIRE(id.value >= 1);
            REQUIRE(id.value <= n);
            ++counts[id.value - 1U];
        }
        for (const unsigned count : counts) CHECK(count > 0);
    }
}

TEST_CASE("H13: 200,000 SPIs spread evenly: chi-square with p > 1e-6") {
    for (const std::uint32_t seed : {0U, 1U, 0xdeadbeefU}) {
        const SegmentHash h{.seed = seed, .segments = 16};
        std::vector<unsigned> in_order(16), runs(16), peers(16);
        for (std::uint32_t i = 0; i < 200000; ++i) {
            ++in_order[h.inbound(ip("192.0.2.1"), Spi(0xc0000000 + i)).value - 1U];
            ++runs[h.inbound_seq(ip("192.0.2.1"), Spi(0xc0000001), i * 16).value - 1U];
            ++peers[h.ike(net::IpAddress::v4(0x0a000000 + i)).value - 1U];
        }
        // 15 degrees of freedom: the upper 1e-6 quantile is 56.5.
        CHECK(chi_square(in_order) < 56.5);
        CHECK(chi_square(runs) < 56.5);
        CHECK(chi_square(peers) < 56.5);
    }
}
