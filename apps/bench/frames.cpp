// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/frames.hpp"

#include <algorithm>
#include <cstring>

#include "lib/base/byte_writer.hpp"
#include "lib/esp/codec.hpp"
#include "lib/net/checksum.hpp"
#include "lib/net/wire.hpp"

namespace sluice::bench {

namespace {

constexpr std::size_t kEthernet = sizeof(net::EthernetHeader);
constexpr std::uint16_t kPeerPort = 2000;
constexpr std::uint16_t kHostPort = 1000;

// What payloads are cut from: long enough for the largest packet at any of its beginnings.
constexpr std::size_t kPayloadStarts = 8192;
const std::array<Byte, kPayloadStarts + kMostInner>& payload_bytes() {
    static const auto bytes = [] {
        std::array<Byte, kPayloadStarts + kMostInner> b;
        std::uint32_t v = 1;
        for (Byte& byte : b) byte = static_cast<Byte>((v = v * 1664525U + 1013904223U) >> 24);
        return b;
    }();
    return bytes;
}

void write_ethernet(MutBytes frame, const net::MacAddress& to, const net::MacAddress& from, std::uint16_t type) {
    net::store(frame, net::EthernetHeader{to.bytes, from.bytes, Be16::of(type)});
}

std::array<Byte, 4> v4(const net::IpAddress& a) {
    std::array<Byte, 4> out;
    std::ranges::copy(a.bytes(), out.begin());
    return out;
}
std::array<Byte, 16> v6(const net::IpAddress& a) {
    std::array<Byte, 16> out;
    std::ranges::copy(a.bytes(), out.begin());
    return out;
}

// IP and UDP header before the peer's ESP packet.
void write_outer(MutBytes packet, const FrameShape& shape, std::uint32_t sa) {
    const net::IpAddress from = outer_remote(shape.outer, sa);
    const net::IpAddress to = outer_local(shape.outer);
    const std::uint8_t protocol = shape.udp ? net::kProtocolUdp : net::kProtocolEsp;
    const std::size_t ip_size = shape.outer_shape().ip_size();
    const auto rest = static_cast<std::uint16_t>(packet.size() - ip_size);
    if (shape.outer == net::Family::v4) {
        net::Ipv4Header ip{};
        ip.version_ihl = 0x45;
        ip.total_length = Be16::of(static_cast<std::uint16_t>(packet.size()));
        ip.ttl = kTtl;
        ip.protocol = protocol;
        ip.source = v4(from);
        ip.destination = v4(to);
        net::store(packet, ip);
        net::set_ipv4_checksum(packet.first(sizeof(ip)));
    } else {
        net::Ipv6Header ip{};
        ip.version_class_flow = net::Ipv6Header::make_first_word(0, sa);
        ip.payload_length = Be16::of(rest);
        ip.next_header = protocol;
        ip.hop_limit = kTtl;
        ip.source = v6(from);
        ip.destination = v6(to);
        net::store(packet, ip);
    }
    if (shape.udp) {
        const Be16 port = Be16::of(net::kPortNatTraversal);
        net::store(packet.subspan(ip_size), net::UdpHeader{port, port, Be16::of(rest), Be16{}});
    }
}

// Whether the outer headers are those of the gateway's to the peer of an SA.
Result<void> check_outer(Bytes frame, const FrameShape& shape, std::uint32_t sa) {
    const auto wrong = [](const char* what) { return fail(ErrorCode::invalid, std::string("outer header: ") + what); };
    const auto eth = net::load<net::EthernetHeader>(frame);
    if (eth.destination != kRouterMac.bytes || eth.source != kWanMac.bytes) return wrong("MAC addresses");
    const Bytes packet = frame.subspan(kEthernet);
    const net::IpAddress to = outer_remote(shape.outer, sa);
    std::uint8_t protocol = 0;
    if (shape.outer == net::Family::v4) {
        const auto ip = net::load<net::Ipv4Header>(packet);
        if (ip.version_ihl != 0x45 || ip.total_length.host() != packet.size()) return wrong("version or length");
        if (!net::ipv4_checksum_ok(packet.first(sizeof(ip)))) return wrong("checksum");
        if (ip.source != v4(outer_local(shape.outer)) || ip.destination != v4(to)) return wrong("addresses");
        protocol = ip.protocol;
    } else {
        const auto ip = net::load<net::Ipv6Header>(packet);
        if (ip.version() != 6 || ip.payload_length.host() + sizeof(ip) != packet.size()) return wrong("length");
        if (ip.source != v6(outer_local(shape.outer)) || ip.destination != v6(to)) return wrong("addresses");
        protocol = ip.next_header;
    }
    if (protocol != (shape.udp ? net::kProtocolUdp : net::kProtocolEsp)) return wrong("protocol");
    if (shape.udp) {
        const auto udp = net::load<net::UdpHeader>(packet.subspan(shape.outer_shape().ip_size()));
        if (udp.length.host() + shape.outer_shape().ip_size() != packet.size()) return wrong("UDP length");
        if ((udp.checksum.host() == 0) != (shape.outer == net::Family::v4)) return wrong("UDP checksum");
    }
    return {};
}

Result<void> check_inner(Bytes inner, Direction direction, const PacketName& name) {
    std::array<Byte, kMostInner> expected;
    const MutBytes wanted = MutBytes(expected).first(inner.size());
    write_inner(wanted, direction, name, kTtl - 1);
    const auto [a, b] = std::ranges::mismatch(inner, wanted);
    if (a == inner.end()) return {};
    return fail(ErrorCode::invalid, "byte " + std::to_string(a - inner.begin()) + " of the inner packet differs");
}

}  // namespace

FrameShape FrameShape::of(const Shape& shape, const crypto::CipherKeys& suite) {
    return {.direction = shape.direction,
            .inner_bytes = shape.inner_bytes,
            .outer = shape.gateway.outer,
            .udp = shape.gateway.udp,
            .layout = esp::Codec{suite, true}.layout()};
}

std::size_t FrameShape::clear_size() const { return kEthernet + inner_bytes; }
std::size_t FrameShape::esp_offset() const { return kEthernet + outer_shape().size(); }
std::size_t FrameShape::sealed_size() const { return esp_offset() + layout.esp_size(inner_bytes); }

void write_inner(MutBytes inner, Direction direction, const PacketName& name, std::uint8_t ttl) {
    const bool out = direction == Direction::out;
    const net::IpAddress host = net::IpAddress::v4(kInnerHost);
    const net::IpAddress peer = net::IpAddress::v4(kFirstPeer + name.sa);
    net::Ipv4Header ip{};
    ip.version_ihl = 0x45;
    ip.total_length = Be16::of(static_cast<std::uint16_t>(inner.size()));
    ip.id = Be16::of(static_cast<std::uint16_t>(name.payload));
    ip.ttl = ttl;
    ip.protocol = net::kProtocolUdp;
    ip.source = v4(out ? host : peer);
    ip.destination = v4(out ? peer : host);
    net::store(inner, ip);
    net::set_ipv4_checksum(inner.first(sizeof(ip)));
    const Be16 from = Be16::of(out ? kHostPort : kPeerPort);
    const Be16 to = Be16::of(out ? kPeerPort : kHostPort);
    const Be16 length = Be16::of(static_cast<std::uint16_t>(inner.size() - sizeof(ip)));
    net::store(inner.subspan(sizeof(ip)), net::UdpHeader{from, to, length, Be16{}});
    std::memcpy(inner.data() + kLeastInner, payload_bytes().data() + name.payload % kPayloadStarts,
                inner.size() - kLeastInner);
}

void write_clear_frame(MutBytes frame, const PacketName& name) {
    write_ethernet(frame, kLanMac, kHostMac, net::kEtherIpv4);
    write_inner(frame.subspan(kEthernet), Direction::out, name, kTtl);
}

Result<void> write_sealed_frame(MutBytes frame, const FrameShape& shape, const crypto::CipherKeys& keys, Spi spi,
                                const PacketName& name) {
    std::array<Byte, kMostInner> inner_storage;
    const MutBytes inner = MutBytes(inner_storage).first(shape.inner_bytes);
    write_inner(inner, Direction::in, name, kTtl);
    write_ethernet(frame, kWanMac, kRouterMac, shape.outer == net::Family::v4 ? net::kEtherIpv4 : net::kEtherIpv6);
    write_outer(frame.subspan(kEthernet), shape, name.sa);
    Byte iv[esp::kMaxIvSize];
    for (std::size_t i = 0; i < sizeof(iv); ++i) iv[i] = static_cast<Byte>(name.seq >> 8 * (i % 8));
    return esp::seal({keys, true},
                     {spi, Seq{name.seq}, Bytes(iv).first(shape.layout.iv_size), net::kProtocolIpv4, inner},
                     frame.subspan(shape.esp_offset()));
}

Result<std::uint64_t> check_sealed_frame(MutBytes frame, const FrameShape& shape, const crypto::CipherKeys& keys,
                                         Spi spi, const PacketName& name) {
    if (frame.size() != shape.sealed_size()) {
        return fail(ErrorCode::invalid,
                    std::to_string(frame.size()) + " bytes, expected " + std::to_string(shape.sealed_size()));
    }
    if (const auto outer = check_outer(frame, shape, name.sa); !outer) return outer.error();
    const MutBytes packet = frame.subspan(shape.esp_offset());
    const auto header = net::load<net::EspHeader>(packet);
    if (header.spi.host() != spi.value) return fail(ErrorCode::invalid, "another SPI");
    const Seq seq{header.sequence.host()};  // fewer than 2^32 packets: the high half is 0
    const auto opened = esp::open({keys, true}, seq, packet);
    if (opened.fault != esp::Fault::none) return fail(ErrorCode::auth, "the reference codec does not open it");
    if (opened.inner.size() != shape.inner_bytes) return fail(ErrorCode::invalid, "the inner length differs");
    if (const auto same = check_inner(opened.inner, Direction::out, name); !same) return same.error();
    return seq.value;
}

Result<void> check_clear_frame(Bytes frame, const FrameShape& shape, const PacketName& name) {
    if (frame.size() != shape.clear_size()) return fail(ErrorCode::invalid, "the length differs");
    const auto eth = net::load<net::EthernetHeader>(frame);
    if (eth.destination != kHostMac.bytes || eth.source != kLanMac.bytes || eth.type.host() != net::kEtherIpv4) {
        return fail(ErrorCode::invalid, "the Ethernet header differs");
    }
    return check_inner(frame.subspan(kEthernet), Direction::in, name);
}

}  // namespace sluice::bench
