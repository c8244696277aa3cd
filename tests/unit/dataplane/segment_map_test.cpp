// SPDX-License-Identifier: Apache-2.0
#include "dataplane/segment_map.hpp"

#include <catch2/catch.hpp>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include "dataplane/allowance.hpp"

using namespace sluice;
using namespace sluice::dataplane;

TEST_CASE("H11: the parts of a segment lie inside it, whatever the number of nodes' segments and of workers") {
    const unsigned seed = std::random_device{}();
    std::cout << "parts: seed " << seed << "\n";
    std::mt19937 random(seed);
    for (std::uint16_t segments = 1; segments <= 16; ++segments) {
        for (unsigned workers = 1; workers <= 16; ++workers) {
            const ipsec::SegmentHash hash{.seed = static_cast<std::uint32_t>(random()), .segments = segments};
            const SegmentMap map(hash, workers, NodeId(0));
            REQUIRE(map.parts() == segments * workers);
            for (int i = 0; i < 200; ++i) {
                const auto address = net::IpAddress::v4(static_cast<std::uint32_t>(random()));
                const Spi spi(static_cast<std::uint32_t>(random()));
                const auto seq = static_cast<std::uint32_t>(random());
                const auto part = static_cast<std::uint16_t>(map.part_hash().inbound_seq(address, spi, seq).value - 1);
                if (map.segment_of(part) != hash.inbound_seq(address, spi, seq)) {
                    FAIL(segments << " segments, " << workers << " workers, part " << part);
                }
            }
        }
    }
}

TEST_CASE("On a single node every segment is its own, and the parts go round the workers") {
    SegmentMap map({.seed = 5, .segments = 4}, 2, NodeId(3));
    for (std::uint16_t s = 1; s <= 4; ++s) CHECK(map.responsible(SegmentId(s)));
    for (std::uint16_t p = 0; p < 8; ++p) CHECK(map.worker_of(p) == WorkerId(p % 2));
    map.give(SegmentId(2), NodeId(1));
    CHECK_FALSE(map.responsible(SegmentId(2)));
    CHECK(map.node_of(SegmentId(2)) == NodeId(1));
    CHECK(map.responsible(SegmentId(3)));
    map.give(std::uint16_t{5}, WorkerId(0));
    CHECK(map.worker_of(5) == WorkerId(0));
    CHECK(map.worker_of(7) == WorkerId(1));
}

TEST_CASE("TRAPS 37: shares of an allowance add up to the hard limit, and tell of the soft one before") {
    for (const unsigned workers : {1U, 2U, 16U}) {
        for (const std::uint64_t hard : {1ULL, 2ULL, 100ULL, 1'000'000ULL}) {
            const std::uint64_t soft = hard * 9 / 10;
            Allowance allowance(soft, hard, workers);
            std::uint64_t sum = 0;
            while (const std::uint64_t share = allowance.take()) {
                REQUIRE(share <= std::max<std::uint64_t>(hard / (4 * workers), 1));
                sum += share;
                REQUIRE(allowance.soft_reached() == (soft != 0 && sum >= soft));
            }
            CHECK(sum == hard);
            CHECK(allowance.take() == 0);
        }
    }
}

TEST_CASE("TRAPS 37: no limit, or none but the soft one") {
    Allowance none(0, 0, 2);
    CHECK(none.take() == Allowance::kUnlimited);
    CHECK_FALSE(none.soft_reached());
    Allowance soft(10, 0, 2);
    std::uint64_t sum = 0;
    while (!soft.soft_reached()) sum += soft.take();
    CHECK(sum == 10);
    CHECK(soft.take() == Allowance::kUnlimited);
    Allowance turned(100, 10, 2);  // a soft limit behind the hard one is never reached
    sum = 0;
    while (const std::uint64_t share = turned.take()) sum += share;
    CHECK(sum == 10);
}

TEST_CASE("TRAPS 37, 44: threads that use one allowance up share out what there is") {
    constexpr std::uint64_t kHard = 200'000;
    Allowance allowance(kHard / 2, kHard, 2);
    std::array<std::uint64_t, 2> used{};
    const auto use = [&](std::uint64_t& mine) {
        while (const std::uint64_t share = allowance.take()) mine += share;
    };
    std::thread other([&] { use(used[1]); });
    use(used[0]);
    other.join();
    CHECK(used[0] + used[1] == kHard);
}
