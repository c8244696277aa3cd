// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "lib/base/be.hpp"
#include "lib/base/bytes.hpp"

// Every header and number that stands on a wire, in one place. The structs have no alignment and no padding, so a
// pointer into a packet may be one, once the length has been checked.
namespace sluice::net {

// Ether types (IEEE 802), host order.
inline constexpr std::uint16_t kEtherIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherArp = 0x0806;
inline constexpr std::uint16_t kEtherVlan = 0x8100;  // 802.1Q tag follows
inline constexpr std::uint16_t kEtherIpv6 = 0x86dd;
inline constexpr std::uint16_t kEtherProviderVlan = 0x88a8;  // 802.1ad

// IP protocol and IPv6 next-header numbers (IANA).
inline constexpr std::uint8_t kProtocolHopByHop = 0;
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolIpv4 = 4;  // IPv4 in IP: ESP tunnel mode's next header
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIpv6 = 41;
inline constexpr std::uint8_t kProtocolRouting = 43;
inline constexpr std::uint8_t kProtocolFragment = 44;
inline constexpr std::uint8_t kProtocolEsp = 50;
inline constexpr std::uint8_t kProtocolAh = 51;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;
inline constexpr std::uint8_t kProtocolNone = 59;  // no next header; in ESP a dummy packet (RFC 4303 2.6)
inline constexpr std::uint8_t kProtocolDestinationOptions = 60;
inline constexpr std::uint8_t kProtocolSctp = 132;
inline constexpr std::uint8_t kProtocolDccp = 33;
inline constexpr std::uint8_t kProtocolMobility = 135;
inline constexpr std::uint8_t kProtocolUdpLite = 136;
inline constexpr std::uint8_t kProtocolHip = 139;
inline constexpr std::uint8_t kProtocolShim6 = 140;
inline constexpr std::uint8_t kProtocolAggfrag = 144;  // RFC 9347

inline constexpr std::uint16_t kPortIke = 500;
inline constexpr std::uint16_t kPortNatTraversal = 4500;

// Limits, bytes.
inline constexpr std::size_t kMinIpv4Mtu = 68;          // RFC 791
inline constexpr std::size_t kMinIpv4Reassembly = 576;  // RFC 791: every host takes this much
inline constexpr std::size_t kMinIpv6Mtu = 1280;        // RFC 8200 5
inline constexpr std::size_t kMaxIpv4HeaderSize = 60;
inline constexpr std::size_t kMaxIpPacketSize = 65535;  // no jumbograms (RFC 2675)
inline constexpr std::size_t kMaxExtensionHeaders = 8;  // a longer chain is refused

struct EthernetHeader {
    std::array<Byte, 6> destination;
    std::array<Byte, 6> source;
    Be16 type;
};
static_assert(sizeof(EthernetHeader) == 14 && alignof(EthernetHeader) == 1);

// What follows an ether type of kEtherVlan: priority:3 | drop eligible:1 | id:12, then the next ether type.
struct VlanTag {
    Be16 control;
    Be16 type;
    static constexpr std::uint16_t kIdMask = 0x0fff;
};
static_assert(sizeof(VlanTag) == 4 && alignof(VlanTag) == 1);

// RFC 826 for Ethernet and IPv4.
struct ArpPacket {
    Be16 hardware_type;  // 1
    Be16 protocol_type;  // kEtherIpv4
    std::uint8_t hardware_size;
    std::uint8_t protocol_size;
    Be16 operation;  // 1 request, 2 reply
    std::array<Byte, 6> sender_mac;
    std::array<Byte, 4> sender_ip;
    std::array<Byte, 6> target_mac;
    std::array<Byte, 4> target_ip;
};
static_assert(sizeof(ArpPacket) == 28 && alignof(ArpPacket) == 1);

// RFC 791 3.1.
struct Ipv4Header {
    std::uint8_t version_ihl;
    std::uint8_t tos;  // DSCP:6 | ECN:2
    Be16 total_length;
    Be16 id;
    Be16 fragment;  // flags:3 | offset in units of 8 bytes:13
    std::uint8_t ttl;
    std::uint8_t protocol;
    Be16 checksum;
    std::array<Byte, 4> source;
    std::array<Byte, 4> destination;

    static constexpr std::uint16_t kDontFragment = 0x4000;
    static constexpr std::uint16_t kMoreFragments = 0x2000;
    static constexpr std::uint16_t kOffsetMask = 0x1fff;
    constexpr unsigned version() const { return version_ihl >> 4; }
    constexpr std::size_t header_size() const { return std::size_t{version_ihl & 15U} * 4; }
    constexpr bool dont_fragment() const { return (fragment.host() & kDontFragment) != 0; }
    constexpr bool more_fragments() const { return (fragment.host() & kMoreFragments) != 0; }
    constexpr std::size_t fragment_offset() const { return (fragment.host() & std::size_t{kOffsetMask}) * 8; }
};
static_assert(sizeof(Ipv4Header) == 20 && alignof(Ipv4Header) == 1);

// RFC 8200 3.
struct Ipv6Header {
    Be32 version_class_flow;  // version:4 | traffic class:8 | flow label:20
    Be16 payload_length;
    std::uint8_t next_header;
    std::uint8_t hop_limit;
    std::array<Byte, 16> source;
    std::array<Byte, 16> destination;

