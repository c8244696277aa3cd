// SPDX-License-Identifier: Apache-2.0
#include "lib/net/path_mtu.hpp"

#include <algorithm>

namespace sluice::net {
namespace {

// RFC 1191 7.1, without those below the least.
constexpr std::uint32_t kPlateaus[] = {32000, 17914, 8166, 4352, 2002, 1492, 1006, kLeastIpv4PathMtu};

std::uint32_t step_down(std::uint32_t quoted) {
    const auto* const step = std::find_if(std::begin(kPlateaus), std::end(kPlateaus),
                                          [&](std::uint32_t plateau) { return plateau < quoted; });
    return step != std::end(kPlateaus) ? *step : 0;
}

}  // namespace

std::uint16_t believed_path_mtu(const PathMtuReport& report, std::uint16_t current) {
    const std::uint32_t least = least_path_mtu(report.family);
    std::uint32_t mtu = report.mtu;
    if (report.family == Family::v4) {
        mtu = mtu == 0 ? step_down(report.quoted) : std::max(mtu, least);
    }
    if (mtu < least || mtu >= report.quoted || mtu >= current) return 0;
    return static_cast<std::uint16_t>(mtu);
}

}  // namespace sluice::net
