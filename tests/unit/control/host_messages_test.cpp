// SPDX-License-Identifier: Apache-2.0
// Messages as a Linux 6 kernel sent them for what the comment beside each says `ip` was told; interface 3 is "c0".
#include <catch2/catch.hpp>

#include "control/host/host_table.hpp"
#include "control/host/route_messages.hpp"

using namespace sluice;
using namespace sluice::control;

namespace {

// ip address add 192.0.2.1/24 dev c0
const std::string kAddressV4 =
    "4c000000140002000100000034120000021880000300000008000100c000020108000200c00002010700030063300000080008008000000014"
    "000600ffffffffffffffff90de080090de0800";
// ip address add 2001:db8::1/64 dev c0
const std::string kAddressV6 =
    "480000001400020001000000341200000a408000030000001400010020010db800000000000000000000000114000600ffffffffffffffff91"
    "de080091de08000800080080000000";
// ip route add 10.2.0.0/16 via 192.0.2.2 metric 7
const std::string kRouteV4 =
    "4400000018000200010000003412000002100000fe0300010000000008000f00fe000000080001000a0200000800060007000000080005"
    "00c00002020800040003000000";
// ip route add unreachable 10.4.0.0/16
const std::string kUnreachable =
    "2c00000018000200010000003412000002100000fe0300070000000008000f00fe000000080001000a040000";
// ip route add 10.5.0.0/16 nexthop via 192.0.2.9 dev c0 nexthop via 192.0.2.5 dev c0
const std::string kMultipath =
    "5000000018000200010000003412000002100000fe0300010000000008000f00fe000000080001000a0500002400090010000000030000"
    "0008000500c0000209100000000300000008000500c0000205";
// ip route add 10.7.0.0/16 via inet6 2001:db8::2 dev c0
const std::string kVia =
    "4c00000018000200010000003412000002100000fe0300010000000008000f00fe000000080001000a070000160012000a0020010db800"
    "000000000000000000000200000800040003000000";
// the kernel's own entry of table local for 192.0.2.1
const std::string kLocal =
    "3c00000018000200010000003412000002200000ff02fe020000000008000f00ff00000008000100c000020108000700c0000201080004"
    "0003000000";
// the kernel's own 2001:db8::/64 dev c0 metric 256
const std::string kConnectedV6 =
    "740000001800020001000000341200000a400000fe0200010000000008000f00fe0000001400010020010db800000000000000000000000008"
    "00"
    "060000010000080004000300000024000c00000000000000000000000000000000000000000000000000000000000000000005001400000000"
    "00";
// ip neigh add 192.0.2.2 lladdr 02:00:5e:10:00:01 dev c0 (permanent)
const std::string kNeighbourV4 =
    "4c0000001c000200010000003412000002000000030000008000000108000100c00002020a00020002005e1000010000080004000000000014"
    "00030017000000170000001700000000000000";
// ip neigh add 2001:db8::2 lladdr 02:00:5e:10:00:02 dev c0 nud stale
const std::string kNeighbourV6 =
    "580000001c00020001000000341200000a00000003000000040000011400010020010db80000000000000000000000020a00020002005e1000"
    "02000008000400000000001400030087170000170000001700000000000000";
// ff02::2, NOARP
const std::string kMulticast =
    "580000001c00020001000000341200000a000000030000004000000514000100ff0200000000000000000000000000020a0002003333000000"
    "0200000800040000000000140003008a1700001a0000001a00000000000000";

std::vector<RouteNetlink> decode(const ByteVec& bytes) {
    std::vector<RouteNetlink> found;
    decode_datagram(bytes, [&](const MessageContext& context, const RouteNetlink& message) {
        if (!std::holds_alternative<DoneMessage>(message)) CHECK(context.port_id == 0x1234);
        found.push_back(message);
    });
    return found;
}
ByteVec bytes_of(const std::string& hex) { return *from_hex(hex); }

template <class Message>
Message one(const std::string& hex) {
    const auto found = decode(bytes_of(hex));
    REQUIRE(found.size() == 1);
    REQUIRE(std::holds_alternative<Message>(found[0]));
    return std::get<Message>(found[0]);
}
net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }
net::Prefix prefix(const char* text) { return *net::Prefix::parse(text); }

}  // namespace