    static constexpr std::uint32_t kFlowMask = 0x000fffff;
    constexpr unsigned version() const { return version_class_flow.host() >> 28; }
    constexpr std::uint8_t traffic_class() const {
        return static_cast<std::uint8_t>(version_class_flow.host() >> 20 & 0xff);
    }
    constexpr std::uint32_t flow_label() const { return version_class_flow.host() & kFlowMask; }
    static constexpr Be32 make_first_word(std::uint8_t traffic_class, std::uint32_t flow_label) {
        return Be32::of(6U << 28 | std::uint32_t{traffic_class} << 20 | (flow_label & kFlowMask));
    }
};
static_assert(sizeof(Ipv6Header) == 40 && alignof(Ipv6Header) == 1);

// The head that hop-by-hop, routing, destination options, mobility, HIP and shim6 share (RFC 6564). AH counts its
// length in other units (RFC 4302 2.2).
struct Ipv6ExtensionHeader {
    std::uint8_t next_header;
    std::uint8_t length;  // units of 8 bytes, the first not counted
};
static_assert(sizeof(Ipv6ExtensionHeader) == 2 && alignof(Ipv6ExtensionHeader) == 1);

struct Ipv6FragmentHeader {
    std::uint8_t next_header;
    std::uint8_t reserved;
    Be16 offset_flags;  // offset in units of 8 bytes:13 | reserved:2 | more:1
    Be32 id;
    static constexpr std::uint16_t kMoreFragments = 1;
    constexpr bool more_fragments() const { return (offset_flags.host() & kMoreFragments) != 0; }
    constexpr std::size_t fragment_offset() const { return offset_flags.host() & 0xfff8U; }
};
static_assert(sizeof(Ipv6FragmentHeader) == 8 && alignof(Ipv6FragmentHeader) == 1);

struct UdpHeader {
    Be16 source_port;
    Be16 destination_port;
    Be16 length;    // header included
    Be16 checksum;  // 0: none
};
static_assert(sizeof(UdpHeader) == 8 && alignof(UdpHeader) == 1);

struct TcpHeader {
    Be16 source_port;
    Be16 destination_port;
    Be32 sequence;
    Be32 acknowledgement;
    std::uint8_t data_offset;  // units of 4 bytes:4 | reserved:4
    std::uint8_t flags;
    Be16 window;
    Be16 checksum;
    Be16 urgent;
    static constexpr std::uint8_t kFlagSyn = 0x02;
    constexpr std::size_t header_size() const { return std::size_t{data_offset} >> 4 << 2; }
};
static_assert(sizeof(TcpHeader) == 20 && alignof(TcpHeader) == 1);

// ICMP and ICMPv6 alike (RFC 792, RFC 4443): what rest means depends on the type.
struct IcmpHeader {
    std::uint8_t type;
    std::uint8_t code;
    Be16 checksum;
    Be32 rest;  // unused, an MTU, a pointer, or id and sequence
};
static_assert(sizeof(IcmpHeader) == 8 && alignof(IcmpHeader) == 1);

// ICMP types and codes that this gateway sends or treats in a special way.
inline constexpr std::uint8_t kIcmpEchoReply = 0;
inline constexpr std::uint8_t kIcmpUnreachable = 3;
inline constexpr std::uint8_t kIcmpNetUnreachable = 0;
inline constexpr std::uint8_t kIcmpHostUnreachable = 1;
inline constexpr std::uint8_t kIcmpFragmentationNeeded = 4;
inline constexpr std::uint8_t kIcmpAdminProhibited = 13;  // RFC 1812 5.2.7.1
inline constexpr std::uint8_t kIcmpSourceQuench = 4;
inline constexpr std::uint8_t kIcmpRedirect = 5;
inline constexpr std::uint8_t kIcmpEchoRequest = 8;
inline constexpr std::uint8_t kIcmpTimeExceeded = 11;
inline constexpr std::uint8_t kIcmpParameterProblem = 12;
inline constexpr std::uint8_t kIcmpv6Unreachable = 1;
inline constexpr std::uint8_t kIcmpv6NoRoute = 0;
inline constexpr std::uint8_t kIcmpv6AdminProhibited = 1;
inline constexpr std::uint8_t kIcmpv6AddressUnreachable = 3;
inline constexpr std::uint8_t kIcmpv6PacketTooBig = 2;
inline constexpr std::uint8_t kIcmpv6TimeExceeded = 3;
inline constexpr std::uint8_t kIcmpv6ParameterProblem = 4;
inline constexpr std::uint8_t kIcmpv6FirstInformational = 128;
inline constexpr std::uint8_t kIcmpv6EchoRequest = 128;
inline constexpr std::uint8_t kIcmpv6EchoReply = 129;
inline constexpr std::uint8_t kIcmpv6RouterSolicitation = 133;
inline constexpr std::uint8_t kIcmpv6NeighbourSolicitation = 135;
inline constexpr std::uint8_t kIcmpv6NeighbourAdvertisement = 136;
inline constexpr std::uint8_t kIcmpv6Redirect = 137;

// RFC 4303 2: before the IV, and after the padding.
struct EspHeader {
    Be32 spi;
    Be32 sequence;  // the low half with ESN
};
static_assert(sizeof(EspHeader) == 8 && alignof(EspHeader) == 1);

struct EspTrailer {
    std::uint8_t pad_length;
    std::uint8_t next_header;
};
static_assert(sizeof(EspTrailer) == 2 && alignof(EspTrailer) == 1);

// A copy of a header out of bytes whose length the caller has checked (asserted by the span in debug builds only).
template <class Header>
Header load(Bytes bytes) {
    static_assert(alignof(Header) == 1);
    Header header;
    std::memcpy(&header, bytes.data(), sizeof(Header));
    return header;
}
template <class Header>
void store(MutBytes bytes, const Header& header) {
    static_assert(alignof(Header) == 1);
    std::memcpy(bytes.data(), &header, sizeof(Header));
}

}  // namespace sluice::net
