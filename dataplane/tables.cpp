// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tables.hpp"

namespace sluice::dataplane {

WorkerId Tables::owner_of(const net::IpAddress& address, Spi spi) const {
    const ipsec::SegmentHash hash{.seed = config.segments.seed, .segments = static_cast<std::uint16_t>(worker_count)};
    return WorkerId{static_cast<std::uint16_t>(hash.outbound(address, spi).value - 1)};
}

}  // namespace sluice::dataplane
