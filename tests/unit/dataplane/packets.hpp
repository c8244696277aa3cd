// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

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
ByteVec ethernet(const net::MacAddress& destination, const net::MacAddress& source, Bytes ip);
ByteVec ethernet(const net::MacAddress& destination, const net::MacAddress& source, std::uint16_t type, Bytes payload);
// Without the Ethernet header.
ByteVec ip_of(const ByteVec& frame);

}  // namespace sluice::test
