// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dataplane/packets.hpp"

#include <algorithm>

#include "lib/base/byte_writer.hpp"
#include "lib/net/checksum.hpp"
#include "lib/net/wire.hpp"

namespace sluice::test {

namespace {

ByteVec v4_packet(const Ip& ip, const net::IpAddress& source, const net::IpAddress& destination, std::uint8_t protocol,
                  Bytes payload) {
    ByteWriter w;
    w.u8(0x45);
    w.u8(ip.tos);
    w.u16(static_cast<std::uint16_t>(20 + payload.size()));
    w.u16(ip.id);
    w.u16(ip.fragment_field != 0 ? ip.fragment_field : static_cast<std::uint16_t>(ip.dont_fragment ? 0x4000 : 0));
    w.u8(ip.ttl);
    w.u8(protocol);
    w.u16(0);
    w.raw(source.bytes());
    w.raw(destination.bytes());
    net::set_ipv4_checksum(w.mutable_view());
    w.raw(payload);
    return std::move(w).take();
}

ByteVec v6_packet(const Ip& ip, const net::IpAddress& source, const net::IpAddress& destination, std::uint8_t protocol,
                  Bytes payload) {
    ByteWriter w;
    w.u32(6U << 28 | std::uint32_t{ip.tos} << 20);
    w.u16(static_cast<std::uint16_t>(payload.size()));
    w.u8(protocol);
    w.u8(ip.ttl);
    w.raw(source.bytes());
    w.raw(destination.bytes());
    w.raw(payload);
    return std::move(w).take();
}

ByteVec pattern(std::size_t size) {
    ByteVec out(size);
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<Byte>(i * 7 + 1);
    return out;
}

}  // namespace

ByteVec ip_packet(const Ip& ip, std::uint8_t protocol, Bytes payload) {
    const auto source = *net::IpAddress::parse(ip.source);
    const auto destination = *net::IpAddress::parse(ip.destination);
    return source.is_v4() ? v4_packet(ip, source, destination, protocol, payload)
                          : v6_packet(ip, source, destination, protocol, payload);
}

ByteVec udp_packet(const Ip& ip, std::uint16_t source_port, std::uint16_t destination_port, std::size_t payload_size) {
    ByteWriter w;
    w.u16(source_port);
    w.u16(destination_port);
    w.u16(static_cast<std::uint16_t>(8 + payload_size));
    w.u16(0);
    w.raw(pattern(payload_size));
    ByteVec segment = std::move(w).take();
    const auto source = *net::IpAddress::parse(ip.source);
    const auto destination = *net::IpAddress::parse(ip.destination);
    const Be16 sum = net::udp_checksum({.source = source.bytes(),
                                        .destination = destination.bytes(),
                                        .protocol = net::kProtocolUdp,
                                        .length = static_cast<std::uint32_t>(segment.size())},
                                       segment);
    net::store(MutBytes(segment).subspan(6), sum);
    return ip_packet(ip, net::kProtocolUdp, segment);
}

ByteVec icmp_echo(const Ip& ip, std::size_t payload_size) {
    ByteWriter w;
    w.u8(8);
    w.u8(0);
    w.u16(0);
    w.u32(0x00010001);
    w.raw(pattern(payload_size));
    ByteVec message = std::move(w).take();
    net::store(MutBytes(message).subspan(2), net::checksum(message));
    return ip_packet(ip, net::kProtocolIcmp, message);
}

namespace {

net::PseudoHeader pseudo(const net::IpAddress& source, const net::IpAddress& destination, std::uint8_t protocol,
                         std::size_t size) {
    return {.source = source.bytes(),
            .destination = destination.bytes(),
            .protocol = protocol,
            .length = static_cast<std::uint32_t>(size)};
}

}  // namespace

ByteVec tcp_syn(const Ip& ip, std::uint16_t mss) {
    ByteWriter w;
    w.u16(40000);
    w.u16(80);
    w.u32(1);
    w.u32(0);
    w.u16(0x6002);
    w.u16(65535);
    w.u32(0);
    w.u16(0x0204);
    w.u16(mss);
    ByteVec segment = std::move(w).take();
    const auto source = *net::IpAddress::parse(ip.source);
    const auto destination = *net::IpAddress::parse(ip.destination);
    net::store(MutBytes(segment).subspan(16),
               net::upper_checksum(pseudo(source, destination, net::kProtocolTcp, segment.size()), segment));
    return ip_packet(ip, net::kProtocolTcp, segment);
}

std::vector<ByteVec> fragments_of(const ByteVec& packet, std::size_t step) {
    const bool v6 = packet[0] >> 4 == 6;
    const std::size_t head = v6 ? 40 : 20;
    std::vector<ByteVec> out;
    for (std::size_t at = 0; head + at < packet.size(); at += step) {
        const std::size_t size = std::min(step, packet.size() - head - at);
        const bool more = head + at + size < packet.size();
        ByteVec piece(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(head));
        if (v6) {
            const auto field = static_cast<std::uint16_t>(at | (more ? 1U : 0U));
            piece.insert(piece.end(),
                         {packet[6], 0, static_cast<Byte>(field >> 8), static_cast<Byte>(field), 0, 0, 0x12, 0x34});
            piece[6] = net::kProtocolFragment;
        }
        piece.insert(piece.end(), packet.begin() + static_cast<std::ptrdiff_t>(head + at),
                     packet.begin() + static_cast<std::ptrdiff_t>(head + at + size));
        const auto length = static_cast<std::uint16_t>(v6 ? piece.size() - 40 : piece.size());
        net::store(MutBytes(piece).subspan(v6 ? 4 : 2), Be16::of(length));
        if (!v6) {
            net::store(MutBytes(piece).subspan(6),
                       Be16::of(static_cast<std::uint16_t>(at / 8 | (more ? 0x2000U : 0U))));
            net::set_ipv4_checksum(MutBytes(piece).first(20));
        }
        out.push_back(std::move(piece));
    }
    return out;
}

ByteVec icmp_error(const Error& error, Bytes packet) {
    const bool v6 = packet[0] >> 4 == 6;
    const std::size_t whole = std::min<std::size_t>(packet.size(), 500);
    ByteWriter w;
    w.u8(error.type);
    w.u8(error.code);
    w.u16(0);
    w.u32(error.rest);
    w.raw(packet.first(error.quoted == 0 ? whole : error.quoted));
    ByteVec message = std::move(w).take();
    const auto source = *net::IpAddress::parse(error.source);
    const auto destination =
        v6 ? net::IpAddress::v6(packet.subspan(8).first<16>()) : net::IpAddress::v4(packet.subspan(12).first<4>());
    const std::uint8_t protocol = v6 ? net::kProtocolIcmpv6 : net::kProtocolIcmp;
    net::store(MutBytes(message).subspan(2),
               v6 ? net::upper_checksum(pseudo(source, destination, protocol, message.size()), message)
                  : net::checksum(message));
    return ip_packet({.source = error.source, .destination = destination.to_string()}, protocol, message);
}

ByteVec ethernet(const net::MacAddress& destination, const net::MacAddress& source, std::uint16_t type, Bytes payload) {
    ByteWriter w;
    w.raw(destination.bytes);
    w.raw(source.bytes);
    w.u16(type);
    w.raw(payload);
    return std::move(w).take();
}

ByteVec ethernet(const net::MacAddress& destination, const net::MacAddress& source, Bytes ip) {
    return ethernet(destination, source, ip[0] >> 4 == 4 ? net::kEtherIpv4 : net::kEtherIpv6, ip);
}

ByteVec ip_of(const ByteVec& frame) { return {frame.begin() + 14, frame.end()}; }

}  // namespace sluice::test
