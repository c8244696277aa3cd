// SPDX-License-Identifier: Apache-2.0
#include "lib/ipsec/traffic_selector.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace sluice;
using namespace sluice::ipsec;

namespace {

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

TrafficSelector ts(std::string_view text) {
    const auto parsed = ConfiguredSelector::parse(text);
    INFO(text << (parsed ? "" : parsed.error().text));
    REQUIRE(parsed);
    return parsed->selector;
}

TrafficSelectors list(std::initializer_list<std::string_view> texts) {
    TrafficSelectors all;
    for (const auto text : texts) all.push_back(ts(text));
    return all;
}

std::string error_of(std::string_view text) {
    const auto parsed = ConfiguredSelector::parse(text);
    return parsed ? "no error" : parsed.error().text;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

std::string both(std::string_view a, std::string_view b) {
    const auto common = ts(a).intersect(ts(b));
    const auto mirrored = ts(b).intersect(ts(a));
    CHECK(common == mirrored);
    if (common) CHECK((ts(a).contains(*common) && ts(b).contains(*common)));
    return common ? common->to_string() : "-";
}

constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;

}  // namespace

TEST_CASE("Selectors read as swanctl.conf has them and print in the same form") {
    for (const std::string_view text :
         {"10.1.0.0/16", "10.1.0.0/16[tcp/80]", "10.0.0.1-10.0.0.9", "0.0.0.0/0[udp/1024-2048]", "fd00::/8[ipv6-icmp]",
          "0.0.0.0/0[/opaque]", "10.0.0.0/8[tcp/opaque]", "10.0.0.0/8[gre]", "10.0.0.0/8[200]", "::/0",
          "10.0.0.0/8[icmp/8(0)]", "10.0.0.0/8[icmp/3(0)-3(255)]", "192.0.2.1/32[sctp/5]"}) {
        CHECK(ts(text).to_string() == text);
    }
    CHECK(ts("192.0.2.1").to_string() == "192.0.2.1/32");
    CHECK(ts("10.0.0.0-10.0.0.255").to_string() == "10.0.0.0/24");
    CHECK(ts("10.0.0.0/8[]") == ts("10.0.0.0/8"));
    CHECK(ts("10.0.0.0/8[%any/any]") == ts("10.0.0.0/8"));
    CHECK(ts("10.0.0.0/8[6/0x50]") == ts("10.0.0.0/8[tcp/80]"));
    CHECK(ts("10.0.0.0/8[tcp/0-65535]") == ts("10.0.0.0/8[tcp]"));
    CHECK(to_string(list({"10.0.0.0/8", "::/0[udp]"})) == "10.0.0.0/8 ::/0[udp]");
    CHECK(to_string(TrafficSelectors{}).empty());
}

TEST_CASE("Errors name the selector, the word and what was expected") {
    CHECK(contains(error_of("10.1.0.0/33"), "10.1.0.0/33"));
    CHECK(contains(error_of("10.1.0.1/16"), "host bits"));
    CHECK(contains(error_of("10.1.0.0/16[foo]"), "unknown protocol \"foo\""));
    CHECK(contains(error_of("10.1.0.0/16[tcp/http]"), "bad port \"http\""));
    CHECK(contains(error_of("10.1.0.0/16[tcp/65536]"), "expected 0..65535"));
    CHECK(contains(error_of("10.1.0.0/16[tcp/20-10]"), "bad port"));
    CHECK(contains(error_of("10.1.0.0/16[tcp/1-2-3]"), "bad port"));
    CHECK(contains(error_of("10.1.0.0/16[tcp/-1]"), "bad port"));
    CHECK(contains(error_of("10.1.0.0/16[icmp/256(0)]"), "bad port"));
    CHECK(contains(error_of("10.1.0.0/16[tcp/8(0)]"), "bad port"));
    CHECK(contains(error_of("10.1.0.0/16[/80]"), "protocol that has them"));
    CHECK(contains(error_of("10.1.0.0/16[gre/80]"), "protocol that has them"));
    CHECK(contains(error_of("10.1.0.0/16[tcp"), "expected ]"));
    CHECK(contains(error_of("10.1.0.0/16[256]"), "unknown protocol"));
    CHECK(contains(error_of("10.0.0.9-10.0.0.1"), "lower address first"));
    CHECK(contains(error_of("10.0.0.1-fd00::1"), "one family"));
    CHECK(error_of("") != "no error");
    CHECK(error_of("[tcp]") != "no error");
    CHECK(error_of("10.0.0.1-") != "no error");
    CHECK(error_of("dynamic/24") != "no error");
}

TEST_CASE("Dynamic stands for the tunnel's end") {
    const auto configured = ConfiguredSelector::parse("dynamic[udp/4789]");
    REQUIRE(configured);
    CHECK(configured->dynamic);
    CHECK(configured->to_string() == "dynamic[udp/4789]");
    CHECK(configured->resolve(ip("192.0.2.7")).to_string() == "192.0.2.7/32[udp/4789]");
    CHECK(configured->resolve(ip("2001:db8::7")).to_string() == "2001:db8::7/128[udp/4789]");
    CHECK(ConfiguredSelector::parse("10.0.0.0/8")->resolve(ip("192.0.2.7")) == ts("10.0.0.0/8"));
    // Not resolved yet, it matches nothing.
    CHECK_FALSE(configured->selector.matches(ip("192.0.2.7"), kUdp, true, 4789));
    CHECK_FALSE(configured->selector.matches({}, kUdp, true, 4789));
}

TEST_CASE("TRAPS 16: icmp follows the family, type and code lie in the port fields") {
    CHECK(ts("10.0.0.0/8[icmp]").protocol == 1);
    CHECK(ts("fd00::/8[icmp]").protocol == 58);
    CHECK(ConfiguredSelector::parse("dynamic[icmp]")->resolve(ip("fd00::1")).protocol == 58);
    const auto echo = ts("10.0.0.0/8[icmp/8(0)]");
    CHECK(echo.start_port == 0x0800);
    CHECK(echo.end_port == 0x0800);
    CHECK(ts("10.0.0.0/8[icmp/2048]") == echo);
    const auto unreachable = ts("10.0.0.0/8[icmp/3(0)-3(255)]");
    CHECK(unreachable.matches(ip("10.1.1.1"), 1, true, 0x0304));
    CHECK_FALSE(unreachable.matches(ip("10.1.1.1"), 1, true, 0x0400));
    CHECK_FALSE(unreachable.matches(ip("10.1.1.1"), 1, true, 0x0403));  // type and code, not code and type
    CHECK_FALSE(echo.matches(ip("10.1.1.1"), 1, true, 0x0008));
}

TEST_CASE("TRAPS 16: what a selector matches, at every edge") {
    const auto web = ts("10.1.0.0/16[tcp/80-90]");
    CHECK(web.matches(ip("10.1.0.0"), kTcp, true, 80));
    CHECK(web.matches(ip("10.1.255.255"), kTcp, true, 90));
    CHECK_FALSE(web.matches(ip("10.0.255.255"), kTcp, true, 80));
    CHECK_FALSE(web.matches(ip("10.2.0.0"), kTcp, true, 80));
    CHECK_FALSE(web.matches(ip("10.1.0.0"), kTcp, true, 79));
    CHECK_FALSE(web.matches(ip("10.1.0.0"), kTcp, true, 91));
    CHECK_FALSE(web.matches(ip("10.1.0.0"), kUdp, true, 80));
    CHECK_FALSE(web.matches(ip("fd00::1"), kTcp, true, 80));
    CHECK_FALSE(web.matches(ip("10.1.0.0"), kTcp, false, 80));  // ports unseen: a number left there means nothing
    const auto any = ts("0.0.0.0/0");
    CHECK(any.matches(ip("255.255.255.255"), 0, false, 0));
    CHECK(any.matches(ip("1.2.3.4"), kTcp, true, 1));
    CHECK_FALSE(any.matches(ip("::1"), kTcp, true, 1));
    CHECK_FALSE(any.matches({}, kTcp, true, 1));
    const auto opaque = ts("0.0.0.0/0[tcp/opaque]");
    CHECK(opaque.matches(ip("1.2.3.4"), kTcp, false, 0));
    CHECK_FALSE(opaque.matches(ip("1.2.3.4"), kTcp, true, 0));
    CHECK_FALSE(opaque.matches(ip("1.2.3.4"), kTcp, true, 65535));
    CHECK_FALSE(opaque.matches(ip("1.2.3.4"), kUdp, false, 0));
}

TEST_CASE("TRAPS 16: intersections of addresses, protocols and ports") {
    CHECK(both("10.0.0.0/8", "10.1.0.0/16") == "10.1.0.0/16");
    CHECK(both("10.0.0.0/8", "11.0.0.0/8") == "-");
    CHECK(both("10.0.0.0/8", "fd00::/8") == "-");
    CHECK(both("10.0.0.0-10.0.0.9", "10.0.0.5-10.0.0.20") == "10.0.0.5-10.0.0.9");
    CHECK(both("10.0.0.0-10.0.0.9", "10.0.0.9-10.0.0.20") == "10.0.0.9/32");
    CHECK(both("10.0.0.0/8[tcp]", "10.0.0.0/8") == "10.0.0.0/8[tcp]");
    CHECK(both("10.0.0.0/8[tcp]", "10.0.0.0/8[udp]") == "-");
    CHECK(both("10.0.0.0/8[tcp/80]", "10.0.0.0/8") == "10.0.0.0/8[tcp/80]");
    CHECK(both("10.0.0.0/8[tcp/80-90]", "10.0.0.0/8[tcp/85-99]") == "10.0.0.0/8[tcp/85-90]");
    CHECK(both("10.0.0.0/8[tcp/80-90]", "10.0.0.0/8[tcp/91]") == "-");
    CHECK(both("10.0.0.0/8[tcp/opaque]", "10.0.0.0/8") == "10.0.0.0/8[tcp/opaque]");
    CHECK(both("10.0.0.0/8[tcp/opaque]", "10.0.0.0/8[/opaque]") == "10.0.0.0/8[tcp/opaque]");
    CHECK(both("10.0.0.0/8[tcp/opaque]", "10.0.0.0/8[tcp/80]") == "-");
    CHECK(both("10.0.0.0/8[tcp/opaque]", "10.0.0.0/8[tcp/0-65534]") == "-");
    CHECK(both("::/0", "fd00::/8[udp/53]") == "fd00::/8[udp/53]");
}

TEST_CASE("Containment: a smaller selector lies in a larger one, not the other way round") {
    CHECK(ts("10.0.0.0/8").contains(ts("10.1.0.0/16[tcp/80]")));
    CHECK_FALSE(ts("10.1.0.0/16[tcp/80]").contains(ts("10.0.0.0/8")));
    CHECK_FALSE(ts("10.1.0.0/16[tcp]").contains(ts("10.1.0.0/16")));
    CHECK_FALSE(ts("10.1.0.0/16[tcp]").contains(ts("10.1.0.0/16[udp]")));
    CHECK(ts("10.1.0.0/16[tcp]").contains(ts("10.1.0.0/16[tcp/opaque]")));
    CHECK_FALSE(ts("10.1.0.0/16[tcp/0-65534]").contains(ts("10.1.0.0/16[tcp/opaque]")));
    CHECK_FALSE(ts("10.1.0.0/16[tcp/opaque]").contains(ts("10.1.0.0/16[tcp/80]")));
    CHECK_FALSE(ts("10.0.0.0/8").contains(ts("fd00::/8")));
}

TEST_CASE("Selectors off the wire that are turned round match nothing, TRAPS 16") {
    TrafficSelector reversed_ports{net::AddressRange::all(net::Family::v4), kTcp, 90, 80};
    TrafficSelector reversed_range{{ip("10.0.0.9"), ip("10.0.0.1")}, 0, 0, 65535};
    TrafficSelector two_families{{ip("10.0.0.1"), ip("fd00::1")}, 0, 0, 65535};
    for (const auto& bad : {reversed_ports, reversed_range, two_families}) {
        CHECK_FALSE(bad.matches(ip("10.0.0.5"), kTcp, true, 85));
        CHECK_FALSE(bad.intersect(ts("0.0.0.0/0")));
        CHECK_FALSE(ts("0.0.0.0/0").intersect(bad));
        CHECK_FALSE(ts("0.0.0.0/0").contains(bad));
        CHECK(narrow(list({"0.0.0.0/0"}), {bad}).empty());
    }
}

TEST_CASE("TRAPS 14: narrowing a peer's 255 selectors against several of ours still fits one TS payload") {
    TrafficSelectors proposed;
    for (std::uint16_t port = 1; port <= 255; ++port) {
        TrafficSelector one = ts("0.0.0.0/0");
        one.protocol = 17;
        one.start_port = one.end_port = port;
        proposed.push_back(one);
    }
    CHECK(narrow(list({"10.1.0.0/16"}), proposed).size() == 255);
    const auto narrowed = narrow(list({"10.1.0.0/16", "10.3.0.0/16", "10.5.0.0/16"}), proposed);
    CHECK(narrowed.size() == kMaxSelectors);
}

TEST_CASE("TRAPS 16: narrowing keeps what both allow, in the configuration's order") {
    CHECK(to_string(narrow(list({"10.1.0.0/16"}), list({"0.0.0.0/0"}))) == "10.1.0.0/16");
    CHECK(to_string(narrow(list({"10.2.0.0/16", "10.1.0.0/16"}), list({"10.0.0.0/8"}))) == "10.2.0.0/16 10.1.0.0/16");
    CHECK(to_string(narrow(list({"10.0.0.0/8", "fd00::/8"}), list({"::/0", "0.0.0.0/0"}))) == "10.0.0.0/8 fd00::/8");
    CHECK(to_string(narrow(list({"10.1.0.0/16"}), list({"10.1.0.5/32[tcp/22]", "10.1.0.0/24"}))) == "10.1.0.0/24");
    CHECK(to_string(narrow(list({"10.1.0.0/16"}), list({"10.1.0.0/24", "10.1.0.5/32[tcp/22]"}))) == "10.1.0.0/24");
    CHECK(to_string(narrow(list({"0.0.0.0/0[tcp]", "0.0.0.0/0[udp/53]"}), list({"10.0.0.0/8"}))) ==
          "10.0.0.0/8[tcp] 10.0.0.0/8[udp/53]");
    CHECK(narrow(list({"10.1.0.0/16"}), list({"10.2.0.0/16"})).empty());
    CHECK(narrow(list({"10.1.0.0/16"}), {}).empty());
    CHECK(narrow({}, list({"10.1.0.0/16"})).empty());
}

TEST_CASE("A packet must lie in the lists of both ends, TRAPS 16") {
    const auto local = list({"10.1.0.0/16[tcp]", "10.3.0.0/16[udp/53]"});
    const auto remote = list({"10.2.0.0/16"});
    PacketSelector packet{ip("10.1.0.1"), ip("10.2.0.1"), kTcp, true, 40000, 22};
    CHECK(matches(local, remote, packet));
    CHECK_FALSE(matches(remote, local, packet));
    packet.source = ip("10.3.0.1");
    CHECK_FALSE(matches(local, remote, packet));
    packet.protocol = kUdp;
    CHECK_FALSE(matches(local, remote, packet));
    packet.source_port = 53;
    CHECK(matches(local, remote, packet));
    packet.destination = ip("10.9.0.1");
    CHECK_FALSE(matches(local, remote, packet));
    CHECK_FALSE(matches({}, remote, packet));
    CHECK_FALSE(matches(local, {}, packet));
}

// A small world, so that "matches" can be asked of every packet: narrowing must keep exactly what both lists match.
TEST_CASE("Narrowing agrees with a slow model, TRAPS 16") {
    const auto seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto below = [&random](unsigned n) { return static_cast<unsigned>(random() % n); };
    const auto draw = [&below]() {
        TrafficSelector s;
        const unsigned first = below(6);
        s.range = {net::IpAddress::v4(first), net::IpAddress::v4(first + below(4))};
        s.protocol = static_cast<std::uint8_t>(below(3) == 0 ? kTcp : below(2) * kUdp);
        if (below(4) == 0) return s;
        s.start_port = static_cast<std::uint16_t>(below(4));
        s.end_port = static_cast<std::uint16_t>(s.start_port + below(3));
        if (below(5) == 0) {
            s.start_port = 65535;
            s.end_port = 0;
        }
        return s;
    };
    const auto any = [](const TrafficSelectors& all, const net::IpAddress& a, std::uint8_t p, bool known,
                        std::uint16_t port) {
        return std::ranges::any_of(all, [&](const auto& s) { return s.matches(a, p, known, port); });
    };
    for (int round = 0; round < 300; ++round) {
        TrafficSelectors own;
        TrafficSelectors peer;
        for (unsigned i = below(3) + 1; i > 0; --i) own.push_back(draw());
        for (unsigned i = below(3) + 1; i > 0; --i) peer.push_back(draw());
        const auto common = narrow(own, peer);
        bool same = true;
        for (unsigned a = 0; a < 10; ++a) {
            for (const std::uint8_t p : {std::uint8_t{0}, kTcp, kUdp}) {
                for (unsigned port = 0; port < 8; ++port) {
                    const auto address = net::IpAddress::v4(a);
                    const bool known = port != 7;
                    const auto number = static_cast<std::uint16_t>(known ? port : 0);
                    const bool in_both = any(own, address, p, known, number) && any(peer, address, p, known, number);
                    same = same && any(common, address, p, known, number) == in_both;
                }
            }
        }
        INFO(to_string(own) << " | " << to_string(peer) << " -> " << to_string(common));
        REQUIRE(same);
        for (std::size_t i = 0; i < common.size(); ++i) {
            for (std::size_t j = 0; j < common.size(); ++j) CHECK((i == j || !common[i].contains(common[j])));
        }
    }
}
