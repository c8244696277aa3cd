// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/net/address.hpp"

// Packets made by hand, byte by byte, apart from the code under test but for checksums.
namespace sluice::test {

struct Ip {
    std::string source = "10.1.0.10";
    std::string destination = "10.2.0.20";
    std::uint8_t ttl = 64;
    std::uint8_t tos = 0;
    bool dont_fragment = false;
    std::uint16_t fragment_field = 0;  // IPv4: flags and offset as on the wire, instead of dont_fragment
    std::uint16_t id = 0x1234;
};
// Family by the addresses. The checksums are right.
ByteVec ip_packet(const Ip& ip, std::uint8_t protocol, Bytes payload);
ByteVec udp_packet(const Ip& ip, std::uint16_t source_port, std::uint16_t destination_port, std::size_t payload_size);
ByteVec icmp_echo(const Ip& ip, std::size_t payload_size);
// A TCP SYN whose only option is an MSS.
ByteVec tcp_syn(const Ip& ip, std::uint16_t mss);
// The packet in pieces of so many bytes of payload, a multiple of 8, as its source cuts it. IPv4 without options, or
// IPv6 without extension headers.
std::vector<ByteVec> fragments_of(const ByteVec& packet, std::size_t step);
// An ICMP or ICMPv6 error from somebody to the source of a packet. rest: the word behind the checksum.
struct Error {
    std::string source;
    std::uint8_t type = 3;
    std::uint8_t code = 4;
    std::uint32_t rest = 0;
    std::size_t quoted = 0;  // bytes of the packet; 0: all, up to 500
};
ByteVec icmp_error(const Error& error, Bytes packet);
ByteVec ethernet(const net::MacAddress& destination, const net::MacAddress& source, Bytes ip);
ByteVec ethernet(const net::MacAddress& destination, const net::MacAddress& source, std::uint16_t type, Bytes payload);
// Without the Ethernet header.
ByteVec ip_of(const ByteVec& frame);

}  // namespace sluice::test
