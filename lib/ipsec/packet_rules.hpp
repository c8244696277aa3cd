// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace sluice::ipsec {

// What an SA writes into a packet's mark: value in those bits that mask has, the others stay. mask 0: nothing.
struct Mark {
    std::uint32_t value = 0;  // no bits outside mask
    std::uint32_t mask = 0;

    constexpr bool any() const { return mask != 0; }
    constexpr std::uint32_t applied_to(std::uint32_t mark) const { return (mark & ~mask) | value; }
    // Whether a mark is this one, in the bits of the mask.
    constexpr bool matches(std::uint32_t mark) const { return (mark & mask) == value; }
    friend bool operator==(const Mark&, const Mark&) = default;
};

// A size that follows the path instead of being a number of bytes.
inline constexpr std::uint16_t kByPathMtu = 0xffff;
inline constexpr std::uint8_t kNoDscp = 0xff;
inline constexpr std::uint8_t kMaxDscp = 63;  // RFC 2474 3

// What is done to the packets of an SA beside sealing and opening. The default leaves them as they are.
struct PacketRules {
    // Tunnel mode: inner packets are padded to so many bytes, at most to what the path carries (RFC 4303 2.7).
    // kByPathMtu: always to what the path carries.
    std::uint16_t tfc_padding = 0;
    // The largest MSS that a TCP SYN may announce through the SA, either way; 0: it is left alone, kByPathMtu: what
    // fits.
    std::uint16_t mss_clamp = 0;
    std::uint8_t dscp = kNoDscp;  // of every outer header, instead of the inner packet's; tunnel mode
    // Tunnel mode: an ICMP error goes with the packet that it quotes, where its own addresses lie outside the selectors
    // (RFC 4301 6; TRAPS 42).
    bool icmp = true;
    Mark mark_in = {};   // once decrypted
    Mark mark_out = {};  // once sealed
    friend bool operator==(const PacketRules&, const PacketRules&) = default;
};

}  // namespace sluice::ipsec
