// SPDX-License-Identifier: Apache-2.0
#include "lib/net/address.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <unordered_set>

using namespace sluice;
using namespace sluice::net;

namespace {

IpAddress ip(std::string_view text) { return *IpAddress::parse(text); }
Prefix prefix(std::string_view text) { return *Prefix::parse(text); }

}  // namespace

TEST_CASE("IPv4 addresses are dotted quads and nothing else") {
    CHECK(ip("192.0.2.1").v4_host_order() == 0xc0000201);
    CHECK(ip("255.255.255.255").to_string() == "255.255.255.255");
    CHECK(to_hex(ip("1.2.3.4").bytes()) == "01020304");
    CHECK(IpAddress::v4(0x01020304) == ip("1.2.3.4"));
    for (const char* bad : {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1..2.3",
                            "1.2.3.", "+1.2.3.4", "0x1.2.3.4", "1.2.3.4/8", "1.2.3.0004"}) {
        INFO(bad);
        CHECK_FALSE(IpAddress::parse(bad));
    }
}

TEST_CASE("IPv6 addresses parse in every form of RFC 4291 2.2") {
    CHECK(to_hex(ip("2001:db8::1").bytes()) == "20010db8000000000000000000000001");
    CHECK(to_hex(ip("::").bytes()) == "00000000000000000000000000000000");
    CHECK(to_hex(ip("::1").bytes()) == "00000000000000000000000000000001");
    CHECK(to_hex(ip("fe80::").bytes()) == "fe800000000000000000000000000000");
    CHECK(to_hex(ip("1:2:3:4:5:6:7:8").bytes()) == "00010002000300040005000600070008");
    CHECK(to_hex(ip("1:2:3:4:5:6:7::").bytes()) == "00010002000300040005000600070000");
    CHECK(to_hex(ip("ABCD:EF01::").bytes()) == "abcdef01000000000000000000000000");
    CHECK(to_hex(ip("64:ff9b::192.0.2.33").bytes()) == "0064ff9b0000000000000000c0000221");
    CHECK(to_hex(ip("1:2:3:4:5:6:1.2.3.4").bytes()) == "00010002000300040005000601020304");
    for (const char* bad : {":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1::", "1:2:3:4:5:6:7:8::",
                            ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", "12345::", "g::", "::1%eth0", "1.2.3.4::", "::1.2.3",
                            "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "::/0", "1:2:3:4::5:6:7:8", "::-1"}) {
        INFO(bad);
        CHECK_FALSE(IpAddress::parse(bad));
    }
}

TEST_CASE("IPv6 addresses print as RFC 5952 says") {
    CHECK(ip("2001:DB8:0:0:0:0:2:1").to_string() == "2001:db8::2:1");
    CHECK(ip("2001:db8:0:1:1:1:1:1").to_string() == "2001:db8:0:1:1:1:1:1");  // one group is not shortened
    CHECK(ip("2001:0:0:1:0:0:0:1").to_string() == "2001:0:0:1::1");           // the longer run
    CHECK(ip("2001:db8:0:0:1:0:0:1").to_string() == "2001:db8::1:0:0:1");     // the first of equals
    CHECK(ip("0:0:0:0:0:0:0:0").to_string() == "::");
    CHECK(ip("0:0:0:0:0:0:0:1").to_string() == "::1");
    CHECK(ip("1:0:0:0:0:0:0:0").to_string() == "1::");
    CHECK(ip("::ffff:192.0.2.1").to_string() == "::ffff:192.0.2.1");
    CHECK(ip("1:0:0:2:3:4:5:0").to_string() == "1::2:3:4:5:0");
    CHECK(IpAddress{}.to_string() == "%any");
}

TEST_CASE("Printing and parsing random IPv6 addresses agree") {
    const unsigned seed = 0x51a1ce;
    std::mt19937 random(seed);
    INFO("seed " << seed);
    for (int i = 0; i < 20000; ++i) {
        std::array<Byte, 16> bytes{};
        for (Byte& b : bytes) b = random() % 3 == 0 ? static_cast<Byte>(random()) : Byte{0};
        const IpAddress a = IpAddress::v6(bytes);
        REQUIRE(ip(a.to_string()) == a);
    }
}

TEST_CASE("Kinds of addresses") {
    CHECK(ip("224.0.0.1").is_multicast());
    CHECK(ip("239.255.255.255").is_multicast());
    CHECK_FALSE(ip("240.0.0.1").is_multicast());
    CHECK(ip("ff02::1").is_multicast());
    CHECK_FALSE(IpAddress{}.is_multicast());
    CHECK(ip("169.254.1.1").is_link_local());
    CHECK(ip("fe80::1").is_link_local());
    CHECK(ip("febf::1").is_link_local());
    CHECK_FALSE(ip("fec0::1").is_link_local());
    CHECK(ip("::ffff:1.2.3.4") != ip("1.2.3.4"));
    std::unordered_set<std::size_t> hashes;
    for (std::uint32_t i = 0; i < 1000; ++i) hashes.insert(std::hash<IpAddress>{}(IpAddress::v4(0x0a000000 + i)));
    CHECK(hashes.size() == 1000);
    CHECK(std::hash<Endpoint>{}({ip("10.0.0.1"), 1}) != std::hash<Endpoint>{}({ip("10.0.0.1"), 2}));
}

TEST_CASE("Prefixes refuse host bits and impossible lengths") {
    CHECK(prefix("10.0.0.0/8").to_string() == "10.0.0.0/8");
    CHECK(prefix("10.1.2.3").to_string() == "10.1.2.3/32");
    CHECK(prefix("2001:db8::/32").last().to_string() == "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
    CHECK(prefix("0.0.0.0/0").contains(ip("255.1.2.3")));
    CHECK_FALSE(prefix("0.0.0.0/0").contains(ip("::1")));
    CHECK(prefix("::/0").last().to_string() == "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    CHECK(prefix("10.0.0.0/9").contains(ip("10.127.255.255")));
    CHECK_FALSE(prefix("10.0.0.0/9").contains(ip("10.128.0.0")));
    CHECK(Prefix::of(ip("10.1.2.3"), 8) == prefix("10.0.0.0/8"));
    CHECK(Prefix::of(ip("10.1.2.3"), 200) == prefix("10.1.2.3"));
    CHECK_FALSE(Prefix{}.contains(ip("1.2.3.4")));
    for (const char* bad : {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/8x", "/8",
                            "2001:db8::/129", "2001:db8::1/64", ""}) {
        INFO(bad);
        CHECK_FALSE(Prefix::parse(bad));
    }
    CHECK(Prefix::parse("10.0.0.1/8").error().text.find("10.0.0.0/8") != std::string::npos);
}

TEST_CASE("Ranges contain, overlap and split into the least prefixes") {
    const AddressRange range{ip("10.0.0.1"), ip("10.0.0.9")};
    std::string joined;
    for (const Prefix& p : range.to_prefixes()) joined += p.to_string() + " ";
    CHECK(joined == "10.0.0.1/32 10.0.0.2/31 10.0.0.4/30 10.0.0.8/31 ");
    CHECK(range.to_string() == "10.0.0.1-10.0.0.9");
    CHECK(AddressRange::of(prefix("10.0.0.0/24")).to_string() == "10.0.0.0/24");
    CHECK(AddressRange::all(Family::v4).to_string() == "0.0.0.0/0");
    CHECK(AddressRange::all(Family::v6).to_string() == "::/0");
    CHECK(AddressRange{ip("0.0.0.1"), ip("255.255.255.255")}.to_prefixes().size() == 32);
    CHECK(AddressRange{ip("::1"), ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")}.to_prefixes().size() == 128);
    CHECK(range.contains(ip("10.0.0.9")));
    CHECK_FALSE(range.contains(ip("10.0.0.10")));
    CHECK_FALSE(range.contains(IpAddress{}));
    CHECK_FALSE(AddressRange{}.contains(IpAddress{}));
    CHECK(AddressRange::all(Family::v4).contains(range));
    CHECK_FALSE(AddressRange::all(Family::v6).contains(range));
    CHECK(range.overlaps({ip("10.0.0.9"), ip("10.0.0.200")}));
    CHECK_FALSE(range.overlaps({ip("10.0.0.10"), ip("10.0.0.200")}));
    CHECK_FALSE(AddressRange{}.overlaps(AddressRange{}));
}

TEST_CASE("Random ranges split into prefixes that cover them exactly") {
    const unsigned seed = 0xadd7e55;
    std::mt19937 random(seed);
    INFO("seed " << seed);
    for (int i = 0; i < 2000; ++i) {
        std::uint32_t a = static_cast<std::uint32_t>(random()) >> (random() % 32);
        std::uint32_t b = static_cast<std::uint32_t>(random()) >> (random() % 32);
        if (a > b) std::swap(a, b);
        std::uint64_t next = a;
        for (const Prefix& p : AddressRange{IpAddress::v4(a), IpAddress::v4(b)}.to_prefixes()) {
            REQUIRE(p.first().v4_host_order() == next);
            next = std::uint64_t{p.last().v4_host_order()} + 1;
        }
        REQUIRE(next == std::uint64_t{b} + 1);
    }
}

TEST_CASE("MAC addresses and endpoints as text") {
    CHECK(MacAddress::parse("02:00:5E:10:00:01")->to_string() == "02:00:5e:10:00:01");
    for (const char* bad : {"", "02:00:5e:10:00", "02:00:5e:10:00:1", "02-00-5e-10-00-01", "02:00:5e:10:00:0g",
                            "02:00:5e:10:00:01:", "2:000:5e:10:00:01"}) {
        INFO(bad);
        CHECK_FALSE(MacAddress::parse(bad));
    }
    CHECK(Endpoint{ip("192.0.2.1"), 4500}.to_string() == "192.0.2.1[4500]");
}
