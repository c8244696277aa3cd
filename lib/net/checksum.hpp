// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>

#include "lib/base/be.hpp"
#include "lib/net/wire.hpp"

namespace sluice::net {

// The Internet checksum (RFC 1071), worked on in native byte order: the sum of 16-bit words as memory holds them is the
// byte-swapped sum of the host-order words, so results go back to memory as Be16::of_raw() and are never swapped.

// A running sum of an even number of bytes per call but the last. Zero is the sum of nothing.
struct ChecksumSum {
    std::uint64_t value = 0;
    void add(Bytes bytes);  // an odd length only in the last call
    void add(Be16 word) { value += word.raw(); }
    std::uint16_t folded() const {
        std::uint64_t v = (value & 0xffffffff) + (value >> 32);
        v = (v & 0xffff) + (v >> 16);
        v = (v & 0xffff) + (v >> 16);
        v = (v & 0xffff) + (v >> 16);
        return static_cast<std::uint16_t>(v);
    }
    // What goes into the header: the complement of the sum.
    Be16 finish() const { return Be16::of_raw(static_cast<std::uint16_t>(~folded())); }
};

// Checksum over bytes whose own checksum field is zero. Over bytes with a right checksum in them the result is 0.
Be16 checksum(Bytes bytes);

// Sets the header checksum over header and options; the field's old content does not matter.
void set_ipv4_checksum(MutBytes header);
bool ipv4_checksum_ok(Bytes header);
// The same for a header without options, which nearly every packet has: 20 bytes, five words at once.
inline bool plain_ipv4_checksum_ok(const Byte* header) {
    std::uint64_t words[2];
    std::uint32_t last;
    std::memcpy(words, header, 16);
    std::memcpy(&last, header + 16, 4);
    // The sum modulo 2^64 - 1, which 2^16 - 1 divides: each carry comes back in at the bottom.
    std::uint64_t sum;
    sum = words[0] + words[1];
    sum += sum < words[0] ? 1 : 0;
    sum += last;
    sum += sum < last ? 1 : 0;
    std::uint64_t folded = (sum >> 32) + (sum & 0xffffffff);  // below 2^33
    folded = (folded >> 16) + (folded & 0xffff);              // below 2^18
    return folded == 0xffff || folded == 2 * 0xffff || folded == 3 * 0xffff;
}

// Adjusts a checksum for one changed 16-bit word (RFC 1624 eqn. 3), for words at even offsets.
inline Be16 checksum_update(Be16 sum, Be16 old_word, Be16 new_word) {
    std::uint32_t v = static_cast<std::uint16_t>(~sum.raw());
    v += static_cast<std::uint16_t>(~old_word.raw());
    v += new_word.raw();
    v = (v & 0xffff) + (v >> 16);
    v = (v & 0xffff) + (v >> 16);
    return Be16::of_raw(static_cast<std::uint16_t>(~v));
}

// The pseudo header (RFC 768, RFC 9293 3.1, RFC 8200 8.1). length is that of the upper header and its data. addresses
// are source and destination, 4 or 16 bytes each.
struct PseudoHeader {
    Bytes source;
    Bytes destination;
    std::uint8_t protocol = 0;
    std::uint32_t length = 0;
};
ChecksumSum pseudo_header_sum(const PseudoHeader& pseudo);

// The checksum of an upper-layer packet whose checksum field is zero. A computed UDP checksum of 0 goes out as 0xffff
// (RFC 768): udp_checksum() does that, the other does not.
Be16 upper_checksum(const PseudoHeader& pseudo, Bytes segment);
Be16 udp_checksum(const PseudoHeader& pseudo, Bytes segment);
// Whether a segment with its checksum in place is right. Zero UDP checksums are the caller's question (TRAPS 26).
bool upper_checksum_ok(const PseudoHeader& pseudo, Bytes segment);

// Computes the checksum of a TCP, UDP or ICMPv6 segment anew where its addresses have changed on a way that has its own
// integrity check (RFC 3948 3.1.2). A UDP segment over IPv4 without a checksum stays without. Others are left alone.
void renew_upper_checksum(const PseudoHeader& pseudo, MutBytes segment);

// A checksum that the sender left to its NIC: the field holds the pseudo header's sum, not complemented. Virtual
// Ethernet devices hand such packets over unfinished.
enum class PartialChecksum { none, finished };
// Looks at the field of a TCP (6) or UDP (17) segment; where it holds exactly the partial sum and is not right as it
// stands, completes it in place. Anything else is left alone.
PartialChecksum finish_partial_checksum(const PseudoHeader& pseudo, MutBytes segment);

}  // namespace sluice::net
