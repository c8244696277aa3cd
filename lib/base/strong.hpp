// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace sluice {

// An integer with a meaning: two of different tags neither compare nor convert.
template <class Tag, class Rep>
struct Strong {
    using rep = Rep;
    Rep value{};
    constexpr Strong() = default;
    constexpr explicit Strong(Rep v) : value(v) {}
    friend constexpr auto operator<=>(const Strong&, const Strong&) = default;
};

using Spi = Strong<struct SpiTag, std::uint32_t>;            // RFC 4303 2.1, host order; 0 means none, 1..255 reserved
using Seq = Strong<struct SeqTag, std::uint64_t>;            // RFC 4303 2.2, full 64 bits; the first one sent is 1
using SegmentId = Strong<struct SegmentTag, std::uint16_t>;  // 1..n
using NodeId = Strong<struct NodeTag, std::uint8_t>;         // 0..15, four bits of every IV and SPI
using Incarnation = Strong<struct IncarnationTag, std::uint16_t>;
using WorkerId = Strong<struct WorkerTag, std::uint16_t>;    // 0..workers-1
using PortId = Strong<struct PortTag, std::uint16_t>;        // index of [[port]] in the configuration
using PolicyId = Strong<struct PolicyTag, std::uint32_t>;    // 0 means none
using ChildSaId = Strong<struct ChildSaTag, std::uint32_t>;  // unique in one daemon's life; 0 means none
using IkeSaId = Strong<struct IkeSaTag, std::uint32_t>;      // the same

}  // namespace sluice

template <class Tag, class Rep>
struct std::hash<sluice::Strong<Tag, Rep>> {
    std::size_t operator()(const sluice::Strong<Tag, Rep>& v) const noexcept { return std::hash<Rep>{}(v.value); }
};
