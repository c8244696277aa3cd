// SPDX-License-Identifier: Apache-2.0
// TRAPS 45: chains, jumbo frames, and buffers that somebody else still reads.
#include <rte_mbuf.h>
#include <catch2/catch.hpp>

#include "tests/unit/dataplane/drop_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

const Shape kJumbo{.wan_mtu = 9000, .lan_mtu = 9000};

ByteVec hop_less(Ip ip, std::size_t size) {
    ip.ttl = 63;
    return udp_packet(ip, 1000, 2000, size);
}

}  // namespace

TEST_CASE("TRAPS 45: a jumbo frame in a chain of small buffers is sealed, and opened, as one packet") {
    for (const std::size_t size : {1000U, 1999U, 2000U, 2100U, 4000U, 8800U, 8900U}) {
        CAPTURE(size);
        Bench b(kJumbo);
        const ByteVec frame = lan_frame(kOut, size);
        b.gw.from_port_chained(kLan, frame, static_cast<unsigned>(frame.size() / 2000 + 1));
        const auto out = b.gw.take_port(kWan);
        REQUIRE(out.size() == 1);
        CHECK(b.peer.open(out[0], 1) == hop_less(kOut, size));

        const ByteVec in = b.peer.seal(udp_packet(kIn, 1000, 2000, size));
        b.gw.from_port_chained(kWan, in, static_cast<unsigned>(in.size() / 2000 + 1));
        const auto delivered = b.gw.take_port(kLan);
        REQUIRE(delivered.size() == 1);
        CHECK(ip_of(delivered[0]) == hop_less(kIn, size));
        CHECK(b.gw.all_drops() == 0);
    }
}

TEST_CASE("TRAPS 45: an ESP packet that came in fragments may be longer than a buffer") {
    Bench b;
    const ByteVec esp = ip_of(b.peer.seal(udp_packet(kIn, 1000, 2000, 8000)));
    for (const ByteVec& piece : fragments_of(esp, 1480)) b.gw.from_port(kWan, ethernet(kWanMac, kPeerMac, piece));
    const auto out = b.gw.take_port(kLan);
    CHECK(out.size() == 6);  // 8028 bytes for a port of 1500
    CHECK(b.gw.counter(&dataplane::WorkerCounters::esp_in_packets) == 1);
    CHECK(b.gw.all_drops() == 0);
}

TEST_CASE("TRAPS 45: data that another buffer shares is copied before it is changed in place") {
    for (const bool counted : {false, true}) {
        CAPTURE(counted);
        Bench b;
        const unsigned before = b.gw.in_use();
        const ByteVec frame = lan_frame(kOut, 700);
        rte_mbuf* const original = b.gw.make(frame);
        rte_mbuf* sent = original;
        if (counted) {
            rte_mbuf_refcnt_update(original, 1);  // the reader holds the same mbuf
        } else {
            sent = rte_pktmbuf_clone(original, &b.gw.pool());
        }
        REQUIRE(sent != nullptr);
        b.gw.from_port(kLan, sent);
        const auto out = b.gw.take_port(kWan);
        REQUIRE(out.size() == 1);
        CHECK(b.peer.open(out[0], 1) == hop_less(kOut, 700));
        const Bytes kept{rte_pktmbuf_mtod(original, const Byte*), original->data_len};
        CHECK(to_vec(kept) == frame);
        rte_pktmbuf_free(original);
        CHECK(b.gw.in_use() == before);
    }
}

TEST_CASE("TRAPS 45: a chain of segments that somebody shares is copied as well") {
    Bench b;
    const ByteVec frame = lan_frame(kOut, 1400);
    rte_mbuf* const original = b.gw.make(frame, 3);
    rte_mbuf* const clone = rte_pktmbuf_clone(original, &b.gw.pool());
    REQUIRE(clone != nullptr);
    b.gw.from_port(kLan, clone);
    const auto out = b.gw.take_port(kWan);
    REQUIRE(out.size() == 1);
    CHECK(b.peer.open(out[0], 1) == hop_less(kOut, 1400));
    ByteVec kept;
    for (rte_mbuf* s = original; s != nullptr; s = s->next)
        kept.insert(kept.end(), dataplane::data(s), dataplane::data(s) + s->data_len);
    CHECK(kept == frame);
    rte_pktmbuf_free(original);
}
