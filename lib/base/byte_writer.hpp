// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstdint>
#include <utility>

#include "lib/base/bytes.hpp"

namespace sluice {

// Appends to a vector that it owns; integers go out in network order. A length that is known only later is written
// by mark_u16() and patch_u16().
class ByteWriter {
  public:
    std::size_t size() const { return bytes_.size(); }
    Bytes view() const { return bytes_; }
    MutBytes mutable_view() { return bytes_; }
    ByteVec take() && { return std::move(bytes_); }

    void u8(std::uint8_t v) { bytes_.push_back(v); }
    void u16(std::uint16_t v) { integer(v, 2); }
    void u32(std::uint32_t v) { integer(v, 4); }
    void u64(std::uint64_t v) { integer(v, 8); }
    void raw(Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
    void zeros(std::size_t n) { bytes_.resize(bytes_.size() + n); }

    // Reserves two bytes and returns their offset for patch_u16().
    std::size_t mark_u16() {
        zeros(2);
        return bytes_.size() - 2;
    }
    void patch_u8(std::size_t offset, std::uint8_t v) {
        assert(offset < bytes_.size());
        bytes_[offset] = v;
    }
    void patch_u16(std::size_t offset, std::size_t v) {
        assert(offset + 2 <= bytes_.size() && v <= 0xffff);
        bytes_[offset] = static_cast<Byte>(v >> 8);
        bytes_[offset + 1] = static_cast<Byte>(v);
    }
    void patch_u32(std::size_t offset, std::size_t v) {
        assert(offset + 4 <= bytes_.size() && v <= 0xffffffff);
        patch_u16(offset, v >> 16);
        patch_u16(offset + 2, v & 0xffff);
    }

  private:
    void integer(std::uint64_t v, int width) {
        for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) bytes_.push_back(static_cast<Byte>(v >> shift));
    }
    ByteVec bytes_;
};

}  // namespace sluice
