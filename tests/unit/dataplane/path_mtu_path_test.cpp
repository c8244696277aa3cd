// SPDX-License-Identifier: Apache-2.0
// TRAPS 40: a path's MTU is learned from ICMP about ESP of ours, kept per SA, told to inner sources, and forgotten.
#include <catch2/catch.hpp>

#include "lib/net/packet.hpp"
#include "tests/unit/dataplane/drop_fixture.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

struct PathBench : Bench {
    explicit PathBench(const ChildOptions& options = {}, const Shape& shape = {})
        : Bench(shape, options), v6(options.outer_v6) {}

    // A frame of ours as it is on the wire, 1400 bytes of payload inside.
    ByteVec sealed(std::size_t payload = 1300, bool dont_fragment = true) {
        Ip ip = kOut;
        ip.dont_fragment = dont_fragment;
        gw.from_port(kLan, lan_frame(ip, payload));
        const auto out = gw.take_port(kWan);
        return out.empty() ? ByteVec{} : ip_of(out[0]);
    }
    ByteVec too_big(const ByteVec& about, std::uint32_t mtu, std::size_t quoted = 0) const {
        return v6 ? icmp_error({.source = "2001:db8:5::1", .type = 2, .code = 0, .rest = mtu, .quoted = quoted}, about)
                  : icmp_error({.source = "203.0.113.5", .rest = mtu, .quoted = quoted}, about);
    }
    void tell(const ByteVec& error) {
        gw.from_port(kWan, ethernet(kWanMac, kPeerMac, error));
        gw.backend().poll_events();
        gw.settle();
    }
    // What an inner source of a full packet is told; 0: nothing, since it left.
    std::uint32_t told() {
        gw.take_port(kLan);
        if (!sealed(1380).empty()) return 0;
        const auto out = gw.take_port(kLan);
        REQUIRE(out.size() == 1);
        const ByteVec error = ip_of(out[0]);
        const net::Packet p = net::parse_packet(error);
        REQUIRE(p.ok());
        CHECK(net::destination_address(p, error).to_string() == kOut.source);
        return net::load<net::IcmpHeader>(Bytes(error).subspan(p.header_size)).rest.host() & 0xffff;
    }
    bool v6;
};

}  // namespace

TEST_CASE("TRAPS 40: too big about our ESP narrows the SA's path, and the next inner packet is told what fits") {
    for (unsigned bits = 0; bits < 4; ++bits) {
        const ChildOptions options{.outer_v6 = (bits & 1) != 0, .encap = (bits & 2) != 0};
        CAPTURE(options.outer_v6, options.encap);
        PathBench b(options);
        CHECK(b.told() == 0);
        b.tell(b.too_big(b.sealed(), 1350));
        CHECK(b.gw.counter(&dataplane::WorkerCounters::path_mtu_reports) == 1);
        CHECK(b.gw.take_host(kWan).size() == 1);  // the kernel hears it as well, for IKE's sake
        const std::uint32_t inner = b.told();
        CHECK(inner > 1350 - 100);
        CHECK(inner < 1350 - 40);
        const ByteVec fits = b.sealed(inner - 28);
        REQUIRE_FALSE(fits.empty());
        CHECK(fits.size() <= 1350);
        CHECK(fits.size() > 1350 - 4);
        CHECK(b.sealed(inner - 28 + 1).empty());
        CHECK(b.gw.backend().path_mtus() == 1);
    }
}

TEST_CASE("TRAPS 40: never below the least, never wider again by a report, and forgotten in time") {
    for (const bool v6 : {false, true}) {
        PathBench b({.outer_v6 = v6});
        const ByteVec ours = b.sealed();
        b.tell(b.too_big(ours, v6 ? 1279 : 68));
        const std::uint32_t least = b.told();
        if (v6) {
            CHECK(least == 0);  // RFC 8201 4: no report
            b.tell(b.too_big(ours, 1280));
            CHECK(b.told() == 1280 - 40 - 8 - 8 - 16 - 2);
        } else {
            CHECK(least == 576 - 20 - 8 - 8 - 16 - 2);
        }
        const std::uint32_t narrow = b.told();
        b.tell(b.too_big(ours, 1360));
        CHECK(b.told() == narrow);
        b.gw.advance_seconds(599);
        b.gw.backend().age_path_mtus(b.gw.now());
        b.gw.settle();
        CHECK(b.told() == narrow);
        b.gw.advance_seconds(2);
        b.gw.backend().age_path_mtus(b.gw.now());
        b.gw.settle();
        CHECK(b.told() == 0);
        CHECK(b.gw.backend().path_mtus() == 0);
    }
}

