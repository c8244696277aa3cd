// SPDX-License-Identifier: Apache-2.0
// Fixtures {packet in -> this drop reason and nothing out}, one or more for every reason that there is.
#include <catch2/catch.hpp>
#include <functional>
#include <set>

#include "lib/net/wire.hpp"
#include "tests/unit/dataplane/drop_fixture.hpp"

using namespace sluice;
using namespace sluice::test;
using dataplane::Drop;

namespace {

const Ip kIn6{.source = "fd02::20", .destination = "fd01::10"};

ByteVec fragment_frame(std::uint16_t field, const char* destination = "192.0.2.1") {
    const ByteVec piece(64, 0x55);
    return ethernet(kWanMac, kPeerMac,
                    ip_packet({.source = "192.0.2.2", .destination = destination, .fragment_field = field}, 50, piece));
}

std::vector<Fixture> header_fixtures() {
    return {
        {Drop::malformed, "a runt", [](Bench& b) { b.gw.from_port(kWan, ByteVec(10, 1)); }},
        {Drop::malformed, "an IPv4 header cut short",
         [](Bench& b) {
             b.gw.from_port(kLan, ethernet(kLanMac, kAliceMac, 0x0800, ByteVec{0x45, 0, 0, 20}));
         }},
        {Drop::malformed, "total length beyond the frame",
         [](Bench& b) {
             ByteVec f = lan_frame(kOut);
             f.resize(f.size() - 1);
             b.gw.from_port(kLan, f);
         }},
        {Drop::malformed, "IPv6 under IPv4's ether type",
         [](Bench& b) {
             b.gw.from_port(kLan, ethernet(kLanMac, kAliceMac, 0x0800,
                                           udp_packet({.source = "fd01::10", .destination = "fd02::1"}, 1, 2, 3)));
         }},
        {Drop::foreign_mac, "a frame for another",
         [](Bench& b) { b.gw.from_port(kLan, ethernet(kPeerMac, kAliceMac, udp_packet(kOut, 1, 2, 3))); }},
        {Drop::ip_checksum, "one bit of the header checksum",
         [](Bench& b) {
             ByteVec f = lan_frame(kOut);
             f[14 + 10] ^= 1;
             b.gw.from_port(kLan, f);
         }},
        {Drop::ttl, "TTL 1 towards the tunnel",
         [](Bench& b) {
             Ip ip = kOut;
             ip.ttl = 1;
             b.gw.from_port(kLan, lan_frame(ip));
             CHECK(b.gw.take_port(kLan).size() == 1);  // time exceeded
         }},
        {Drop::no_route, "no route",
         [](Bench& b) {
             b.gw.from_port(kLan, lan_frame({.source = "10.1.0.10", .destination = "172.16.0.1"}));
             CHECK(b.gw.take_port(kLan).size() == 1);
         }},
        {Drop::blackhole, "a blackhole route",
         [](Bench& b) {
             b.gw.from_port(kLan, lan_frame({.source = "10.1.0.10", .destination = "203.0.113.1"}));
             CHECK(b.gw.take_port(kLan).size() == 1);
         }},
        {Drop::too_big, "DF and larger than what the tunnel leaves",
         [](Bench& b) {
             Ip ip = kOut;
             ip.dont_fragment = true;
             b.gw.from_port(kLan, lan_frame(ip, 1450));
             CHECK(b.gw.take_port(kLan).size() == 1);
         }},
        {Drop::fragment, "a port that is too narrow for any fragment",
         [](Bench& b) { b.gw.from_port(kLan, lan_frame({.source = "10.1.0.10", .destination = "198.51.100.7"})); },
         Shape{.wan_mtu = 27}},
        {Drop::reassembly, "a fragment whose others never come",
         [](Bench& b) {
             b.gw.from_port(kWan, fragment_frame(0x2000));
             CHECK(b.gw.all_drops() == 0);
             b.gw.advance_seconds(6);
             b.gw.settle();
         }},
        {Drop::no_room, "a chain that does not fit one buffer",
         [](Bench& b) { b.gw.from_port_chained(kLan, lan_frame(kOut, 3000), 2); }, Shape{.large_buffers = false}},
    };
}

ByteVec later_fragment(const net::MacAddress& to, Ip ip) {
    ip.fragment_field = 0x0040;
    return ethernet(to, kAliceMac, ip_packet(ip, net::kProtocolTcp, ByteVec(64, 0x55)));
}

std::vector<Fixture> policy_fixtures() {
    return {
        {Drop::clear_in_protected, "TRAPS 43: to be forwarded, in clear, from protected addresses",
         [](Bench& b) { b.gw.from_port(kWan, wan_frame(kIn)); }},
        {Drop::clear_in_protected, "TRAPS 43: to ourselves",
         [](Bench& b) { b.gw.from_port(kWan, wan_frame({.source = "10.2.0.20", .destination = "10.1.0.1"})); }},
        {Drop::policy_discard, "a discard policy",
         [](Bench& b) {
             ipsec::Spd spd = make_spd();
             spd.policies[0].action = ipsec::PolicyAction::discard;
             REQUIRE(b.gw.backend().set_policies(spd));
             b.gw.from_port(kLan, lan_frame(kOut));
         }},
        {Drop::policy_discard, "the default action",
         [](Bench& b) {
             ipsec::Spd spd = make_spd();
             spd.default_action = ipsec::PolicyAction::discard;
             REQUIRE(b.gw.backend().set_policies(spd));
             b.gw.from_port(kLan, lan_frame({.source = "10.1.0.10", .destination = "198.51.100.7"}));
         }},
        {Drop::no_sa, "TRAPS 54: a protect policy without an SA",
         [](Bench& b) {
             REQUIRE(b.gw.backend().remove(b.child.id));
             b.gw.from_port(kLan, lan_frame(kOut));
         }},
        {Drop::no_sa, "TRAPS 54: an SA without a policy that may not send yet",
         [](Bench& b) {
             ipsec::Spd spd = make_spd();
             spd.policies.clear();
             REQUIRE(b.gw.backend().set_policies(spd));
             b.child.policy = PolicyId{};
             b.child.outbound_ready = false;
             b.reinstall();
             b.gw.from_port(kLan, lan_frame(kOut));
         }},
        {Drop::selector_mismatch, "the SA was narrowed",
         [](Bench& b) {
             b.child.remote_ts = {{.range = net::AddressRange::of(*net::Prefix::parse("10.2.9.0/24"))}};
             b.reinstall();
             b.gw.from_port(kLan, lan_frame(kOut));
         }},
        {Drop::ports_unseen, "TRAPS 41: a later fragment, where only one port is protected, outbound",
         [](Bench& b) {
             protect_port_80(b);
             b.gw.from_port(kLan, later_fragment(kLanMac, kOut));
         }},
        {Drop::ports_unseen, "TRAPS 41: the same inbound",
         [](Bench& b) {
             protect_port_80(b);
             b.gw.from_port(kWan, later_fragment(kWanMac, kIn));
         }},
        {Drop::ports_unseen, "TRAPS 41: the same inbound, to ourselves",
         [](Bench& b) {
             protect_port_80(b);
             b.gw.from_port(kWan, later_fragment(kWanMac, {.source = "10.2.0.20", .destination = "10.1.0.1"}));
         }},
    };
}

// From 192.0.2.1, which is ours, to 192.0.2.2, with a policy of its own.
void make_transport(Bench& b) {
    const auto host = [](const net::Endpoint& end) {
        return ipsec::TrafficSelectors{{.range = net::AddressRange::of(net::Prefix::host(end.address))}};
    };
    b.child.mode = ipsec::Mode::transport;
    b.child.policy = PolicyId{};
    b.child.local_ts = host(b.child.local);
    b.child.remote_ts = host(b.child.remote);
    b.reinstall();
}

std::vector<Fixture> sa_fixtures() {
    return {
        {Drop::transport_routed, "RFC 4301 4.1: somebody sends from our address, through us",
         [](Bench& b) {
             make_transport(b);
             b.gw.from_port(kLan, lan_frame({.source = "192.0.2.1", .destination = "192.0.2.2"}));
         }},
        {Drop::inner_malformed, "RFC 4303 3.3.4: a fragment inside transport mode",
         [](Bench& b) {
             ByteVec fragment = {17, 0, 0, 1, 0, 0, 0, 7};
             fragment.resize(64, 0x55);
             b.child.local = {*net::IpAddress::parse("2001:db8::1"), 4500};
             b.child.remote = {*net::IpAddress::parse("2001:db8::2"), 4500};
             make_transport(b);
             b.gw.from_port(kWan, b.peer.seal(fragment, 0, net::kProtocolFragment));
         }},
        {Drop::not_responsible, "another node's segment, outbound",
         [](Bench& b) {
             b.gw.tables().segments.give(SegmentId{1}, NodeId{7});
             b.gw.from_port(kLan, lan_frame(kOut));
         }},
        {Drop::not_responsible, "another node's segment, inbound",
         [](Bench& b) {
             b.gw.tables().segments.give(SegmentId{1}, NodeId{7});
             b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 3)));
         }},
        {Drop::seq_overflow, "TRAPS 35: no number left",
         [](Bench& b) {
             b.gw.outbound(b.child).sequence = esp::OutboundSequence(false, Seq{0xffffffff});
             b.gw.from_port(kLan, lan_frame(kOut));
         }},
        {Drop::iv_exhausted, "TRAPS 35: no IV left",
         [](Bench& b) {
             b.gw.outbound(b.child).ivs = esp::IvRange(esp::kIvHardLimit, esp::kIvHardLimit);
             b.gw.from_port(kLan, lan_frame(kOut));
         }},
        {Drop::lifetime, "TRAPS 37: hard limit reached, outbound",
         [](Bench& b) {
             b.child.lifetime.hard_packets = 1;
             b.reinstall();
             b.gw.from_port(kLan, lan_frame(kOut));
             CHECK(b.gw.take_port(kWan).size() == 1);
             b.gw.from_port(kLan, lan_frame(kOut));
         }},
        {Drop::lifetime, "TRAPS 37: hard limit reached, inbound",
         [](Bench& b) {
             b.child.lifetime.hard_bytes = 10;
             b.reinstall();
             b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 3)));
             CHECK(b.gw.take_port(kLan).size() == 1);
             b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 3)));
         }},
    };
}

