// SPDX-License-Identifier: Apache-2.0
// The self-test at start (X3): its answers, and what happens to an algorithm that fails it.
#include "dataplane/self_test.hpp"
#include "dataplane/segment_map.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>

#include "lib/crypto/random.hpp"
#include "lib/esp/codec.hpp"
#include "tests/unit/dataplane/gateway.hpp"

using namespace sluice;
using namespace sluice::dataplane;

namespace {

// The burst of an algorithm, sealed by the reference codec's cipher.
std::uint64_t reference_answer(const Algorithm& a) {
    const crypto::CipherKeys keys = self_test_keys(a);
    std::uint64_t state = kFoldStart;
    for (unsigned i = 0; i < kSelfTestPackets; ++i) {
        ByteVec packet = self_test_packet(a, i);
        const MutBytes all(packet);
        const auto load32 = [&](std::size_t at) { return net::load<net::EspHeader>(all.subspan(at)); };
        const Seq seq(std::uint64_t{kSelfTestHigh} << 32 | load32(0).sequence.host());
        const esp::AuthenticatedHeader header(Spi(load32(0).spi.host()), seq, true, a.aead);
        const MutBytes text = all.subspan(8U + a.iv, packet.size() - 8U - a.iv - a.icv);
        REQUIRE(crypto::cipher_seal(keys, header.head(), all.subspan(8, a.iv), text, all.last(a.icv), header.tail()));
        state = fold(state, packet);
    }
    return state;
}

}  // namespace

TEST_CASE("X3: the known answers are those of the reference, one for each algorithm, no two alike") {
    std::vector<std::uint64_t> answers;
    for (const Algorithm& a : algorithms()) {
        char text[32];
        std::snprintf(text, sizeof(text), "0x%016llx", static_cast<unsigned long long>(reference_answer(a)));
        INFO(name_of(a) << " should be " << text);
        CHECK(known_answer(a) == reference_answer(a));
        answers.push_back(reference_answer(a));
    }
    std::sort(answers.begin(), answers.end());
    CHECK(std::adjacent_find(answers.begin(), answers.end()) == answers.end());
}

TEST_CASE("X3: every algorithm passes on this machine") {
    const auto passed = run_self_test(*KeyExpander::make());
    REQUIRE(passed);
    for (const Algorithm& a : algorithms()) {
        INFO(name_of(a));
        CHECK(passed->test(a.row));
    }
}

TEST_CASE("X3: an algorithm that gives other bytes than the known answer fails") {
    crypto::SystemRandom random;
    const auto engine = std::move(*CryptoEngine::make(random));
    const auto expander = std::move(*KeyExpander::make());
    for (const Algorithm& a : algorithms()) {
        CHECK(passes_self_test(*engine, expander, a, *known_answer(a)));
        CHECK_FALSE(passes_self_test(*engine, expander, a, *known_answer(a) ^ 1));
    }
}

TEST_CASE("X3: an SA whose algorithm failed its self-test is refused by name, others are not") {
    auto expander = std::move(*KeyExpander::make());
    const ipsec::ChildSa child = test::make_child();
    const Algorithm* const failed = find_algorithm(child.inbound.keys);
    REQUIRE(failed != nullptr);
    AlgorithmSet usable = AlgorithmSet{}.set();
    usable.reset(failed->row);
    expander.restrict_to(usable);
    const SegmentMap segments{{}, 1, NodeId{0}};
    const SaPlacement placement{.inbound_owner = {},
                                .outbound_owner = {},
                                .inbound_segment = SegmentId{1},
                                .outbound_segment = SegmentId{1},
                                .segments = segments};
    const auto made = make_sa(child, expander, placement);
    REQUIRE_FALSE(made);
    CHECK(made.error().code == ErrorCode::unsupported);
    CHECK(made.error().text == "AES_GCM_16_128 has failed its self-test on this machine");
    for (const test::Suite& suite : test::all_suites()) {
        const ipsec::ChildSa other = test::make_child({.suite = suite});
        CHECK(make_sa(other, expander, placement).ok() == (find_algorithm(other.inbound.keys) != failed));
    }
}
