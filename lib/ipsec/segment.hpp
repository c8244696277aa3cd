// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lib/base/strong.hpp"
#include "lib/net/address.hpp"

namespace sluice::ipsec {

// The cluster's hash: reciprocal_scale(jhash(key, seed), n) + 1 over bytes in network order, so that this function,
// nftables' "jhash ... mod n seed S" and xt_cluster agree bit for bit.
struct SegmentHash {
    std::uint32_t seed = 0;
    std::uint16_t segments = 1;  // n, 1..16

    SegmentId ike(const net::IpAddress& peer) const;                      // peer address
    SegmentId outbound(const net::IpAddress& peer, Spi spi) const;        // peer address at install | spi
    SegmentId inbound(const net::IpAddress& destination, Spi spi) const;  // daddr | spi
    // daddr | spi | seq & ~(d - 1), d = 16: runs of 16 numbers stay together. seq_low as on the wire.
    SegmentId inbound_seq(const net::IpAddress& destination, Spi spi, std::uint32_t seq_low) const;
};

}  // namespace sluice::ipsec