// A text that verifies but is not what the trailer's rules ask for.
void send_text(Bench& b, ByteVec text) { b.gw.from_port(kWan, b.peer.seal_text(text)); }

std::vector<Fixture> esp_fixtures() {
    return {
        {Drop::keepalive, "TRAPS 24: one byte 0xFF",
         [](Bench& b) {
             ByteVec udp = {0x11, 0x94, 0x11, 0x94, 0, 9, 0, 0, 0xff};
             b.gw.from_port(kWan, ethernet(kWanMac, kPeerMac,
                                           ip_packet({.source = "192.0.2.2", .destination = "192.0.2.1"}, 17, udp)));
         }},
        {Drop::unknown_spi, "an SPI that nobody installed",
         [](Bench& b) {
             ByteVec f = b.peer.seal(udp_packet(kIn, 1, 2, 3));
             f[14 + 20] ^= 0x40;
             b.gw.from_port(kWan, f);
         }},
        {Drop::unknown_spi, "SPI 0",
         [](Bench& b) {
             b.gw.from_port(
                 kWan, ethernet(kWanMac, kPeerMac,
                                ip_packet({.source = "192.0.2.2", .destination = "192.0.2.1"}, 50, ByteVec(64, 0))));
         }},
        {Drop::endpoint_mismatch, "plain ESP for an encapsulated SA",
         [](Bench& b) {
             ipsec::ChildSa plain = b.child;
             plain.encap = false;
             b.gw.from_port(kWan, Peer(plain).seal(udp_packet(kIn, 1, 2, 3)));
         },
         Shape{}, ChildOptions{.encap = true}},
        {Drop::reassembly, "TRAPS 41: an ESP fragment with an extension header in front of the fragment header",
         [](Bench& b) {
             ByteVec chain = {net::kProtocolFragment, 0, 1, 4, 0, 0, 0, 0, 50, 0, 0, 1, 0, 0, 0, 9};
             chain.resize(chain.size() + 64, 0x55);
             b.gw.from_port(kWan,
                            ethernet(kWanMac, kPeerMac,
                                     ip_packet({.source = "2001:db8::2", .destination = "2001:db8::1"}, 60, chain)));
         }},
        {Drop::esp_malformed, "shorter than header, IV, trailer and ICV",
         [](Bench& b) {
             ByteVec esp = {0, 0, 0x10, 1, 0, 0, 0, 1};
             esp.resize(8 + 8 + 16);
             b.gw.from_port(kWan, ethernet(kWanMac, kPeerMac,
                                           ip_packet({.source = "192.0.2.2", .destination = "192.0.2.1"}, 50, esp)));
         }},
        {Drop::esp_malformed, "not whole blocks",
         [](Bench& b) {
             ByteVec esp = {0, 0, 0x10, 1, 0, 0, 0, 1};
             esp.resize(8 + 8 + 16 + 17);
             b.gw.from_port(kWan, ethernet(kWanMac, kPeerMac,
                                           ip_packet({.source = "192.0.2.2", .destination = "192.0.2.1"}, 50, esp)));
         }},
    };
}

