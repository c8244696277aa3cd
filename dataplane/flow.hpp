// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/base/be.hpp"
#include "lib/ipsec/traffic_selector.hpp"
#include "lib/net/packet.hpp"

namespace sluice::dataplane {

// An address as a number, so that a range check is two compares. IPv4 in the low 32 bits.
__extension__ using Address128 = unsigned __int128;

inline Address128 to_number(const net::IpAddress& a) {
    Address128 n = 0;
    for (const Byte b : a.bytes()) n = n << 8 | b;
    return n;
}
net::IpAddress to_address(Address128 n, net::Family family);

inline Address128 load_number(const std::array<Byte, 4>& b) {
    std::uint32_t v;
    __builtin_memcpy(&v, b.data(), 4);
    return byte_swap(v);
}
inline Address128 load_number(const std::array<Byte, 16>& b) {
    std::uint64_t v[2];
    __builtin_memcpy(v, b.data(), 16);
    return static_cast<Address128>(byte_swap(v[0])) << 64 | byte_swap(v[1]);
}

// What a policy sees of a packet, as the workers carry it (see ipsec::PacketSelector for the meaning of the ports).
struct Flow {
    Address128 source = 0;
    Address128 destination = 0;
    net::Family family = net::Family::none;
    std::uint8_t protocol = 0;
    bool ports_known = false;
    std::uint8_t unused = 0;  // so that the small fields are one word without holes
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;

    // Asked for every packet: three compares without a branch between them.
    friend bool operator==(const Flow& a, const Flow& b) {
        const Address128 addresses = (a.source ^ b.source) | (a.destination ^ b.destination);
        return (static_cast<std::uint64_t>(addresses | addresses >> 64) | (a.rest() ^ b.rest())) == 0;
    }

  private:
    std::uint64_t rest() const {
        std::uint64_t word;
        static_assert(sizeof(Flow) == 48);
        __builtin_memcpy(&word, reinterpret_cast<const char*>(this) + offsetof(Flow, family), sizeof(word));
        return word;
    }
};
Flow to_flow(const ipsec::PacketSelector& packet);
ipsec::PacketSelector to_selector(const Flow& flow);

// What one end of a selector says of protocol and ports (RFC 4301 4.4.1.1). All ports include those that cannot be
// seen; a range does not; OPAQUE is those alone.
struct PortMatch {
    enum class Kind : std::uint8_t { all, range, opaque };
    std::uint8_t protocol = 0;  // 0: any
    Kind kind = Kind::all;
    std::uint16_t first = 0;
    std::uint16_t last = 65535;

    static PortMatch of(const ipsec::TrafficSelector& s);
    bool matches(std::uint8_t packet_protocol, bool ports_known, std::uint16_t port) const {
        if (protocol != 0 && protocol != packet_protocol) return false;
        if (kind == Kind::all) return true;
        if (kind == Kind::opaque || !ports_known) return kind == Kind::opaque && !ports_known;
        return port >= first && port <= last;
    }
    // Whether it could match if the ports were seen, and the protocol of a later IPv6 fragment whose first one begins
    // with more extension headers.
    bool may_match(std::uint8_t packet_protocol) const {
        return protocol == 0 || protocol == packet_protocol || net::is_skipped_extension(packet_protocol);
    }
    // Whatever the protocol and the ports.
    bool any() const { return protocol == 0 && kind == Kind::all; }
    // One protocol and one port, or one ICMP type and code.
    bool exact() const { return protocol != 0 && kind == Kind::range && first == last; }
};

// One ipsec::TrafficSelector, ready to be compared. One that is turned round has family none and matches nothing.
struct CompiledSelector {
    Address128 first = 0;
    Address128 last = 0;
    PortMatch ports;
    net::Family family = net::Family::none;

    static CompiledSelector of(const ipsec::TrafficSelector& s);
    bool covers(Address128 address, const Flow& flow) const {
        return family == flow.family && address >= first && address <= last;
    }
    bool may_match(Address128 address, const Flow& flow) const {
        return covers(address, flow) && ports.may_match(flow.protocol);
    }
    bool matches(Address128 address, const Flow& flow, std::uint16_t port) const {
        return covers(address, flow) && ports.matches(flow.protocol, flow.ports_known, port);
    }
};

// One range of addresses on each side, whatever the protocol and the ports: what most tunnels have.
template <class Address>
struct AddressRanges {
    Address local_first = 1;  // as it stands, nothing lies inside
    Address local_last = 0;
    Address remote_first = 1;
    Address remote_last = 0;
    bool cover(Address128 local, Address128 remote) const {
        const auto l = static_cast<Address>(local);
        const auto r = static_cast<Address>(remote);
        return l >= local_first && l <= local_last && r >= remote_first && r <= remote_last;
    }
};

// Both sides of a policy or an SA, local first. What a packet needs comes first.
struct CompiledSelectors {
    net::Family plain_family =
        net::Family::none;  // of the ranges that say all that the lists say; none: there are none
    AddressRanges<std::uint32_t> plain_v4;
    std::vector<CompiledSelector> local;
    std::vector<CompiledSelector> remote;
    AddressRanges<Address128> plain_v6;

    static CompiledSelectors of(const ipsec::TrafficSelectors& local, const ipsec::TrafficSelectors& remote);
    bool matches_outbound(const Flow& f) const {
        if (plain_family == f.family) return cover(f.source, f.destination);
        return any(local, f.source, f, f.source_port) && any(remote, f.destination, f, f.destination_port);
    }
    bool may_match_outbound(const Flow& f) const { return may(local, f.source, f) && may(remote, f.destination, f); }
    bool may_match_inbound(const Flow& f) const { return may(remote, f.source, f) && may(local, f.destination, f); }
    bool matches_inbound(const Flow& f) const {
        if (plain_family == f.family) return cover(f.destination, f.source);
        return any(remote, f.source, f, f.source_port) && any(local, f.destination, f, f.destination_port);
    }

  private:
    bool cover(Address128 here, Address128 there) const {
        return plain_family == net::Family::v4 ? plain_v4.cover(here, there) : plain_v6.cover(here, there);
    }
    static bool may(const std::vector<CompiledSelector>& list, Address128 address, const Flow& flow) {
        for (const CompiledSelector& s : list) {
            if (s.may_match(address, flow)) return true;
        }
        return false;
    }
    static bool any(const std::vector<CompiledSelector>& list, Address128 address, const Flow& flow,
                    std::uint16_t port) {
        for (const CompiledSelector& s : list) {
            if (s.matches(address, flow, port)) return true;
        }
        return false;
    }
};

}  // namespace sluice::dataplane