TEST_CASE("addresses as the kernel sends them") {
    const auto v4 = one<AddressMessage>(kAddressV4);
    CHECK(v4.address == ip("192.0.2.1"));
    CHECK(v4.prefix_length == 24);
    CHECK(v4.interface == 3);
    CHECK_FALSE(v4.removed);
    CHECK(v4.usable);
    CHECK(one<AddressMessage>(kAddressV6).address == ip("2001:db8::1"));
    ByteVec failed = bytes_of(kAddressV6);
    failed[68] |= 0x08;  // IFA_F_DADFAILED in IFA_FLAGS
    CHECK_FALSE(std::get<AddressMessage>(decode(failed).at(0)).usable);
}

TEST_CASE("routes as the kernel sends them: gateway, metric, unreachable, multipath, another family's gateway") {
    const auto route = one<RouteMessage>(kRouteV4);
    CHECK(route.destination == prefix("10.2.0.0/16"));
    CHECK(route.metric == 7);
    CHECK(route.table == 254);
    REQUIRE(route.hops.size() == 1);
    CHECK(route.hops[0].gateway == ip("192.0.2.2"));
    CHECK(route.hops[0].interface == 3);
    CHECK(one<RouteMessage>(kUnreachable).blackhole);
    const auto several = one<RouteMessage>(kMultipath);
    REQUIRE(several.hops.size() == 2);
    CHECK(several.hops[1].gateway == ip("192.0.2.5"));
    CHECK(one<RouteMessage>(kVia).hops.at(0).gateway == ip("2001:db8::2"));
    const auto connected = one<RouteMessage>(kConnectedV6);
    CHECK(connected.destination == prefix("2001:db8::/64"));
    CHECK_FALSE(connected.hops.at(0).gateway);
    CHECK(connected.metric == 256);
    CHECK(decode(bytes_of(kLocal)).empty());
}

TEST_CASE("neighbours as the kernel sends them: usable by their state") {
    CHECK(one<NeighbourMessage>(kNeighbourV4).mac.to_string() == "02:00:5e:10:00:01");
    CHECK(one<NeighbourMessage>(kNeighbourV4).usable);
    CHECK(one<NeighbourMessage>(kNeighbourV6).address == ip("2001:db8::2"));
    CHECK(one<NeighbourMessage>(kNeighbourV6).usable);
    CHECK_FALSE(one<NeighbourMessage>(kMulticast).usable);
    // ndm_state: INCOMPLETE, REACHABLE, STALE, DELAY, PROBE, FAILED, NONE.
    for (const auto& [state, usable] : std::vector<std::pair<int, bool>>{
             {0x01, false}, {0x02, true}, {0x04, true}, {0x08, true}, {0x10, true}, {0x20, false}, {0x00, false}}) {
        ByteVec bytes = bytes_of(kNeighbourV4);
        bytes[24] = static_cast<Byte>(state);
        CHECK(std::get<NeighbourMessage>(decode(bytes).at(0)).usable == usable);
    }
}

TEST_CASE("a datagram cut anywhere, or with a length changed anywhere, is read within its bounds") {
    for (const auto* text : {&kAddressV4, &kRouteV4, &kMultipath, &kVia, &kNeighbourV4, &kConnectedV6}) {
        const ByteVec whole = bytes_of(*text);
        for (std::size_t size = 0; size < whole.size(); ++size)
            CHECK(decode(ByteVec(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))).empty());
        for (std::size_t at = 16; at < whole.size(); ++at) {
            ByteVec changed = whole;
            changed[at] = 0xff;
            CHECK(decode(changed).size() <= 1);
        }
    }
}