std::vector<Fixture> replay_fixtures() {
    return {
        {Drop::replay, "TRAPS 31: the same packet again",
         [](Bench& b) {
             const ByteVec f = b.peer.seal(udp_packet(kIn, 1, 2, 3));
             b.gw.from_port(kWan, f);
             CHECK(b.gw.take_port(kLan).size() == 1);
             b.gw.from_port(kWan, f);
         }},
        {Drop::replay, "TRAPS 31: the same packet twice in one burst",
         [](Bench& b) {
             const ByteVec f = b.peer.seal(udp_packet(kIn, 1, 2, 3));
             b.gw.from_port(kWan, std::vector<ByteVec>{f, f});
             CHECK(b.gw.take_port(kLan).size() == 1);
         }},
        {Drop::replay, "TRAPS 31: a number seen before, under an ICV that nobody need look at",
         [](Bench& b) {
             ByteVec f = b.peer.seal(udp_packet(kIn, 1, 2, 3));
             b.gw.from_port(kWan, f);
             CHECK(b.gw.take_port(kLan).size() == 1);
             f.back() ^= 1;
             b.gw.from_port(kWan, f);
         }},
        {Drop::replay, "TRAPS 33: sequence number 0",
         [](Bench& b) {
             ByteVec f = b.peer.seal(udp_packet(kIn, 1, 2, 3));
             f[14 + 20 + 7] = 0;
             b.gw.from_port(kWan, f);
         }},
        {Drop::replay, "TRAPS 31: left of the window",
         [](Bench& b) {
             b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 3), 100));
             CHECK(b.gw.take_port(kLan).size() == 1);
             b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 3), 36));
         }},
    };
}