TEST_CASE("TRAPS 40: a report counts only about ESP that an SA here can have sent, whole as far as it goes") {
    PathBench b;
    const ByteVec ours = b.sealed();
    const auto changed = [&](std::size_t at, Byte bits) {
        ByteVec other = ours;
        other[at] ^= bits;
        net::set_ipv4_checksum(MutBytes(other).first(20));
        return b.too_big(other, 1300);
    };
    ByteVec bent = b.too_big(ours, 1300);
    bent.back() ^= 1;
    ByteVec unreachable = icmp_error({.source = "203.0.113.5", .code = 1, .rest = 1300}, ours);
    ByteVec encapsulated = ours;
    encapsulated[9] = net::kProtocolUdp;
    net::set_ipv4_checksum(MutBytes(encapsulated).first(20));
    for (const ByteVec& error : {changed(23, 1),                                            // SPI
                                 changed(19, 4),                                            // destination
                                 changed(9, 4),                                             // protocol
                                 bent, unreachable, b.too_big(ours, 1300, 23),              // no whole SPI
                                 b.too_big(ours, static_cast<std::uint32_t>(ours.size())),  // it would have fitted
                                 b.too_big(encapsulated, 1300)}) {
        b.tell(error);
        CHECK(b.gw.backend().path_mtus() == 0);
    }
    b.tell(b.too_big(ours, 1300, 28));
    CHECK(b.gw.backend().path_mtus() == 1);
    REQUIRE(b.gw.backend().remove(b.child.id));
    CHECK(b.gw.backend().path_mtus() == 0);
}

TEST_CASE("TRAPS 40: a peer that has moved has another path") {
    PathBench b({.encap = true});
    b.tell(b.too_big(b.sealed(), 1300));
    CHECK(b.told() != 0);
    net::Endpoint remote = b.child.remote;
    remote.port = 4501;
    REQUIRE(b.gw.backend().update_endpoints(b.child.id, b.child.local, remote, true));
    b.gw.settle();
    CHECK(b.told() != 0);
    remote.address = *net::IpAddress::parse("192.0.2.77");
    REQUIRE(b.gw.tables().neighbours.set({remote.address, kPeerMac, kWan}));
    REQUIRE(b.gw.backend().update_endpoints(b.child.id, b.child.local, remote, true));
    b.gw.settle();
    CHECK(b.told() == 0);
    CHECK(b.gw.backend().path_mtus() == 0);
}

TEST_CASE("TRAPS 40: forged reports are rate-limited, and an age of zero turns them off") {
    PathBench b;
    const ByteVec error = b.too_big(b.sealed(), 1300);
    for (int i = 0; i < 200; ++i) b.gw.from_port(kWan, ethernet(kWanMac, kPeerMac, error));
    CHECK(b.gw.counter(&dataplane::WorkerCounters::path_mtu_reports) <= 21);
    Shape shape;
    shape.path_mtu_age = Duration{};
    PathBench off({}, shape);
    off.tell(off.too_big(off.sealed(), 1300));
    CHECK(off.gw.backend().path_mtus() == 0);
    CHECK(off.gw.counter(&dataplane::WorkerCounters::path_mtu_reports) == 0);
}

TEST_CASE("TRAPS 40: what may be cut is cut to the narrow path, and a SYN is clamped to it") {
    for (const bool v6 : {false, true}) {
        PathBench b({.outer_v6 = v6});
        b.child.rules.mss_clamp = ipsec::kByPathMtu;
        b.reinstall();
        b.tell(b.too_big(b.sealed(), 1300));
        Ip ip = kOut;
        b.gw.from_port(kLan, lan_frame(ip, 1372));
        const auto out = b.gw.take_port(kWan);
        REQUIRE(out.size() == 2);
        for (const ByteVec& f : out) CHECK(f.size() <= 1300 + 14);
        b.gw.from_port(kLan, ethernet(kLanMac, kAliceMac, tcp_syn(kOut, 1460)));
        REQUIRE(b.gw.take_port(kWan).size() == 1);
        b.gw.from_port(kWan, b.peer.seal(tcp_syn(kIn, 1460)));
        const auto in = b.gw.take_port(kLan);
        REQUIRE(in.size() == 1);
        const auto mss = net::load<Be16>(Bytes(in[0]).subspan(14 + 42)).host();
        CHECK(mss <= 1300 - 40 - (v6 ? 40 : 20));
        CHECK(b.gw.counter(&dataplane::WorkerCounters::mss_clamped) == 2);
    }
}
