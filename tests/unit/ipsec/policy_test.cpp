// SPDX-License-Identifier: Apache-2.0
#include "lib/ipsec/policy.hpp"

#include <catch2/catch.hpp>

#include "lib/ipsec/packet_selector.hpp"

using namespace sluice;
using namespace sluice::ipsec;

namespace {

net::IpAddress ip(std::string_view text) { return *net::IpAddress::parse(text); }

TrafficSelector selector(std::string_view prefix, std::uint8_t protocol = 0, std::uint16_t from = 0,
                         std::uint16_t to = 65535) {
    return {net::AddressRange::of(*net::Prefix::parse(prefix)), protocol, from, to};
}

PacketSelector tcp(std::string_view source, std::string_view destination, std::uint16_t port) {
    return {.source = ip(source),
            .destination = ip(destination),
            .protocol = 6,
            .ports_known = true,
            .source_port = 40000,
            .destination_port = port};
}

Policy policy(std::uint32_t id, PolicyAction action, TrafficSelector local, TrafficSelector remote) {
    return {.id = PolicyId(id), .name = "", .action = action, .local = {local}, .remote = {remote}};
}

std::uint32_t id_of(const Policy* found) { return found == nullptr ? 0 : found->id.value; }

}  // namespace

TEST_CASE("TRAPS 43: the SPD is searched in order and the first match decides") {
    const Spd spd{.policies = {policy(1, PolicyAction::bypass, selector("10.1.0.5/32"), selector("10.2.0.0/16")),
                               policy(2, PolicyAction::protect, selector("10.1.0.0/16"), selector("10.2.0.0/16")),
                               policy(3, PolicyAction::discard, selector("10.0.0.0/8"), selector("0.0.0.0/0"))}};
    CHECK(id_of(spd.find_outbound(tcp("10.1.0.5", "10.2.0.1", 80))) == 1);
    CHECK(id_of(spd.find_outbound(tcp("10.1.0.6", "10.2.0.1", 80))) == 2);
    CHECK(id_of(spd.find_outbound(tcp("10.1.0.6", "10.3.0.1", 80))) == 3);
    CHECK(id_of(spd.find_outbound(tcp("192.0.2.1", "10.2.0.1", 80))) == 0);
    Spd swapped = spd;
    std::swap(swapped.policies[0], swapped.policies[1]);
    CHECK(id_of(swapped.find_outbound(tcp("10.1.0.5", "10.2.0.1", 80))) == 2);
}

TEST_CASE("TRAPS 43: inbound sees the same policy from the other side") {
    const Spd spd{.policies = {policy(1, PolicyAction::protect, selector("10.1.0.0/16"), selector("10.2.0.0/16"))}};
    CHECK(id_of(spd.find_inbound(tcp("10.2.0.1", "10.1.0.1", 80))) == 1);
    CHECK(id_of(spd.find_inbound(tcp("10.1.0.1", "10.2.0.1", 80))) == 0);
    CHECK(id_of(spd.find_outbound(tcp("10.2.0.1", "10.1.0.1", 80))) == 0);
}

TEST_CASE("X1: ports belong to the end that the selector names") {
    const Spd spd{
        .policies = {policy(1, PolicyAction::protect, selector("10.1.0.0/16", 6, 80, 80), selector("10.2.0.0/16"))}};
    CHECK(id_of(spd.find_inbound(tcp("10.2.0.1", "10.1.0.1", 80))) == 1);
    CHECK(id_of(spd.find_inbound(tcp("10.2.0.1", "10.1.0.1", 81))) == 0);
    CHECK(id_of(spd.find_outbound(tcp("10.1.0.1", "10.2.0.1", 80))) == 0);  // 80 is the far end here
    PacketSelector udp = tcp("10.2.0.1", "10.1.0.1", 80);
    udp.protocol = 17;
    CHECK(id_of(spd.find_inbound(udp)) == 0);
}

TEST_CASE("TRAPS 41: a later fragment does not match a selector with ports") {
    const Spd spd{
        .policies = {policy(1, PolicyAction::protect, selector("10.1.0.0/16", 6, 80, 80), selector("10.2.0.0/16")),
                     policy(2, PolicyAction::discard, selector("10.1.0.0/16"), selector("10.2.0.0/16"))}};
    PacketSelector fragment = tcp("10.2.0.1", "10.1.0.1", 80);
    fragment.ports_known = false;
    CHECK(id_of(spd.find_inbound(fragment)) == 2);
}

TEST_CASE("A policy with several selectors matches any pair of them; families do not mix") {
    Policy both = policy(1, PolicyAction::protect, selector("10.1.0.0/16"), selector("10.2.0.0/16"));
    both.local.push_back(selector("fd01::/16"));
    both.remote.push_back(selector("fd02::/16"));
    const Spd spd{.policies = {both}};
    CHECK(id_of(spd.find_outbound(tcp("10.1.0.1", "10.2.0.1", 1))) == 1);
    CHECK(id_of(spd.find_outbound(tcp("fd01::1", "fd02::1", 1))) == 1);
    CHECK(id_of(spd.find_outbound(tcp("fd01::1", "fd03::1", 1))) == 0);
    Policy none = both;
    none.remote.clear();
    CHECK(id_of(Spd{.policies = {none}}.find_outbound(tcp("10.1.0.1", "10.2.0.1", 1))) == 0);
}

TEST_CASE("What a policy sees of a packet's bytes") {
    ByteVec bytes = *from_hex(
        "4500001c000040003f010000c0000201"
        "0a010203"
        "0304000000000000");
    net::set_ipv4_checksum(MutBytes(bytes).first(20));
    const PacketSelector seen = selector_of(net::parse_packet(bytes), bytes);
    CHECK(seen == PacketSelector{.source = ip("192.0.2.1"),
                                 .destination = ip("10.1.2.3"),
                                 .protocol = 1,
                                 .ports_known = true,
                                 .source_port = 0x0304,
                                 .destination_port = 0x0304});
}
