// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "apps/bench/scene.hpp"
#include "lib/base/bytes.hpp"
#include "lib/esp/layout.hpp"

// Frames as the benchmark sends and expects them, made without the code that is measured: the ESP in them is sealed and
// opened by the reference codec over OpenSSL.
namespace sluice::bench {

struct FrameShape {
    Direction direction;
    std::uint32_t inner_bytes;
    net::Family outer;
    bool udp;
    esp::Layout layout;

    static FrameShape of(const Shape& shape, const crypto::CipherKeys& suite);
    esp::OuterShape outer_shape() const { return {.family = outer, .udp = udp}; }
    // Of a frame before it enters the gateway, and from the frame's first byte to ESP header and inner packet.
    std::size_t clear_size() const;
    std::size_t sealed_size() const;
    std::size_t esp_offset() const;
    std::size_t received_size() const { return direction == Direction::out ? clear_size() : sealed_size(); }
};

inline constexpr std::uint8_t kTtl = 64;
inline constexpr std::uint32_t kLeastInner = 28;  // IPv4 and UDP header
inline constexpr std::uint32_t kMostInner = 9000;

// Which packet it is: SA, full sequence number, and what its payload begins with.
struct PacketName {
    std::uint32_t sa = 0;
    std::uint64_t seq = 0;
    std::uint32_t payload = 0;
};

// The inner IPv4/UDP packet to or from the peer of an SA, inner.size() bytes.
void write_inner(MutBytes inner, Direction direction, const PacketName& name, std::uint8_t ttl);
// A whole frame on the lan port, clear_size() bytes.
void write_clear_frame(MutBytes frame, const PacketName& name);
// A whole frame on the wan port with an ESP packet of the peer's, sealed_size() bytes.
Result<void> write_sealed_frame(MutBytes frame, const FrameShape& shape, const crypto::CipherKeys& keys, Spi spi,
                                const PacketName& name);

// Whether a frame that left the wan port is this packet, one hop older, sealed; name.seq is taken from the frame. The
// error says what differs.
Result<std::uint64_t> check_sealed_frame(MutBytes frame, const FrameShape& shape, const crypto::CipherKeys& keys,
                                         Spi spi, const PacketName& name);
// Whether a frame that left the lan port is this packet, one hop older, in clear.
Result<void> check_clear_frame(Bytes frame, const FrameShape& shape, const PacketName& name);

}  // namespace sluice::bench
