// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include "lib/base/bytes.hpp"

namespace sluice {

// Overwrites memory in a way that the compiler may not remove.
void wipe(MutBytes bytes);

// N bytes of key material: wiped when it dies or is moved from, and without any way to print it.
template <std::size_t N>
class Secret {
  public:
    Secret() = default;
    explicit Secret(std::span<const Byte, N> bytes) { std::memcpy(bytes_.data(), bytes.data(), N); }
    Secret(const Secret&) = default;
    Secret& operator=(const Secret&) = default;
    Secret(Secret&& other) noexcept : bytes_(other.bytes_) { wipe(other.bytes_); }
    Secret& operator=(Secret&& other) noexcept {
        if (this != &other) {
            bytes_ = other.bytes_;
            wipe(other.bytes_);
        }
        return *this;
    }
    ~Secret() { wipe(bytes_); }
    std::span<const Byte, N> view() const { return bytes_; }
    std::span<Byte, N> mutable_view() { return bytes_; }

  private:
    std::array<Byte, N> bytes_{};
};

// Key material whose length is known at run time: SK_* keys, DH secrets, PSKs. The same rules as Secret<N>.
class SecretBytes {
  public:
    SecretBytes() = default;
    explicit SecretBytes(std::size_t size) : bytes_(size) {}
    explicit SecretBytes(Bytes bytes) : bytes_(bytes.begin(), bytes.end()) {}
    SecretBytes(const SecretBytes&) = default;
    SecretBytes(SecretBytes&& other) noexcept : bytes_(std::move(other.bytes_)) {}
    SecretBytes& operator=(const SecretBytes& other) {
        if (this != &other) {
            wipe(bytes_);
            bytes_ = other.bytes_;
        }
        return *this;
    }
    SecretBytes& operator=(SecretBytes&& other) noexcept {
        if (this != &other) {
            wipe(bytes_);
            bytes_ = std::move(other.bytes_);
        }
        return *this;
    }
    ~SecretBytes() { wipe(bytes_); }

    std::size_t size() const { return bytes_.size(); }
    bool empty() const { return bytes_.empty(); }
    Bytes view() const { return bytes_; }
    MutBytes mutable_view() { return bytes_; }
    friend bool operator==(const SecretBytes& a, const SecretBytes& b) {
        return constant_time_equal(a.bytes_, b.bytes_);
    }

  private:
    ByteVec bytes_;
};

}  // namespace sluice
