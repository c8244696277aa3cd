// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <catch2/catch.hpp>
#include <functional>

#include "lib/net/wire.hpp"
#include "tests/unit/dataplane/gateway.hpp"

// {packet in -> one drop for this reason and nothing out}.
namespace sluice::test {

using dataplane::Drop;

inline const Ip kOut{.source = "10.1.0.10", .destination = "10.2.0.20"};
inline const Ip kIn{.source = "10.2.0.20", .destination = "10.1.0.10"};

inline ByteVec lan_frame(const Ip& ip, std::size_t size = 64) {
    return ethernet(kLanMac, kAliceMac, udp_packet(ip, 1000, 2000, size));
}
inline ByteVec wan_frame(const Ip& ip, std::size_t size = 64) {
    return ethernet(kWanMac, kPeerMac, udp_packet(ip, 1000, 2000, size));
}

// A gateway with the policy, one SA, and its peer.
struct Bench {
    explicit Bench(const Shape& shape = {}, const ChildOptions& options = {}) : gw(shape), child(make_child(options)) {
        REQUIRE(gw.backend().set_policies(make_spd()));
        REQUIRE(gw.backend().install(child));
    }
    void reinstall() {
        REQUIRE(gw.backend().remove(child.id));
        REQUIRE(gw.backend().install(child));
    }
    Gateway gw;
    ipsec::ChildSa child;
    Peer peer{child};
};

struct Fixture {
    Drop reason;
    const char* what;
    std::function<void(Bench&)> run;
    Shape shape = {};
    ChildOptions options = {};
};

inline void protect_port_80(Bench& b) {
    ipsec::Spd spd = make_spd();
    for (ipsec::TrafficSelectors* list : {&spd.policies[0].local, &spd.policies[0].remote}) {
        for (ipsec::TrafficSelector& s : *list) {
            s.protocol = net::kProtocolTcp;
            s.start_port = s.end_port = 80;
        }
    }
    REQUIRE(b.gw.backend().set_policies(spd));
}

inline void run_fixture(const Fixture& f) {
    CAPTURE(f.what);
    CAPTURE(dataplane::kDropInfo[static_cast<std::size_t>(f.reason)].name);
    Bench b(f.shape, f.options);
    const unsigned before = b.gw.in_use();
    f.run(b);
    CHECK(b.gw.drops(f.reason) == 1);
    CHECK(b.gw.all_drops() == 1);
    CHECK(b.gw.take_port(kLan).empty());
    CHECK(b.gw.take_port(kWan).empty());
    CHECK(b.gw.take_host(kLan).empty());
    CHECK(b.gw.take_host(kWan).empty());
    if (f.reason != Drop::spi_hold_full && f.reason != Drop::neighbour_missing) CHECK(b.gw.in_use() == before);
}

}  // namespace sluice::test
