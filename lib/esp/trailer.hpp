// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstdint>
#include <cstring>

#include "lib/base/bytes.hpp"
#include "lib/esp/layout.hpp"
#include "lib/net/wire.hpp"

namespace sluice::esp {

// Why an ESP packet was not opened. none is success.
enum class Fault : std::uint8_t {
    none,
    size,          // too short for its SA, or not whole blocks
    icv,           // did not verify
    pad_length,    // more padding than text (TRAPS 32)
    padding,       // not 1, 2, 3, ... (RFC 4303 2.4)
    dummy,         // next header 59: to be dropped without a word, after it has been counted (RFC 4303 2.6)
    inner_length,  // the inner packet says that it is longer than what came
};

namespace detail {
inline constexpr auto kPadding = [] {
    std::array<Byte, kMaxPadding> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<Byte>(i + 1);
    return bytes;
}();

// Up to eight bytes of padding, which is most of it, are compared as one number: the last eight in front of the pad
// length, without what is payload.
inline bool padding_ok(Bytes text, std::size_t payload_size, std::size_t pad_length) {
    if (pad_length == 0) return true;
    if (pad_length > 8 || payload_size + pad_length < 8) {
        return std::memcmp(text.data() + payload_size, kPadding.data(), pad_length) == 0;
    }
    std::uint64_t found;
    std::uint64_t expected;
    std::memcpy(&found, text.data() + payload_size + pad_length - 8, 8);
    std::memcpy(&expected, kPadding.data(), 8);
    static_assert(std::endian::native == std::endian::little);
    const unsigned payload_bits = static_cast<unsigned>(8 - pad_length) * 8;
    return found >> payload_bits == expected << payload_bits >> payload_bits;
}
}  // namespace detail

// Writes padding, pad length and next header over the whole of tail, whose size is pad length + 2.
inline void write_trailer(MutBytes tail, std::uint8_t next_header) {
    assert(tail.size() >= kTrailerSize && tail.size() <= kMaxPadding + kTrailerSize);
    const std::size_t pad_length = tail.size() - kTrailerSize;
    std::memcpy(tail.data(), detail::kPadding.data(), pad_length);
    tail[pad_length] = static_cast<Byte>(pad_length);
    tail[pad_length + 1] = next_header;
}

// The same where padding only fills a block (Layout::pad_length(), 15 bytes at most): stores of fixed size, so
// kShortTrailer bytes at `at` must be writable, whatever size is; what lies behind the trailer is left undefined.
inline constexpr std::size_t kShortTrailer = 15 + kTrailerSize;
inline void write_short_trailer(Byte* at, std::size_t size, std::uint8_t next_header) {
    assert(size >= kTrailerSize && size <= kShortTrailer);
    const std::size_t pad_length = size - kTrailerSize;
    std::memcpy(at, detail::kPadding.data(), 16);
    at[pad_length] = static_cast<Byte>(pad_length);
    at[pad_length + 1] = next_header;
}

struct Trailer {
    Fault fault = Fault::none;
    std::uint8_t next_header = 0;  // meaningless where fault is neither none nor dummy
    std::size_t payload_size = 0;  // what stands before the padding; TFC padding still in it
};

// Reads the end of decrypted and verified text.
inline Trailer read_trailer(Bytes text) {
    if (text.size() < kTrailerSize) return {.fault = Fault::size};
    const std::size_t pad_length = text[text.size() - 2];
    if (pad_length + kTrailerSize > text.size()) return {.fault = Fault::pad_length};
    const std::size_t payload_size = text.size() - kTrailerSize - pad_length;
    if (!detail::padding_ok(text, payload_size, pad_length)) return {.fault = Fault::padding};
    const std::uint8_t next_header = text.back();
    const Fault fault = next_header == net::kProtocolNone ? Fault::dummy : Fault::none;
    return {.fault = fault, .next_header = next_header, .payload_size = payload_size};
}

struct InnerLength {
    Fault fault = Fault::none;
    std::size_t size = 0;
};

// The inner packet's own length in tunnel mode: what follows it is TFC padding (RFC 4303 2.7) and is cut off. Other
// next headers have no length of their own and are taken whole. The packet's version is the parser's to compare with
// next_header.
inline InnerLength inner_length(Bytes payload, std::uint8_t next_header) {
    std::size_t size = payload.size();
    if (next_header == net::kProtocolIpv4) {
        if (payload.size() < sizeof(net::Ipv4Header)) return {.fault = Fault::inner_length};
        size = net::load<net::Ipv4Header>(payload).total_length.host();
        if (size < sizeof(net::Ipv4Header)) return {.fault = Fault::inner_length};
    } else if (next_header == net::kProtocolIpv6) {
        if (payload.size() < sizeof(net::Ipv6Header)) return {.fault = Fault::inner_length};
        size = sizeof(net::Ipv6Header) + net::load<net::Ipv6Header>(payload).payload_length.host();
    }
    if (size > payload.size()) return {.fault = Fault::inner_length};
    return {.size = size};
}

}  // namespace sluice::esp
