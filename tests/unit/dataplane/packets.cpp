// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dataplane/packets.hpp"

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
