// SPDX-License-Identifier: Apache-2.0
#include "lib/net/tunnel.hpp"

#include <catch2/catch.hpp>

#include "lib/net/packet.hpp"

using namespace sluice;
using namespace sluice::net;

TEST_CASE("TRAPS 39: RFC 6040 figure 4, every cell") {
    struct Row {
        Ecn inner;
        std::optional<Ecn> by_outer[4];  // Not-ECT, ECT(0), ECT(1), CE, as the figure has its columns
    };
    constexpr Ecn kColumns[] = {Ecn::not_ect, Ecn::ect0, Ecn::ect1, Ecn::ce};
    const Row rows[] = {
        {Ecn::not_ect, {Ecn::not_ect, Ecn::not_ect, Ecn::not_ect, std::nullopt}},
        {Ecn::ect0, {Ecn::ect0, Ecn::ect0, Ecn::ect1, Ecn::ce}},
        {Ecn::ect1, {Ecn::ect1, Ecn::ect1, Ecn::ect1, Ecn::ce}},
        {Ecn::ce, {Ecn::ce, Ecn::ce, Ecn::ce, Ecn::ce}},
    };
    for (const Row& row : rows) {
        for (int column = 0; column < 4; ++column) {
            INFO("inner " << static_cast<int>(row.inner) << " outer " << static_cast<int>(kColumns[column]));
            CHECK(decapsulated_ecn(row.inner, kColumns[column]) == row.by_outer[column]);
        }
    }
    // The code points as they lie in the byte (RFC 3168 5): ECT(1) is 01, ECT(0) is 10.
    CHECK(ecn_of(0xb9) == Ecn::ect1);
    CHECK(ecn_of(0xba) == Ecn::ect0);
}

TEST_CASE("TRAPS 39: outer TOS copies ECN in normal mode and DSCP by policy") {
    for (unsigned tos = 0; tos < 256; ++tos) {
        const auto inner = static_cast<std::uint8_t>(tos);
        CHECK(outer_tos(inner, {}) == inner);
        CHECK(outer_tos(inner, {.ecn_out = false}) == (inner & 0xfc));
        CHECK(outer_tos(inner, {.dscp_out = false}) == (inner & 0x03));
        CHECK(outer_tos(inner, {.dscp_out = false, .ecn_out = false}) == 0);
    }
}

TEST_CASE("TRAPS 39: the outer DSCP does not come in unless the policy says so, and illegal CE is dropped") {
    CHECK(inner_tos(0x28, 0xb8, {}) == 0x28);
    CHECK(inner_tos(0x28, 0xb8, {.dscp_in = true}) == 0xb8);
    CHECK(inner_tos(0x2a, 0xbb, {}) == 0x2b);
    CHECK(inner_tos(0x2a, 0xbb, {.dscp_in = true}) == 0xbb);
    CHECK_FALSE(inner_tos(0x28, 0xbb, {}));
    CHECK_FALSE(inner_tos(0x28, 0xbb, {.dscp_in = true}));
}

TEST_CASE("TRAPS 39: DF is copied, set or cleared") {
    CHECK(outer_df(true, OuterDf::copy));
    CHECK_FALSE(outer_df(false, OuterDf::copy));
    CHECK(outer_df(false, OuterDf::set));
    CHECK_FALSE(outer_df(true, OuterDf::clear));
}

TEST_CASE("TRAPS 39: the TTL goes down by one, once, and the checksum with it; at 1 it does not move") {
    ByteVec packet = *from_hex("4500001c1c464000ff1100ffac100a63ac100a0c0000000000000000");
    set_ipv4_checksum(MutBytes(packet).first(20));
    for (int ttl = 255; ttl > 1; --ttl) {
        REQUIRE(packet[8] == ttl);
        REQUIRE(decrement_ipv4_ttl(packet));
        REQUIRE(parse_packet(packet).ok());
    }
    const ByteVec at_one = packet;
    CHECK_FALSE(decrement_ipv4_ttl(packet));
    CHECK(packet == at_one);
    packet[8] = 0;
    CHECK_FALSE(decrement_ipv4_ttl(packet));

    ByteVec v6(40);
    v6[0] = 0x60, v6[7] = 2;
    CHECK(decrement_ipv6_hop_limit(v6));
    CHECK(v6[7] == 1);
    CHECK_FALSE(decrement_ipv6_hop_limit(v6));
    CHECK(v6[7] == 1);
}

TEST_CASE("Setting TOS or traffic class changes nothing else, and the checksum stays right") {
    ByteVec v4 = *from_hex("4500001c1c464000ff1100ffac100a63ac100a0c0000000000000000");
    set_ipv4_checksum(MutBytes(v4).first(20));
    for (unsigned tos = 0; tos < 256; ++tos) {
        set_ipv4_tos(v4, static_cast<std::uint8_t>(tos));
        const Packet p = parse_packet(v4);
        REQUIRE(p.ok());
        REQUIRE(p.tos == tos);
    }
    ByteVec v6(40);
    store(MutBytes(v6), Ipv6Header::make_first_word(0x12, 0xabcde));
    set_ipv6_traffic_class(v6, 0xfe);
    CHECK(to_hex(Bytes(v6).first(4)) == "6feabcde");
}

TEST_CASE("An outer IPv4 header is completed from its template in place") {
    Ipv4Header from{};
    from.version_ihl = 0x45;
    from.ttl = kOuterTtl;
    from.protocol = kProtocolEsp;
    from.source = {192, 0, 2, 1};
    from.destination = {198, 51, 100, 7};
    Byte bytes[20];
    store(MutBytes(bytes), from);
    ChecksumSum sum;
    sum.add(Bytes(bytes));
    write_ipv4_variable(bytes, sum.folded(), {.total_size = 0x1234, .tos = 0xb9, .dont_fragment = true, .id = 0xabcd});
    CHECK(to_hex(Bytes(bytes).first(10)) == "45b91234abcd40004032");
    CHECK(to_hex(Bytes(bytes).subspan(12)) == "c0000201c6336407");
    CHECK(ipv4_checksum_ok(bytes));
    for (std::uint32_t i = 0; i < 65536; ++i) {  // every carry
        const auto id = static_cast<std::uint16_t>(i * 40503);
        write_ipv4_variable(bytes, sum.folded(), {.total_size = i, .tos = static_cast<std::uint8_t>(i >> 3), .id = id});
        REQUIRE(ipv4_checksum_ok(bytes));
    }
    CHECK_FALSE(load<Ipv4Header>(bytes).dont_fragment());
}
