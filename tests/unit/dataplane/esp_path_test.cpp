// SPDX-License-Identifier: Apache-2.0
// ESP through the worker's own functions, against the reference codec over OpenSSL.
#include <catch2/catch.hpp>

#include "tests/unit/dataplane/gateway.hpp"

using namespace sluice;
using namespace sluice::test;
using dataplane::Drop;

namespace {

Ip lan_to_far(bool v6) {
    if (v6) return {.source = "fd01::10", .destination = "fd02::20"};
    return {.source = "10.1.0.10", .destination = "10.2.0.20"};
}
Ip far_to_lan(bool v6) {
    if (v6) return {.source = "fd02::20", .destination = "fd01::10"};
    return {.source = "10.2.0.20", .destination = "10.1.0.10"};
}

// What a router leaves of a packet: one hop less.
ByteVec hop_less(Ip ip, std::size_t size) {
    ip.ttl = static_cast<std::uint8_t>(ip.ttl - 1);
    return udp_packet(ip, 1000, 2000, size);
}

void both_ways(const ChildOptions& options, bool inner_v6, std::size_t size) {
    Gateway gw;
    const ipsec::ChildSa child = make_child(options);
    REQUIRE(gw.backend().set_policies(make_spd()));
    REQUIRE(gw.backend().install(child));
    Peer peer(child);

    const ByteVec out = udp_packet(lan_to_far(inner_v6), 1000, 2000, size);
    gw.from_port(kLan, ethernet(kLanMac, kAliceMac, out));
    const auto sealed = gw.take_port(kWan);
    REQUIRE(sealed.size() == 1);
    const auto opened = peer.open(sealed[0], 1);
    REQUIRE(opened.has_value());
    CHECK(*opened == hop_less(lan_to_far(inner_v6), size));

    const ByteVec in = udp_packet(far_to_lan(inner_v6), 2000, 1000, size);
    gw.from_port(kWan, peer.seal(in));
    const auto delivered = gw.take_port(kLan);
    REQUIRE(delivered.size() == 1);
    Ip expected = far_to_lan(inner_v6);
    expected.ttl = 63;
    CHECK(ip_of(delivered[0]) == udp_packet(expected, 2000, 1000, size));
    CHECK(gw.all_drops() == 0);
}

}  // namespace

TEST_CASE("every suite, family, encapsulation and ESN: sealed here, opened by the reference, and back") {
    for (const Suite& suite : all_suites()) {
        for (unsigned bits = 0; bits < 16; ++bits) {
            const ChildOptions options{
                .suite = suite, .outer_v6 = (bits & 1) != 0, .encap = (bits & 2) != 0, .esn = (bits & 4) != 0};
            const bool inner_v6 = (bits & 8) != 0;
            CAPTURE(suite.name, options.outer_v6, options.encap, options.esn, inner_v6);
            for (const std::size_t size : {0U, 1U, 13U, 64U, 500U, 1300U}) {
                CAPTURE(size);
                both_ways(options, inner_v6, size);
            }
        }
    }
}
