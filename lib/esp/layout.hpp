// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/crypto/algorithms.hpp"
#include "lib/net/address.hpp"
#include "lib/net/wire.hpp"

namespace sluice::esp {

inline constexpr std::size_t kHeaderSize = sizeof(net::EspHeader);
inline constexpr std::size_t kTrailerSize = sizeof(net::EspTrailer);
inline constexpr std::size_t kMaxIvSize = 16;
inline constexpr std::size_t kMaxIcvSize = 32;
inline constexpr std::size_t kMaxPadding = 255;

// Sizes of an ESP packet (RFC 4303 2), all in bytes:
//   SPI 4 | sequence 4 | IV | inner packet | padding 0..255 | pad length 1 | next header 1 | ICV
// "text" is what is encrypted: inner packet to next header. A value; plain arithmetic for the packet path.
struct Layout {
    std::uint8_t iv_size = 0;
    std::uint8_t icv_size = 0;
    std::uint8_t align = 4;  // text is a multiple of it: the cipher's block, 4 at least (RFC 4303 2.4); a power of two

    static constexpr Layout of(const crypto::EncrInfo& encr, const crypto::IntegInfo* integ) {
        return {.iv_size = encr.iv,
                .icv_size = integ != nullptr ? integ->icv : encr.icv,
                .align = std::max<std::uint8_t>(encr.block, 4)};
    }

    constexpr std::size_t text_offset() const { return kHeaderSize + iv_size; }
    constexpr std::size_t pad_length(std::size_t inner_size) const {
        return (0 - (inner_size + kTrailerSize)) & (std::size_t{align} - 1);
    }
    constexpr std::size_t text_size(std::size_t inner_size) const {
        return inner_size + pad_length(inner_size) + kTrailerSize;
    }
    // The whole ESP packet, from SPI to ICV.
    constexpr std::size_t esp_size(std::size_t inner_size) const {
        return text_offset() + text_size(inner_size) + icv_size;
    }
    // The largest inner packet whose ESP packet is at most room bytes; 0 where none is.
    constexpr std::size_t max_inner(std::size_t room) const {
        const std::size_t fixed = text_offset() + icv_size;
        if (room < fixed + align) return 0;
        return ((room - fixed) & ~(std::size_t{align} - 1)) - kTrailerSize;
    }
    // Whether bytes can be an ESP packet of this layout: room for IV, a trailer and ICV, whole blocks of text.
    constexpr bool size_valid(std::size_t esp_size) const {
        const std::size_t fixed = text_offset() + icv_size;
        return esp_size >= fixed + align && ((esp_size - fixed) & (std::size_t{align} - 1)) == 0;
    }
    // Bytes of text in an ESP packet for which size_valid() holds.
    constexpr std::size_t text_size_of(std::size_t esp_size) const { return esp_size - text_offset() - icv_size; }
};

// What stands before the ESP header on the wire: IP without options or extension headers, and UDP where encapsulated.
struct OuterShape {
    net::Family family = net::Family::v4;
    bool udp = false;

    constexpr std::size_t ip_size() const {
        return family == net::Family::v6 ? sizeof(net::Ipv6Header) : sizeof(net::Ipv4Header);
    }
    constexpr std::size_t size() const { return ip_size() + (udp ? sizeof(net::UdpHeader) : 0); }
};

// The largest inner packet that leaves in one outer packet of mtu bytes (TRAPS 40: padding granularity and UDP count);
// 0 where none does.
constexpr std::size_t inner_mtu(const Layout& layout, const OuterShape& outer, std::size_t mtu) {
    return mtu > outer.size() ? layout.max_inner(mtu - outer.size()) : 0;
}

// The same in transport mode: head bytes of IP headers stay in front, and what follows them goes inside.
constexpr std::size_t transport_mtu(const Layout& layout, bool udp, std::size_t head, std::size_t mtu) {
    const std::size_t front = head + (udp ? sizeof(net::UdpHeader) : 0);
    const std::size_t inner = mtu > front ? layout.max_inner(mtu - front) : 0;
    return inner == 0 ? 0 : head + inner;
}

}  // namespace sluice::esp
