// SPDX-License-Identifier: Apache-2.0
// The tables that workers read, against slow models.
#include <algorithm>
#include <catch2/catch.hpp>
#include <iostream>
#include <map>
#include <random>

#include "dataplane/hold.hpp"
#include "dataplane/lpm.hpp"
#include "tests/unit/dataplane/gateway.hpp"

using namespace sluice;
using namespace sluice::dataplane;

namespace {

std::mt19937 seeded(const char* what) {
    const unsigned seed = std::random_device{}();
    std::cout << what << ": seed " << seed << "\n";
    return std::mt19937{seed};
}

}  // namespace

TEST_CASE("the longest prefix wins, like in a list of all of them") {
    std::mt19937 random = seeded("lpm");
    for (const std::size_t size : {std::size_t{4}, std::size_t{16}}) {
        for (int round = 0; round < 30; ++round) {
            std::map<std::pair<unsigned, ByteVec>, Lpm::Value> prefixes;
            for (unsigned n = 0; n < 200; ++n) {
                const unsigned length = static_cast<unsigned>(random() % (size * 8 + 1));
                ByteVec bytes(size);
                for (unsigned bit = 0; bit < length; ++bit) {
                    // Mostly zeros, so that prefixes nest.
                    if (random() % 8 == 0) bytes[bit / 8] |= static_cast<Byte>(0x80 >> bit % 8);
                }
                prefixes[{length, bytes}] = static_cast<Lpm::Value>(n);
            }
            Lpm lpm;
            for (const auto& [key, value] : prefixes) lpm.add(key.second, key.first, value);
            for (int i = 0; i < 500; ++i) {
                ByteVec address(size);
                for (Byte& b : address)
                    b = static_cast<Byte>(random() % 4 == 0 ? random() : random() & random() & random());
                Lpm::Value expected = Lpm::kNone;
                for (const auto& [key, value] : prefixes) {
                    bool inside = true;
                    for (unsigned bit = 0; bit < key.first; ++bit) {
                        inside = inside && ((address[bit / 8] ^ key.second[bit / 8]) >> (7 - bit % 8) & 1) == 0;
                    }
                    if (inside) expected = value;  // shortest come first
                }
                REQUIRE(lpm.find(address.data()) == expected);
            }
        }
    }
}

TEST_CASE("TRAPS 58: nothing is freed while a worker may read it, and a sleeping one does not count") {
    Reclaimer reclaimer(2);
    reclaimer.join(WorkerId{0});
    reclaimer.join(WorkerId{1});
    int freed = 0;
    reclaimer.retire([&] { ++freed; });
    CHECK(reclaimer.collect() == 0);
    reclaimer.quiescent(WorkerId{0});
    CHECK(reclaimer.collect() == 0);
    reclaimer.offline(WorkerId{1});  // asleep
    CHECK(reclaimer.collect() == 1);
    CHECK(freed == 1);
    reclaimer.online(WorkerId{1});
    reclaimer.retire([&] { ++freed; });
    reclaimer.quiescent(WorkerId{0});
    CHECK(reclaimer.collect() == 0);  // worker 1 hangs
    for (std::size_t i = reclaimer.pending(); i < Reclaimer::kLimit; ++i) reclaimer.retire([] {});
    CHECK(reclaimer.over_limit());
    reclaimer.quiescent(WorkerId{0});
    reclaimer.quiescent(WorkerId{1});
    CHECK(reclaimer.collect() == Reclaimer::kLimit);
    CHECK_FALSE(reclaimer.over_limit());
    reclaimer.leave(WorkerId{0});
    reclaimer.leave(WorkerId{1});
}

TEST_CASE("TRAPS 58: while a worker hangs, SAs are refused before memory runs out") {
    test::Gateway gw;
    gw.tables().reclaimer.join(WorkerId{0});
    for (std::size_t i = 0; i < Reclaimer::kLimit; ++i) gw.tables().reclaimer.retire([] {});
    CHECK(gw.backend().install(test::make_child()).error().code == ErrorCode::exhausted);
    gw.tables().reclaimer.quiescent(WorkerId{0});
    gw.tables().reclaimer.collect();
    CHECK(gw.backend().install(test::make_child()));
    gw.tables().reclaimer.leave(WorkerId{0});
}

