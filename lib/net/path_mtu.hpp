// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lib/net/address.hpp"

namespace sluice::net {

// A path's MTU is never believed to be below these, whatever somebody says (TRAPS 40): what every IPv4 host takes
// whole, and what every IPv6 link carries.
inline constexpr std::uint16_t kLeastIpv4PathMtu = 576;
inline constexpr std::uint16_t kLeastIpv6PathMtu = 1280;
constexpr std::uint16_t least_path_mtu(Family family) {
    return family == Family::v4 ? kLeastIpv4PathMtu : kLeastIpv6PathMtu;
}

// An ICMP error that says that a packet of ours was too big. Nobody has authenticated it.
struct PathMtuReport {
    Family family = Family::none;
    std::uint32_t mtu = 0;     // bytes; 0: an old router that does not say
    std::uint32_t quoted = 0;  // total size of the packet that it is about
};

// What is to be believed of a report while current is what is known of the path: a smaller value, or 0 for nothing. It
// must be less than the packet that did not fit, and than current: a path is never widened by a report. An IPv6 report
// below the least is no report (RFC 8201 4); an IPv4 one counts as the least; a router that does not say gets the next
// step down of RFC 1191 7.1.
std::uint16_t believed_path_mtu(const PathMtuReport& report, std::uint16_t current);

}  // namespace sluice::net