std::vector<Fixture> inner_fixtures() {
    return {
        {Drop::padding, "TRAPS 32: more padding than text", [](Bench& b) { send_text(b, ByteVec(8, 0xf0)); }},
        {Drop::padding, "TRAPS 32: padding that is not 1, 2, 3",
         [](Bench& b) {
             ByteVec text = udp_packet(kIn, 1, 2, 4);
             text.insert(text.end(), {1, 2, 3, 5, 5, 6, 6, 4});
             send_text(b, text);
         }},
        {Drop::dummy, "TRAPS 32: next header 59",
         [](Bench& b) { b.gw.from_port(kWan, b.peer.seal(ByteVec(32, 0xaa), 0, 59)); }},
        {Drop::inner_malformed, "an inner packet longer than what came",
         [](Bench& b) {
             ByteVec inner = udp_packet(kIn, 1, 2, 40);
             inner.resize(40);
             b.gw.from_port(kWan, b.peer.seal(inner, 0, 4));
         }},
        {Drop::inner_malformed, "no IP inside tunnel mode",
         [](Bench& b) { b.gw.from_port(kWan, b.peer.seal(ByteVec(40, 0x45), 0, 17)); }},
        {Drop::inner_malformed, "TRAPS 32: a whole IPv6 packet under a next header that is not IP",
         [](Bench& b) { b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn6, 1, 2, 3), 0, net::kProtocolUdp)); }},
        {Drop::inner_malformed, "TRAPS 32: a whole IPv6 packet under IPv4's next header, its flow label a length",
         [](Bench& b) {
             ByteVec inner = udp_packet(kIn6, 1, 2, 3);
             inner[3] = static_cast<Byte>(inner.size());
             b.gw.from_port(kWan, b.peer.seal(inner, 0, net::kProtocolIpv4));
         }},
        {Drop::ecn_illegal, "TRAPS 39: congestion outside, not ECN-capable inside",
         [](Bench& b) { b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 3), 0, 0, 3)); }},
        {Drop::fragment_overlap, "RFC 4301 7.2: a fragment that would overwrite TCP's flags",
         [](Bench& b) {
             Ip ip = kIn;
             ip.fragment_field = 0x0001;
             b.gw.from_port(kWan, b.peer.seal(ip_packet(ip, net::kProtocolTcp, ByteVec(64, 0x55))));
         }},
        {Drop::policy_mismatch, "X1: inner source outside the selectors",
         [](Bench& b) {
             b.gw.from_port(kWan,
                            b.peer.seal(udp_packet({.source = "10.9.0.20", .destination = "10.1.0.10"}, 1, 2, 3)));
         }},
        {Drop::policy_mismatch, "X1: inner destination outside the selectors",
         [](Bench& b) {
             b.gw.from_port(kWan,
                            b.peer.seal(udp_packet({.source = "10.2.0.20", .destination = "10.1.1.10"}, 1, 2, 3)));
         }},
    };
}