TEST_CASE("TRAPS 58: SAs that go by the ten thousand are given back as they go, and new ones are not refused for it") {
    constexpr std::uint32_t kMany = 25000;
    test::Gateway gw;
    Reclaimer& reclaimer = gw.tables().reclaimer;
    reclaimer.join(WorkerId{0});
    for (std::uint32_t id = 1; id <= kMany; ++id) REQUIRE(gw.backend().install(test::make_child({.id = id})));
    const bool turns = GENERATE(true, false);  // or the worker hangs while they go
    std::size_t most = 0;
    for (std::uint32_t id = 1; id <= kMany; ++id) {
        if (turns) reclaimer.quiescent(WorkerId{0});
        REQUIRE(gw.backend().remove(ChildSaId{id}));
        most = std::max(most, reclaimer.pending());
    }
    if (turns) {
        CHECK(most < 1000);
    } else {
        CHECK(most > Reclaimer::kLimit);
        CHECK(gw.backend().install(test::make_child()).error().code == ErrorCode::exhausted);
        CHECK(gw.backend().reserve(Spi{0x9000}).error().code == ErrorCode::exhausted);
        reclaimer.quiescent(WorkerId{0});
    }
    CHECK(gw.backend().reserve(Spi{0x9000}));
    CHECK(gw.backend().install(test::make_child()));
    reclaimer.leave(WorkerId{0});
}

TEST_CASE("a hold is bounded in keys, packets and time, and keeps the order") {
    Hold hold({.keys = 2, .packets_per_key = 3, .patience = 100});
    rte_mbuf m[8]{};
    const HoldKey a{.value = 1};
    const HoldKey b{.value = 2};
    const HoldKey c{.value = 3};
    CHECK(hold.put(a, &m[0], 10) == Hold::Put::first);
    CHECK(hold.put(b, &m[1], 20) == Hold::Put::first);
    CHECK(hold.put(c, &m[2], 20) == Hold::Put::full);
    CHECK(hold.put(a, &m[3], 20) == Hold::Put::more);
    CHECK(hold.put(a, &m[4], 20) == Hold::Put::more);
    CHECK(hold.put(a, &m[5], 20) == Hold::Put::full);
    CHECK(hold.held() == 4);
    CHECK(hold.take(a) == std::vector<rte_mbuf*>{&m[0], &m[3], &m[4]});
    CHECK(hold.take(a).empty());
    CHECK(hold.take_expired(120).empty());
    CHECK(hold.take_expired(121) == std::vector<rte_mbuf*>{&m[1]});
    CHECK(hold.held() == 0);
}

TEST_CASE("routes: metrics, gateways, on-link, blackholes, our own addresses and broadcasts") {
    test::Gateway gw;
    HostView view = test::host_view();
    view.routes.push_back(
        {*net::Prefix::parse("10.2.0.0/16"), *net::IpAddress::parse("10.1.0.99"), test::kLan, 50, false});
    gw.tables().set_host_view(view);
    const Fib& fib = *gw.tables().fib.load();
    const auto find = [&](const char* text) -> const NextHop& {
        const auto a = *net::IpAddress::parse(text);
        return a.is_v4() ? fib.find_v4(a.bytes().data()) : fib.find_v6(a.bytes().data());
    };
    CHECK(find("10.2.3.4").kind == HopKind::gateway);
    CHECK(find("10.2.3.4").port == test::kWan);  // metric 0 before 50
    CHECK(find("10.1.0.7").kind == HopKind::on_link);
    CHECK(find("10.1.0.1").kind == HopKind::local);
    CHECK(find("10.1.0.255").kind == HopKind::local);
    CHECK(find("203.0.113.9").kind == HopKind::blackhole);
    CHECK(find("172.16.0.1").kind == HopKind::none);
    CHECK(find("224.0.0.5").kind == HopKind::local);
    CHECK(find("fd01::1").kind == HopKind::local);
    CHECK(find("fd01::2").kind == HopKind::on_link);
    CHECK(find("fd02::2").kind == HopKind::gateway);
    CHECK(find("fe80::1").kind == HopKind::local);
    CHECK(find("ff02::1").kind == HopKind::local);
    CHECK(find("2001:db9::1").kind == HopKind::none);
    CHECK(fib.source_address(test::kLan, net::Family::v6).to_string() == "fd01::1");
}
