// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/bytes.hpp"

namespace sluice {

// A cursor over untrusted bytes. Every read checks the length first and fails whole: a failed read moves nothing and
// changes nothing. Integers are read from network order into host order.
class ByteReader {
  public:
    explicit ByteReader(Bytes bytes) : rest_(bytes) {}

    std::size_t remaining() const { return rest_.size(); }
    bool empty() const { return rest_.empty(); }
    Bytes rest() const { return rest_; }

    std::optional<Bytes> take(std::size_t n) {
        if (n > rest_.size()) return std::nullopt;
        const Bytes head = rest_.first(n);
        rest_ = rest_.subspan(n);
        return head;
    }
    bool skip(std::size_t n) { return take(n).has_value(); }
    std::optional<std::uint8_t> u8() { return integer<std::uint8_t>(); }
    std::optional<std::uint16_t> u16() { return integer<std::uint16_t>(); }
    std::optional<std::uint32_t> u32() { return integer<std::uint32_t>(); }
    std::optional<std::uint64_t> u64() { return integer<std::uint64_t>(); }

  private:
    template <class T>
    std::optional<T> integer() {
        const auto head = take(sizeof(T));
        if (!head) return std::nullopt;
        std::uint64_t value = 0;
        for (const Byte b : *head) value = value << 8 | b;
        return static_cast<T>(value);
    }
    Bytes rest_;
};

}  // namespace sluice