std::vector<Fixture> full_fixtures() {
    return {
        {Drop::spi_hold_full, "TRAPS 53: the seventeenth packet for an SPI that has no keys yet",
         [](Bench& b) {
             REQUIRE(b.gw.backend().remove(b.child.id));
             REQUIRE(b.gw.backend().reserve(b.child.inbound.spi));
             for (int i = 0; i < 17; ++i) b.gw.from_port(kWan, b.peer.seal(udp_packet(kIn, 1, 2, 3)));
         }},
        {Drop::hold_expired, "nobody resolved the neighbour",
         [](Bench& b) {
             b.gw.from_port(kLan, lan_frame({.source = "10.1.0.10", .destination = "192.0.2.77"}));
             CHECK(b.gw.all_drops() == 0);
             b.gw.advance_seconds(2);
             b.gw.settle();
         }},
        {Drop::neighbour_missing, "TRAPS 57: the fifth packet for a neighbour that is being resolved",
         [](Bench& b) {
             for (int i = 0; i < 5; ++i) {
                 b.gw.from_port(kLan, lan_frame({.source = "10.1.0.10", .destination = "192.0.2.77"}));
             }
         }},
        {Drop::tx_full, "nobody takes frames out",
         [](Bench& b) {
             for (int i = 0; i < 65; ++i) b.gw.from_port(kLan, lan_frame(kOut));
             CHECK(b.gw.take_port(kWan).size() == 64);
         }},
        {Drop::host_full, "the kernel takes no frames",
         [](Bench& b) {
             for (int i = 0; i < 65; ++i) {
                 b.gw.from_port(kLan, lan_frame({.source = "10.1.0.10", .destination = "10.1.0.1"}));
             }
             CHECK(b.gw.take_host(kLan).size() == 64);
         }},
    };
}

