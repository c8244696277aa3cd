// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace sluice {

constexpr std::uint16_t byte_swap(std::uint16_t v) { return __builtin_bswap16(v); }
constexpr std::uint32_t byte_swap(std::uint32_t v) { return __builtin_bswap32(v); }
constexpr std::uint64_t byte_swap(std::uint64_t v) { return __builtin_bswap64(v); }

// An unsigned integer as it lies on the wire, in network order, with no alignment. It never converts by itself:
// host() reads it, Be::of() makes one, raw() gives the bits as a load from memory would (for hashes).
template <std::unsigned_integral T>
requires(sizeof(T) > 1) class Be {
  public:
    constexpr Be() = default;
    static constexpr Be of(T host_value) {
        Be be;
        be.store(std::endian::native == std::endian::little ? byte_swap(host_value) : host_value);
        return be;
    }
    static constexpr Be of_raw(T raw_value) {
        Be be;
        be.store(raw_value);
        return be;
    }
    constexpr T raw() const { return std::bit_cast<T>(bytes_); }
    constexpr T host() const { return std::endian::native == std::endian::little ? byte_swap(raw()) : raw(); }
    friend constexpr bool operator==(const Be&, const Be&) = default;

  private:
    struct Storage {
        std::uint8_t b[sizeof(T)] = {};
        friend constexpr bool operator==(const Storage&, const Storage&) = default;
    };
    constexpr void store(T raw_value) { bytes_ = std::bit_cast<Storage>(raw_value); }
    Storage bytes_;
};

using Be16 = Be<std::uint16_t>;
using Be32 = Be<std::uint32_t>;
using Be64 = Be<std::uint64_t>;
static_assert(sizeof(Be16) == 2 && alignof(Be16) == 1);
static_assert(sizeof(Be32) == 4 && alignof(Be32) == 1);
static_assert(sizeof(Be64) == 8 && alignof(Be64) == 1);

}  // namespace sluice
