// SPDX-License-Identifier: Apache-2.0
#include "lib/net/checksum.hpp"

#include <bit>
#include <cstring>

namespace sluice::net {
namespace {

static_assert(std::endian::native == std::endian::little, "the odd last byte is the low byte of its word");

// Where a protocol keeps its checksum; 0 where this file does not finish it.
std::size_t checksum_offset(std::uint8_t protocol) {
    if (protocol == kProtocolTcp) return offsetof(TcpHeader, checksum);
    if (protocol == kProtocolUdp) return offsetof(UdpHeader, checksum);
    return 0;
}

std::size_t least_size(std::uint8_t protocol) {
    return protocol == kProtocolTcp ? sizeof(TcpHeader) : sizeof(UdpHeader);
}

}  // namespace

void ChecksumSum::add(Bytes bytes) {
    const Byte* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 4; at += 4, left -= 4) {
        std::uint32_t word;
        std::memcpy(&word, at, 4);
        value += word;
    }
    if (left >= 2) {
        std::uint16_t word;
        std::memcpy(&word, at, 2);
        value += word;
        at += 2;
        left -= 2;
    }
    if (left == 1) value += *at;
}

Be16 checksum(Bytes bytes) {
    ChecksumSum sum;
    sum.add(bytes);
    return sum.finish();
}

void set_ipv4_checksum(MutBytes header) {
    const std::size_t offset = offsetof(Ipv4Header, checksum);
    store(header.subspan(offset), Be16{});
    store(header.subspan(offset), checksum(header));
}

bool ipv4_checksum_ok(Bytes header) { return checksum(header).raw() == 0; }

ChecksumSum pseudo_header_sum(const PseudoHeader& pseudo) {
    ChecksumSum sum;
    sum.add(pseudo.source);
    sum.add(pseudo.destination);
    sum.add(Be16::of(static_cast<std::uint16_t>(pseudo.length >> 16)));
    sum.add(Be16::of(static_cast<std::uint16_t>(pseudo.length)));
    sum.add(Be16::of(pseudo.protocol));
    return sum;
}

Be16 upper_checksum(const PseudoHeader& pseudo, Bytes segment) {
    ChecksumSum sum = pseudo_header_sum(pseudo);
    sum.add(segment);
    return sum.finish();
}

Be16 udp_checksum(const PseudoHeader& pseudo, Bytes segment) {
    const Be16 sum = upper_checksum(pseudo, segment);
    return sum.raw() == 0 ? Be16::of_raw(0xffff) : sum;
}

void renew_upper_checksum(const PseudoHeader& pseudo, MutBytes segment) {
    const bool icmp = pseudo.protocol == kProtocolIcmpv6 && pseudo.source.size() == 16;
    const std::size_t offset = icmp ? offsetof(IcmpHeader, checksum) : checksum_offset(pseudo.protocol);
    if (offset == 0 || segment.size() < (icmp ? sizeof(IcmpHeader) : least_size(pseudo.protocol))) return;
    const MutBytes field = segment.subspan(offset, sizeof(Be16));
    const bool udp = pseudo.protocol == kProtocolUdp;
    if (udp && pseudo.source.size() == 4 && load<Be16>(field).raw() == 0) return;
    store(field, Be16{});
    store(field, udp ? udp_checksum(pseudo, segment) : upper_checksum(pseudo, segment));
}

bool upper_checksum_ok(const PseudoHeader& pseudo, Bytes segment) { return upper_checksum(pseudo, segment).raw() == 0; }

PartialChecksum finish_partial_checksum(const PseudoHeader& pseudo, MutBytes segment) {
    const std::size_t offset = checksum_offset(pseudo.protocol);
    if (offset == 0 || segment.size() < least_size(pseudo.protocol)) return PartialChecksum::none;
    const auto field = load<Be16>(segment.subspan(offset));
    if (field.raw() != pseudo_header_sum(pseudo).folded() || upper_checksum_ok(pseudo, segment)) {
        return PartialChecksum::none;
    }
    // The field already holds the pseudo header's sum, so the plain sum over the segment is the whole one.
    const Be16 sum = checksum(segment);
    const bool udp = pseudo.protocol == kProtocolUdp;
    store(segment.subspan(offset), udp && sum.raw() == 0 ? Be16::of_raw(0xffff) : sum);
    return PartialChecksum::finished;
}

}  // namespace sluice::net