void handover_full_drops() {
    Bench b(Shape{.workers = 2});
    auto& sa = b.gw.outbound(b.child);
    sa.owner = WorkerId{1};
    for (int i = 0; i < 2100; ++i) {
        rte_mbuf* m = b.gw.make(lan_frame(kOut));
        b.gw.path(0).receive_from_port(kLan, {&m, 1});
    }
    CHECK(b.gw.drops(Drop::handover_full) == b.gw.all_drops());
    CHECK(b.gw.drops(Drop::handover_full) == 52);
}

}  // namespace

TEST_CASE("every drop reason has a packet that meets it, and nothing else happens to that packet") {
    std::set<Drop> seen = {Drop::handover_full,  Drop::icv,           Drop::tagged,
                           Drop::error_in_clear, Drop::emission_full, Drop::emission_lost};
    for (const auto& list : {header_fixtures(), policy_fixtures(), sa_fixtures(), esp_fixtures(), replay_fixtures(),
                             inner_fixtures(), full_fixtures()}) {
        for (const Fixture& f : list) {
            run_fixture(f);
            seen.insert(f.reason);
        }
    }
    handover_full_drops();
    CHECK(seen.size() == dataplane::kDropReasons);
}

TEST_CASE("TRAPS 13, 31: any flipped bit of an ESP packet is dropped, and the window does not move") {
    for (const Suite& suite : all_suites()) {
        for (const bool esn : {false, true}) {
            CAPTURE(suite.name, esn);
            Bench b(Shape{}, ChildOptions{.suite = suite, .esn = esn});
            const ByteVec good = b.peer.seal(udp_packet(kIn, 1, 2, 30), 7);
            std::uint64_t flips = 0;
            for (std::size_t at = 14 + 20 + 4; at < good.size(); ++at) {
                ByteVec bad = good;
                bad[at] ^= static_cast<Byte>(1 << at % 8);
                b.gw.from_port(kWan, bad);
                ++flips;
            }
            CHECK(b.gw.drops(Drop::icv) + b.gw.drops(Drop::replay) == flips);
            CHECK(b.gw.drops(Drop::icv) >= flips - 4);
            CHECK(b.gw.take_port(kLan).empty());
            CHECK(b.gw.inbound(b.child).window.top() == Seq{0});
            b.gw.from_port(kWan, good);
            CHECK(b.gw.take_port(kLan).size() == 1);
            CHECK(b.gw.inbound(b.child).window.top() == Seq{7});
        }
    }
}

TEST_CASE("a packet cut at any byte is dropped and harms nothing") {
    Bench b;
    const ByteVec good = b.peer.seal(udp_packet(kIn, 1, 2, 30));
    for (std::size_t size = 0; size < good.size(); ++size) {
        const ByteVec cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
        b.gw.from_port(kWan, cut.empty() ? ByteVec(1, 0) : cut);
    }
    CHECK(b.gw.all_drops() == good.size());
    CHECK(b.gw.take_port(kLan).empty());
    // The same with an IP header that agrees with the cut.
    const Bytes esp = b.peer.esp_of(good);
    for (std::size_t size = 0; size < esp.size(); ++size) {
        b.gw.from_port(kWan,
                       ethernet(kWanMac, kPeerMac,
                                ip_packet({.source = "192.0.2.2", .destination = "192.0.2.1"}, 50, esp.first(size))));
        if (size < esp::kHeaderSize) CHECK(b.gw.drops(Drop::esp_malformed) == size + 1);
    }
    CHECK(b.gw.all_drops() == good.size() + esp.size());
    CHECK(b.gw.take_port(kLan).empty());
}
