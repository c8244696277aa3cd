// SPDX-License-Identifier: Apache-2.0
#include "dataplane/path_mtu.hpp"

#include "lib/net/path_mtu.hpp"

namespace sluice::dataplane {

namespace {

// Whether the quoted packet is one that this SA sends: addresses, and ports where ESP goes in UDP.
bool sends(const ipsec::ChildSa& sa, const Flow& quoted) {
    const bool udp = quoted.protocol == net::kProtocolUdp;
    if (udp != sa.encap || quoted.family != sa.remote.address.family()) return false;
    if (quoted.source != to_number(sa.local.address) || quoted.destination != to_number(sa.remote.address))
        return false;
    return !udp || (quoted.source_port == sa.local.port && quoted.destination_port == sa.remote.port);
}

}  // namespace

void PathMtuBook::remove(const ipsec::ChildSa& sa) {
    const auto [first, last] = by_spi_.equal_range(sa.outbound.spi);
    for (auto it = first; it != last; ++it) {
        if (it->second != sa.id) continue;
        by_spi_.erase(it);
        break;
    }
    paths_.erase(sa.id);
}

std::vector<ChildSaId> PathMtuBook::candidates(Spi spi) const {
    std::vector<ChildSaId> out;
    const auto [first, last] = by_spi_.equal_range(spi);
    for (auto it = first; it != last; ++it) out.push_back(it->second);
    return out;
}

std::uint16_t PathMtuBook::learn(const ipsec::ChildSa& sa, const Event& report) {
    if (!sends(sa, report.flow)) return 0;
    const auto known = paths_.find(sa.id);
    const std::uint16_t current = known != paths_.end() ? known->second.mtu : UINT16_MAX;
    const std::uint16_t mtu =
        net::believed_path_mtu({.family = report.flow.family, .mtu = report.mtu, .quoted = report.quoted}, current);
    if (mtu != 0) paths_[sa.id] = {mtu, report.cycles + age_};
    return mtu;
}

std::vector<ChildSaId> PathMtuBook::take_expired(std::uint64_t now) {
    std::vector<ChildSaId> out;
    for (auto it = paths_.begin(); it != paths_.end();) {
        if (it->second.expires > now) {
            ++it;
            continue;
        }
        out.push_back(it->first);
        it = paths_.erase(it);
    }
    return out;
}

}  // namespace sluice::dataplane
