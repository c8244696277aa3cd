// SPDX-License-Identifier: Apache-2.0
#include "dataplane/flow.hpp"

#include <array>

namespace sluice::dataplane {

net::IpAddress to_address(Address128 n, net::Family family) {
    if (family == net::Family::v4) return net::IpAddress::v4(static_cast<std::uint32_t>(n));
    if (family != net::Family::v6) return {};
    std::array<Byte, 16> bytes{};
    for (std::size_t i = 16; i-- > 0; n >>= 8) bytes[i] = static_cast<Byte>(n);
    return net::IpAddress::v6(bytes);
}

Flow to_flow(const ipsec::PacketSelector& p) {
    return {.source = to_number(p.source),
            .destination = to_number(p.destination),
            .family = p.source.family(),
            .protocol = p.protocol,
            .ports_known = p.ports_known,
            .source_port = p.source_port,
            .destination_port = p.destination_port};
}

ipsec::PacketSelector to_selector(const Flow& f) {
    return {.source = to_address(f.source, f.family),
            .destination = to_address(f.destination, f.family),
            .protocol = f.protocol,
            .ports_known = f.ports_known,
            .source_port = f.source_port,
            .destination_port = f.destination_port};
}

PortMatch PortMatch::of(const ipsec::TrafficSelector& s) {
    const Kind kind = s.all_ports() ? Kind::all : s.is_opaque() ? Kind::opaque : Kind::range;
    return {.protocol = s.protocol, .kind = kind, .first = s.start_port, .last = s.end_port};
}

CompiledSelector CompiledSelector::of(const ipsec::TrafficSelector& s) {
    const bool turned_round = s.range.first.family() != s.range.last.family() || s.range.last < s.range.first;
    return {.first = to_number(s.range.first),
            .last = to_number(s.range.last),
            .ports = PortMatch::of(s),
            .family = turned_round ? net::Family::none : s.range.first.family()};
}

CompiledSelectors CompiledSelectors::of(const ipsec::TrafficSelectors& local, const ipsec::TrafficSelectors& remote) {
    CompiledSelectors out;
    for (const auto& s : local) out.local.push_back(CompiledSelector::of(s));
    for (const auto& s : remote) out.remote.push_back(CompiledSelector::of(s));
    if (out.local.size() != 1 || out.remote.size() != 1) return out;
    const CompiledSelector& here = out.local.front();
    const CompiledSelector& there = out.remote.front();
    if (!here.ports.any() || !there.ports.any() || here.family != there.family) return out;
    out.plain_family = here.family;
    if (here.family == net::Family::v4) {
        const auto v4 = [](Address128 address) { return static_cast<std::uint32_t>(address); };
        out.plain_v4 = {v4(here.first), v4(here.last), v4(there.first), v4(there.last)};
    } else {
        out.plain_v6 = {here.first, here.last, there.first, there.last};
    }
    return out;
}

}  // namespace sluice::dataplane