TEST_CASE("several messages of a datagram, an interrupted dump and its end") {
    ByteVec bytes = bytes_of(kRouteV4);
    bytes[6] = 0x10 | 0x02;  // NLM_F_DUMP_INTR, NLM_F_MULTI
    const ByteVec next = bytes_of(kNeighbourV4);
    bytes.insert(bytes.end(), next.begin(), next.end());
    const ByteVec done = bytes_of("1400000003000200010000003412000000000000");
    bytes.insert(bytes.end(), done.begin(), done.end());
    std::vector<bool> interrupted;
    decode_datagram(bytes, [&](const MessageContext& context, const RouteNetlink&) {
        interrupted.push_back(context.interrupted);
        CHECK(context.sequence == 1);
    });
    CHECK(interrupted == std::vector<bool>{true, false, false});
}

TEST_CASE("requests read back as what they ask for") {
    const auto sent = [](ByteVec bytes) {
        bytes[12] = 0x34, bytes[13] = 0x12;
        return decode(bytes).at(0);
    };
    const dataplane::LocalAddress address{ip("2001:db8::7"), 64, PortId(0)};
    CHECK(std::get<AddressMessage>(sent(add_address_request(address, 5, 9))).address == ip("2001:db8::7"));
    dataplane::Route route{prefix("10.1.0.0/16"), ip("2001:db8::2"), PortId(0), 30, false};
    const auto back = std::get<RouteMessage>(sent(add_route_request(route, 5, 9)));
    CHECK(back.hops.at(0).gateway == ip("2001:db8::2"));
    CHECK(back.hops.at(0).interface == 5);
    CHECK(back.metric == 30);
    route.blackhole = true;
    CHECK(std::get<RouteMessage>(sent(add_route_request(route, 0, 9))).blackhole);
    const auto wanted = std::get<NeighbourMessage>(sent(use_neighbour_request(ip("192.0.2.9"), 5, 9)));
    CHECK(wanted.address == ip("192.0.2.9"));
    CHECK(wanted.interface == 5);
}

TEST_CASE("the table keeps what concerns its interfaces: best metric, first hop alive, table main") {
    HostTable table({{3, PortId(1)}});
    table.add(one<AddressMessage>(kAddressV4));
    AddressMessage foreign = one<AddressMessage>(kAddressV4);
    foreign.interface = 4;
    table.add(foreign);
    RouteMessage multipath = one<RouteMessage>(kMultipath);
    multipath.hops[0].dead = true;
    table.add(multipath);
    RouteMessage worse = one<RouteMessage>(kRouteV4);
    table.add(worse);
    RouteMessage better = worse;
    better.metric = 3;
    better.hops[0].gateway = ip("192.0.2.77");
    table.add(better);
    worse.metric = 5;
    table.add(worse);
    RouteMessage other = one<RouteMessage>(kVia);
    other.table = 100;
    table.add(other);
    other.table = 254;
    other.hops[0].interface = 4;
    table.add(other);
    const auto view = table.view();
    REQUIRE(view.addresses.size() == 1);
    CHECK(view.addresses[0].port == PortId(1));
    REQUIRE(view.routes.size() == 2);
    CHECK(view.routes[0].gateway == ip("192.0.2.77"));
    CHECK(view.routes[1].gateway == ip("192.0.2.5"));
}

TEST_CASE("the table tells what became of a neighbour, once") {
    HostTable table({{3, PortId(1)}});
    NeighbourMessage message = one<NeighbourMessage>(kNeighbourV4);
    const auto fresh = table.apply(message);
    REQUIRE(fresh);
    CHECK_FALSE(fresh->removed);
    CHECK(fresh->neighbour.port == PortId(1));
    CHECK_FALSE(table.apply(message));
    message.mac.bytes[5] = 0x77;
    CHECK(table.apply(message));
    CHECK(table.view().neighbours.size() == 1);
    message.usable = false;
    const auto gone = table.apply(message);
    REQUIRE(gone);
    CHECK(gone->removed);
    CHECK_FALSE(table.apply(message));
    message.usable = true;
    message.interface = 9;
    CHECK_FALSE(table.apply(message));
}
