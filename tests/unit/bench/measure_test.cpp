// SPDX-License-Identifier: Apache-2.0
// The harness runs briefly: its packets are judged, never its times.
#include "apps/bench/measure.hpp"

#include <rte_mempool.h>

#include <catch2/catch.hpp>

#include "apps/bench/session.hpp"
#include "apps/bench/team.hpp"

using namespace sluice;
using namespace sluice::bench;

namespace {

rte_mempool& pool() {
    static auto session = [] {
        const auto cpus = choose_cpus(-1, 1);
        return Session::start({.cpus = *cpus, .packets = 2 * Traffic::packets(2), .hugepages = false});
    }();
    REQUIRE(session);
    return session->pool();
}

struct Rig {
    Shape shape;
    std::unique_ptr<Gateway> gateway;
    std::unique_ptr<Traffic> traffic;
};
Rig make_rig(const Shape& shape) {
    auto gateway = Gateway::make(shape.gateway, pool(), 1500, [](const std::string&, double) {});
    REQUIRE(gateway);
    auto traffic = Traffic::make(**gateway, shape, pool());
    REQUIRE(traffic);
    return {shape, std::move(*gateway), std::move(*traffic)};
}

Shape shape_of(const char* aead, Direction direction) {
    Shape s;
    s.gateway.aead = aead;
    s.gateway.sas = 5;
    s.direction = direction;
    s.inner_bytes = 100;
    return s;
}

std::vector<rte_mbuf*> one_round(Rig& rig) {
    REQUIRE(rig.traffic->draw());
    Team team(*rig.traffic, rig.shape);
    team.run();
    return team.out();
}

}  // namespace

TEST_CASE("a row is measured for every algorithm and direction, its packets and its limit's being right") {
    const char* aead = GENERATE("aes128gcm16", "aes192gcm12", "aes256gcm8", "chacha20poly1305", "aes128-sha256",
                                "aes192-sha384", "aes256-sha512", "null-sha256");
    const Direction direction = GENERATE(Direction::out, Direction::in);
    CAPTURE(aead, to_string(direction));
    Rig rig = make_rig(shape_of(aead, direction));
    auto limit = Limit::make(*rig.gateway, direction);
    REQUIRE(limit);
    const auto row = measure(*rig.traffic, **limit, rig.shape, 1);
    if (!row) FAIL(row.error().text);
    CHECK(row->cycles > 0);
    CHECK(row->limit > 0);
    CHECK(row->gbps > 0);
    CHECK(row->samples.size() >= 1);
}

TEST_CASE("bursts that do not divide a round, either outer family and either encapsulation are measured") {
    const Direction direction = GENERATE(Direction::out, Direction::in);
    const net::Family outer = GENERATE(net::Family::v4, net::Family::v6);
    const bool udp = GENERATE(false, true);
    Shape shape = shape_of("aes128gcm16", direction);
    shape.gateway.outer = outer;
    shape.gateway.udp = udp;
    shape.burst = GENERATE(1U, 31U, 64U);
    CAPTURE(to_string(direction), udp, shape.burst);
    Rig rig = make_rig(shape);
    const auto out = one_round(rig);
    const auto checked = rig.traffic->check(out);
    if (!checked) FAIL(checked.error().text);
    CHECK(rig.gateway->drops().empty());
}

TEST_CASE("a round with a frame missing, doubled, swapped within its SA or changed is noticed") {
    const Direction direction = GENERATE(Direction::out, Direction::in);
    Shape shape = shape_of("aes128gcm16", direction);
    shape.gateway.sas = 1;
    Rig rig = make_rig(shape);
    auto out = one_round(rig);
    SECTION("missing") { out.pop_back(); }
    SECTION("doubled") { out.back() = out.front(); }
    SECTION("changed") {
        Byte* const last = rte_pktmbuf_mtod_offset(out[100], Byte*, out[100]->data_len - 1);
        *last = static_cast<Byte>(*last ^ 1);
    }
    SECTION("swapped") {
        if (direction == Direction::in) return;  // opened frames have no number
        std::swap(out[10], out[11]);
    }
    CHECK_FALSE(rig.traffic->check(out));
}

TEST_CASE("what the limit sealed or opened wrongly is noticed") {
    const Direction direction = GENERATE(Direction::out, Direction::in);
    Rig rig = make_rig(shape_of("aes128gcm16", direction));
    auto limit = Limit::make(*rig.gateway, direction);
    REQUIRE(limit);
    REQUIRE(rig.traffic->draw());
    rig.traffic->restore(0);
    // Another ciphertext than the tag belongs to; or, outbound, a changed packet after sealing.
    const Traffic::Slot& slot = rig.traffic->slot(0, 3);
    Byte* const byte = static_cast<Byte*>(slot.mbuf->buf_addr) + RTE_PKTMBUF_HEADROOM + 80;
    if (direction == Direction::in) *byte = static_cast<Byte>(*byte ^ 1);
    (*limit)->run(*rig.traffic, Limit::Api::direct, Traffic::kWarmUp);
    if (direction == Direction::out) *byte = static_cast<Byte>(*byte ^ 1);
    CHECK_FALSE((*limit)->check(*rig.traffic, 64));
}

TEST_CASE("with two workers each SA's packets reach its owner, and SAs are spread over both") {
    Shape shape = shape_of("aes128gcm16", GENERATE(Direction::out, Direction::in));
    shape.gateway.workers = 2;
    shape.gateway.sas = 4;
    Rig rig = make_rig(shape);
    REQUIRE(rig.traffic->draw());
    for (unsigned w : {0U, 1U}) {
        CHECK(rig.traffic->lane(w).size() == Traffic::packets(1));
        for (std::size_t i = 0; i < 8; ++i) CHECK(rig.traffic->slot(w, i).name.sa % 2 == w);
    }
}

TEST_CASE("where workers share an SA, each gets packets of it in runs of 16 sequence numbers") {
    Shape shape = shape_of("aes128gcm16", Direction::in);
    shape.gateway.workers = 2;
    shape.gateway.sas = 1;
    Rig rig = make_rig(shape);
    REQUIRE(rig.traffic->draw());
    for (unsigned w : {0U, 1U}) {
        CHECK(rig.traffic->lane(w).size() > Traffic::packets(1) / 2);
        for (std::size_t i = 1; i < rig.traffic->lane(w).size(); ++i) {
            const std::uint64_t last = rig.traffic->slot(w, i - 1).name.seq;
            const std::uint64_t seq = rig.traffic->slot(w, i).name.seq;
            CHECK((seq == last + 1 || seq % 16 == 0));
        }
    }
}
