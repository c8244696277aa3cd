// SPDX-License-Identifier: Apache-2.0
// Numbers: ESN at its wraps, lost high halves, IVs that never repeat.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "dataplane/packet.hpp"
#include "lib/esp/iv.hpp"
#include "tests/unit/dataplane/gateway.hpp"

using namespace sluice;
using namespace sluice::test;
using dataplane::Drop;

namespace {

const Ip kOut{.source = "10.1.0.10", .destination = "10.2.0.20"};
const Ip kIn{.source = "10.2.0.20", .destination = "10.1.0.10"};

struct Bench {
    explicit Bench(const ChildOptions& options) : child(make_child(options)) {
        REQUIRE(gw.backend().set_policies(make_spd()));
        REQUIRE(gw.backend().install(child));
    }
    bool arrives(std::uint64_t seq) {
        gw.from_port(kWan, peer.seal(udp_packet(kIn, 1, 2, 3), seq));
        return gw.take_port(kLan).size() == 1;
    }
    Gateway gw;
    ipsec::ChildSa child;
    Peer peer{child};
};

constexpr std::uint64_t kWrap = std::uint64_t{1} << 32;

// The IVs of a million packets, as two words each.
std::vector<std::pair<std::uint64_t, std::uint64_t>> million_ivs(const Suite& suite) {
    Bench b({.suite = suite});
    const ByteVec frame = ethernet(kLanMac, kAliceMac, udp_packet(kOut, 1, 2, 3));
    const std::size_t iv_size = b.child.outbound.keys.encr == crypto::Encr::aes_cbc ? 16 : 8;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ivs;
    ivs.reserve(1'000'000);
    while (ivs.size() < 1'000'000) {
        std::array<rte_mbuf*, 64> burst{};
        for (rte_mbuf*& m : burst) m = b.gw.make(frame);
        b.gw.path().receive_from_port(kLan, burst);
        dataplane::PacketList& out = b.gw.path().port_output(kWan);
        REQUIRE(out.count == 64);
        for (rte_mbuf* m : out) {
            std::uint64_t words[2] = {0, 0};
            std::memcpy(words, dataplane::data(m) + 14 + 20 + 8, iv_size);
            ivs.emplace_back(words[0], words[1]);
            rte_pktmbuf_free(m);
        }
        out.clear();
    }
    return ivs;
}

}  // namespace

TEST_CASE("TRAPS 34: outbound ESN goes over 2^32 and the high half is authenticated") {
    for (const Suite& suite : all_suites()) {
        CAPTURE(suite.name);
        Bench b({.suite = suite, .esn = true});
        auto& sequence = b.gw.outbound(b.child).sequence;
        sequence = esp::OutboundSequence(true, Seq{kWrap - 3});
        sequence.reserve(Seq{~std::uint64_t{0}});
        for (std::uint64_t seq = kWrap - 2; seq < kWrap + 3; ++seq) {
            b.gw.from_port(kLan, ethernet(kLanMac, kAliceMac, udp_packet(kOut, 1, 2, 3)));
            const auto out = b.gw.take_port(kWan);
            REQUIRE(out.size() == 1);
            CHECK(b.peer.open(out[0], seq).has_value());
            CHECK_FALSE(b.peer.open(out[0], seq ^ kWrap).has_value());
        }
    }
}

TEST_CASE("TRAPS 34: inbound ESN over 2^32, early, late and repeated, at every position of the window") {
    for (std::uint64_t offset = 0; offset <= 64; ++offset) {
        CAPTURE(offset);
        Bench b({.esn = true});
        const std::uint64_t top = kWrap + offset - 32;
        REQUIRE(b.arrives(1000));  // from 0 the low half would lie left of the start
        REQUIRE(b.arrives(top));
        CHECK(b.gw.inbound(b.child).window.top() == Seq{top});
        CHECK(b.arrives(top - 63));
        CHECK_FALSE(b.arrives(top - 64));
        CHECK_FALSE(b.arrives(top - 63));
        CHECK_FALSE(b.arrives(top));
        CHECK(b.arrives(top + 1000));
        CHECK(b.gw.inbound(b.child).window.top() == Seq{top + 1000});
    }
}

TEST_CASE("TRAPS 34: after a loss of a whole high half the SA comes back, and no good packet pays for the attempts") {
    Bench b({.esn = true});
    REQUIRE(b.arrives(1000));
    REQUIRE(b.arrives(kWrap - 5));
    unsigned sent = 0;
    while (sent < 2000 && b.gw.inbound(b.child).window.top().value < kWrap) {
        b.arrives(2 * kWrap + 100 + sent);
        ++sent;
    }
    CAPTURE(sent);
    CHECK(b.gw.inbound(b.child).window.top().value >= 2 * kWrap);
    CHECK(b.arrives(2 * kWrap + 5000));

    // Forged packets between good ones do not cost a good one.
    for (unsigned i = 0; i < 300; ++i) {
        ByteVec forged = b.peer.seal(udp_packet(kIn, 1, 2, 3), 2 * kWrap + 9000 + i);
        forged.back() ^= 1;
        b.gw.from_port(kWan, forged);
    }
    CHECK(b.arrives(2 * kWrap + 10000));
}

TEST_CASE("TRAPS 35: a million counter IVs: no two alike, node and incarnation in front") {
    for (const char* name : {"aes128gcm16", "chacha20poly1305", "aes128ccm16", "aes128ctr-sha1", "aes128gmac"}) {
        const auto suite = std::find_if(all_suites().begin(), all_suites().end(),
                                        [&](const Suite& s) { return std::string(s.name) == name; });
        auto ivs = million_ivs(*suite);
        for (const auto& iv : ivs) {
            const Be64 wire = Be64::of_raw(iv.first);
            if (esp::iv_node(wire) != NodeId{3} || esp::iv_incarnation(wire) != Incarnation{0x1234}) FAIL("IV layout");
        }
        std::sort(ivs.begin(), ivs.end());
        CHECK(std::adjacent_find(ivs.begin(), ivs.end()) == ivs.end());
    }
}

TEST_CASE("TRAPS 36, 61: a million CBC IVs: no two alike, and every one of the 16 bytes takes every value") {
    const auto suite = std::find_if(all_suites().begin(), all_suites().end(),
                                    [](const Suite& s) { return s.encr == crypto::Encr::aes_cbc; });
    auto ivs = million_ivs(*suite);
    for (unsigned byte = 0; byte < 16; ++byte) {
        std::array<unsigned, 256> seen{};
        for (const auto& iv : ivs) {
            const std::uint64_t word = byte < 8 ? iv.first : iv.second;
            ++seen[word >> (8 * (byte % 8)) & 0xff];
        }
        // Each value is expected 3906 times, standard deviation 62.
        CHECK(*std::min_element(seen.begin(), seen.end()) > 3500);
        CHECK(*std::max_element(seen.begin(), seen.end()) < 4300);
    }
    // Half of the bits differ between one and the next.
    std::uint64_t flips = 0;
    for (std::size_t i = 1; i < ivs.size(); ++i) {
        flips += static_cast<unsigned>(__builtin_popcountll(ivs[i].first ^ ivs[i - 1].first));
    }
    CHECK(flips / (ivs.size() - 1) >= 31);
    CHECK(flips / (ivs.size() - 1) <= 32);
    std::sort(ivs.begin(), ivs.end());
    CHECK(std::adjacent_find(ivs.begin(), ivs.end()) == ivs.end());
}
