// SPDX-License-Identifier: Apache-2.0
#include "lib/ipsec/traffic_selector.hpp"

#include <algorithm>

namespace sluice::ipsec {
namespace {

// Ports of a selector as a set: nothing, all, the unseen ones (OPAQUE), or a range. All includes the unseen ones (RFC
// 4301 4.4.1.1: ANY), a range does not.
bool sane_ports(const TrafficSelector& ts) { return ts.is_opaque() || ts.start_port <= ts.end_port; }

bool sane_range(const net::AddressRange& range) {
    return range.first && range.first.family() == range.last.family() && range.first <= range.last;
}

bool sane(const TrafficSelector& ts) { return sane_range(ts.range) && sane_ports(ts); }

bool ports_contain(const TrafficSelector& outer, const TrafficSelector& inner) {
    if (outer.all_ports()) return true;
    if (outer.is_opaque() || inner.is_opaque()) return outer.is_opaque() && inner.is_opaque();
    return outer.start_port <= inner.start_port && inner.end_port <= outer.end_port;
}

// Sets the ports of common to what both allow; false where that is nothing.
bool intersect_ports(const TrafficSelector& a, const TrafficSelector& b, TrafficSelector& common) {
    if (a.all_ports() || b.all_ports() || (a.is_opaque() && b.is_opaque())) {
        const TrafficSelector& narrower = a.all_ports() ? b : a;
        common.start_port = narrower.start_port;
        common.end_port = narrower.end_port;
        return true;
    }
    if (a.is_opaque() || b.is_opaque()) return false;
    common.start_port = std::max(a.start_port, b.start_port);
    common.end_port = std::min(a.end_port, b.end_port);
    return common.start_port <= common.end_port;
}

}  // namespace

bool TrafficSelector::matches(const net::IpAddress& address, std::uint8_t packet_protocol, bool ports_known,
                              std::uint16_t port) const {
    if (!sane(*this) || !range.contains(address)) return false;
    if (protocol != 0 && protocol != packet_protocol) return false;
    if (all_ports()) return true;
    if (is_opaque()) return !ports_known;
    return ports_known && start_port <= port && port <= end_port;
}

bool TrafficSelector::contains(const TrafficSelector& other) const {
    if (!sane(*this) || !sane(other) || !range.contains(other.range)) return false;
    if (protocol != 0 && protocol != other.protocol) return false;
    return ports_contain(*this, other);
}

std::optional<TrafficSelector> TrafficSelector::intersect(const TrafficSelector& other) const {
    if (!sane(*this) || !sane(other) || !range.overlaps(other.range)) return std::nullopt;
    if (protocol != 0 && other.protocol != 0 && protocol != other.protocol) return std::nullopt;
    TrafficSelector common;
    common.range.first = std::max(range.first, other.range.first);
    common.range.last = std::min(range.last, other.range.last);
    common.protocol = protocol != 0 ? protocol : other.protocol;
    if (!intersect_ports(*this, other, common)) return std::nullopt;
    return common;
}

TrafficSelectors narrow(const TrafficSelectors& configured, const TrafficSelectors& proposed) {
    TrafficSelectors result;
    for (const auto& own : configured) {
        for (const auto& peer : proposed) {
            const auto common = own.intersect(peer);
            if (!common) continue;
            const bool covered =
                std::ranges::any_of(result, [&](const TrafficSelector& ts) { return ts.contains(*common); });
            if (covered) continue;
            std::erase_if(result, [&](const TrafficSelector& ts) { return common->contains(ts); });
            result.push_back(*common);
            if (result.size() == kMaxSelectors) return result;
        }
    }
    return result;
}

bool matches(const TrafficSelectors& source_side, const TrafficSelectors& destination_side,
             const PacketSelector& packet) {
    const bool source = std::ranges::any_of(source_side, [&](const TrafficSelector& ts) {
        return ts.matches(packet.source, packet.protocol, packet.ports_known, packet.source_port);
    });
    return source && std::ranges::any_of(destination_side, [&](const TrafficSelector& ts) {
               return ts.matches(packet.destination, packet.protocol, packet.ports_known, packet.destination_port);
           });
}

}  // namespace sluice::ipsec
