// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lib/base/be.hpp"
#include "lib/base/strong.hpp"
#include "lib/net/address.hpp"
#include "lib/net/jhash.hpp"

namespace sluice::ipsec {

// The cluster's hash: reciprocal_scale(jhash(key, seed), n) + 1 over bytes in network order, so that this function,
// nftables' "jhash ... mod n seed S" and xt_cluster agree bit for bit.
struct SegmentHash {
    std::uint32_t seed = 0;
    std::uint16_t segments = 1;  // n, 1..16 among nodes

    SegmentId ike(const net::IpAddress& peer) const;                      // peer address
    SegmentId outbound(const net::IpAddress& peer, Spi spi) const;        // peer address at install | spi
    SegmentId inbound(const net::IpAddress& destination, Spi spi) const;  // daddr | spi
    // daddr | spi | seq & ~(d - 1), d = 16: runs of 16 numbers stay together. seq_low as on the wire.
    SegmentId inbound_seq(const net::IpAddress& destination, Spi spi, std::uint32_t seq_low) const;
};

// SegmentHash::inbound_seq() of one SA, ready to be asked for each packet. Immutable. The address is the SA's, fixed
// when it is installed, never the one of the packet: whoever could choose it could choose the segment, and with it a
// replay window that has not seen the number.
class SequenceSegments {
  public:
    SequenceSegments(const SegmentHash& hash, const net::IpAddress& destination, Spi spi);
    SegmentId of(std::uint32_t seq_low) const {
        const std::uint32_t hash = hash_(Be32::of(seq_low & ~std::uint32_t{15}).raw());
        return SegmentId(static_cast<std::uint16_t>(net::reciprocal_scale(hash, segments_) + 1));
    }

  private:
    net::JhashTail hash_;
    std::uint32_t segments_;
};

}  // namespace sluice::ipsec
