// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <catch2/catch.hpp>
#include <initializer_list>
#include <optional>
#include <string>

#include "lib/net/extension.hpp"
#include "lib/net/packet.hpp"
#include "tests/unit/dataplane/gateway.hpp"

// Transport mode between 192.0.2.1 or 2001:db8::1, which is ours, and .2 or ::2, the peer's.
namespace sluice::test {

struct TransportOptions {
    bool v6 = false;
    bool encap = false;
    std::uint8_t protocol = 0;  // of the selectors, 0: any
    std::uint16_t port = 0;     // at our end, 0: any
    Suite suite{"aes128gcm16", crypto::Encr::aes_gcm_16, 128, crypto::Integ::none};
    bool esn = false;
};

inline ipsec::ChildSa transport_child(const TransportOptions& o) {
    ipsec::ChildSa c = make_child({.suite = o.suite, .outer_v6 = o.v6, .encap = o.encap, .esn = o.esn});
    c.mode = ipsec::Mode::transport;
    const auto host = [&](const net::IpAddress& a) {
        return ipsec::TrafficSelector{.range = net::AddressRange::of(net::Prefix::host(a)), .protocol = o.protocol};
    };
    c.local_ts = {host(c.local.address)};
    c.remote_ts = {host(c.remote.address)};
    if (o.port != 0) c.local_ts[0].start_port = c.local_ts[0].end_port = o.port;
    return c;
}

inline ipsec::Spd spd_of(const ipsec::ChildSa& c) {
    ipsec::Spd spd = make_spd();
    spd.policies[0].local = c.local_ts;
    spd.policies[0].remote = c.remote_ts;
    return spd;
}

inline Ip ours_to_peer(bool v6) {
    if (v6) return {.source = "2001:db8::1", .destination = "2001:db8::2"};
    return {.source = "192.0.2.1", .destination = "192.0.2.2"};
}
inline Ip peer_to_ours(bool v6) {
    if (v6) return {.source = "2001:db8::2", .destination = "2001:db8::1"};
    return {.source = "192.0.2.2", .destination = "192.0.2.1"};
}

// Puts headers between the IPv6 header and the upper layer: 8 bytes each, options that are padding.
inline ByteVec with_extensions(const ByteVec& packet, std::initializer_list<std::uint8_t> kinds) {
    ByteVec out(packet.begin(), packet.begin() + 40);
    std::size_t named_at = 6;
    for (const std::uint8_t kind : kinds) {
        out[named_at] = kind;
        named_at = out.size();
        out.insert(out.end(), {0, 0, 1, 4, 0, 0, 0, 0});
        if (kind == net::kProtocolRouting) out[out.size() - 6] = 4, out[out.size() - 5] = 0;
    }
    out[named_at] = packet[6];
    out.insert(out.end(), packet.begin() + 40, packet.end());
    net::store(MutBytes(out).subspan(4), Be16::of(static_cast<std::uint16_t>(out.size() - 40)));
    return out;
}

// Router alert (RFC 2113), which is four bytes.
inline ByteVec with_ipv4_options(const ByteVec& packet) {
    ByteVec out(packet.begin(), packet.begin() + 20);
    out.insert(out.end(), {0x94, 4, 0, 0});
    out.insert(out.end(), packet.begin() + 20, packet.end());
    out[0] = 0x46;
    net::store(MutBytes(out).subspan(2), Be16::of(static_cast<std::uint16_t>(out.size())));
    net::set_ipv4_checksum(MutBytes(out).first(24));
    return out;
}

class TransportBench {
  public:
    explicit TransportBench(const TransportOptions& options = {}, const Shape& shape = {})
        : gw(shape), child(transport_child(options)) {
        REQUIRE(gw.backend().set_policies(spd_of(child)));
        REQUIRE(gw.backend().install(child));
    }

    // What the peer makes of a packet of its own: headers that stay in front, UDP where it encapsulates, ESP.
    ByteVec seal(const ByteVec& packet, std::size_t head, std::uint64_t seq = 0) {
        if (seq == 0) seq = next_seq_++;
        const net::Packet p = net::parse_packet(packet);
        REQUIRE(p.ok());
        const net::HeaderPlace place = place_at(packet, head);
        const esp::Codec codec{child.inbound.keys, child.esn};
        const Bytes inner = Bytes(packet).subspan(head);
        ByteVec iv(codec.layout().iv_size);
        for (std::size_t i = 0; i < iv.size(); ++i) iv[i] = static_cast<Byte>(seq >> (8 * (i % 8)));
        ByteVec esp(codec.layout().esp_size(inner.size()));
        REQUIRE(esp::seal(codec, {child.inbound.spi, Seq{seq}, iv, place.protocol, inner}, esp));
        ByteVec out(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(head));
        if (child.encap) {
            const auto length = static_cast<std::uint16_t>(8 + esp.size());
            out.insert(out.end(),
                       {0x11, 0x94, 0x11, 0x94, static_cast<Byte>(length >> 8), static_cast<Byte>(length), 0, 0});
        }
        out.insert(out.end(), esp.begin(), esp.end());
        net::rewrite_ip(out, place, child.encap ? net::kProtocolUdp : net::kProtocolEsp);
        return ethernet(kWanMac, kPeerMac, out);
    }

    // The packet that the peer makes of what it gets; nothing where it does not verify.
    std::optional<ByteVec> open(const ByteVec& frame, std::uint64_t seq) const {
        ByteVec packet = ip_of(frame);
        const net::Packet p = net::parse_packet(packet);
        REQUIRE(p.ok());
        CHECK(p.protocol == (child.encap ? net::kProtocolUdp : net::kProtocolEsp));
        const net::HeaderPlace place = net::upper_place(p, packet);
        ByteVec esp(packet.begin() + p.header_size + (child.encap ? 8 : 0), packet.end());
        const auto opened = esp::open({child.outbound.keys, child.esn}, Seq{seq}, esp);
        if (opened.fault != esp::Fault::none) return std::nullopt;
        ByteVec out(packet.begin(), packet.begin() + p.header_size);
        out.insert(out.end(), opened.inner.begin(), opened.inner.end());
        net::rewrite_ip(out, place, opened.next_header);
        return out;
    }

    void send(const ByteVec& packet) { gw.from_host(kWan, ethernet(kPeerMac, kWanMac, packet)); }

    Gateway gw;
    ipsec::ChildSa child;

  private:
    static net::HeaderPlace place_at(const ByteVec& packet, std::size_t head) {
        const net::Packet p = net::parse_packet(packet);
        net::HeaderPlace place = net::transport_place(p, packet);
        REQUIRE(place.offset == head);
        return place;
    }
    std::uint64_t next_seq_ = 1;
};

}  // namespace sluice::test
