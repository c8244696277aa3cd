// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/base/time.hpp"
#include "lib/net/packet.hpp"

namespace sluice::net {

// Errors that a router sends about a packet. The family of the packet decides type and code.
enum class IcmpError : std::uint8_t {
    packet_too_big,    // fragmentation needed (RFC 1191 4) or packet too big (RFC 4443 3.2)
    time_exceeded,     // TTL or hop limit ran out in transit
    no_route,          // network unreachable, no route to destination
    host_unreachable,  // the last hop does not answer
    admin_prohibited,  // policy refuses it
};

// The most that write_icmp_error() writes: 576 bytes for IPv4 (RFC 1812 4.3.2.3), 1280 for IPv6 (RFC 4443 2.4 c).
inline constexpr std::size_t kMaxIcmpv4Error = kMinIpv4Reassembly;
inline constexpr std::size_t kMaxIcmpv6Error = kMinIpv6Mtu;

// Whether an error may be sent about a packet that parsed (RFC 1812 4.3.2.7, RFC 4443 2.4 e): never about ICMP errors
// and redirects, later fragments, multicast or broadcast (packet too big for IPv6 multicast excepted), or to a source
// that is no single host. Link-layer broadcasts, directed broadcasts and rate limits are the caller's.
bool icmp_error_allowed(IcmpError error, const Packet& packet, Bytes bytes);

struct IcmpErrorInput {
    IcmpError error = IcmpError::time_exceeded;
    IpAddress source;       // an address of this router, of the packet's family
    std::uint32_t mtu = 0;  // for packet_too_big, bytes; raised to the family's least
};
// Writes the whole error packet, IP header to quoted bytes. bytes: the offending packet as it arrived (its TTL not yet
// decremented), contiguous; what is beyond it is not quoted. Returns the size, or 0 where out is too small for the
// least quote (header and 8 bytes) or the family of source is another.
std::size_t write_icmp_error(const IcmpErrorInput& input, const Packet& packet, Bytes bytes, MutBytes out);

// Token bucket for errors (RFC 4443 2.4 f): rate a second on average, burst at once. Time is handed in.
class IcmpRateLimit {
  public:
    IcmpRateLimit(std::uint32_t rate, std::uint32_t burst)
        : interval_(Duration(std::chrono::seconds(1)) / std::max<std::uint32_t>(rate, 1)), depth_(interval_ * burst) {}
    bool take(Instant now) {
        const Instant floor = now - depth_;
        if (empty_until_ < floor) empty_until_ = floor;
        if (empty_until_ + interval_ > now) return false;
        empty_until_ += interval_;
        return true;
    }

  private:
    Duration interval_;
    Duration depth_;
    Instant empty_until_ = Instant(Duration::min() / 2);  // tokens count from here to now
};

}  // namespace sluice::net
