// SPDX-License-Identifier: Apache-2.0
#include "dataplane/tables.hpp"

namespace sluice::dataplane {

WorkerId Tables::owner_of(const net::IpAddress& address, Spi spi) const {
    const SegmentId cut = segments.part_hash().outbound(address, spi);
    return segments.worker_of(static_cast<std::uint16_t>(cut.value - 1));
}

}  // namespace sluice::dataplane
