// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

#include "lib/base/be.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/strong.hpp"

namespace sluice::esp {

// The 8-byte IV of the counter-mode AEADs (RFC 4106 3.1, RFC 7634 2): node:4 | incarnation:16 | counter:44, most
// significant first, so that no two nodes and no two lives of one node can make the same IV under one key. It is its
// own counter, apart from the sequence number: a sequence number can be repeated by mistake after a takeover, an IV
// cannot.
inline constexpr unsigned kIvCounterBits = 44;
inline constexpr unsigned kIvIncarnationBits = 16;
inline constexpr std::uint64_t kIvHardLimit = std::uint64_t{1} << kIvCounterBits;  // no counter reaches it: drop
inline constexpr std::uint64_t kIvSoftLimit = kIvHardLimit / 2;                    // rekey from here on

// The upper 20 bits in place, precomputed for an SA.
constexpr std::uint64_t iv_prefix(NodeId node, Incarnation incarnation) {
    return (std::uint64_t{node.value & 15U} << kIvIncarnationBits | incarnation.value) << kIvCounterBits;
}
// counter is below kIvHardLimit.
constexpr Be64 iv_of(std::uint64_t prefix, std::uint64_t counter) { return Be64::of(prefix | counter); }

constexpr NodeId iv_node(Be64 iv) { return NodeId(static_cast<std::uint8_t>(iv.host() >> 60)); }
constexpr Incarnation iv_incarnation(Be64 iv) {
    return Incarnation(static_cast<std::uint16_t>(iv.host() >> kIvCounterBits));
}
constexpr std::uint64_t iv_counter(Be64 iv) { return iv.host() & (kIvHardLimit - 1); }

// Counters that one worker may use, in order, each once. The zero value holds none. Owned by one thread. A range that
// is dropped with numbers left in it wastes them; that is the point.
class IvRange {
  public:
    constexpr IvRange() = default;
    constexpr IvRange(std::uint64_t first, std::uint64_t end) : next_(first), end_(end) { assert(first <= end); }
    constexpr std::uint64_t left() const { return end_ - next_; }
    constexpr std::optional<std::uint64_t> take() {
        if (next_ == end_) return std::nullopt;
        return next_++;
    }

  private:
    std::uint64_t next_ = 0;
    std::uint64_t end_ = 0;
};

// Where the ranges of one key come from within one incarnation. It only counts up, so a copy must never be used beside
// the original. No atomics: whoever shares one between threads guards it.
class IvSource {
  public:
    constexpr IvSource() = default;
    constexpr explicit IvSource(std::uint64_t used) : next_(used) {}

    // Up to size counters; fewer, at last none, as the hard limit comes near.
    constexpr IvRange allocate(std::uint64_t size) {
        const std::uint64_t room = kIvHardLimit - next_;
        const std::uint64_t granted = size < room ? size : room;
        next_ += granted;
        return {next_ - granted, next_};
    }
    constexpr std::uint64_t used() const { return next_; }
    constexpr bool rekey_due() const { return next_ >= kIvSoftLimit; }
    constexpr bool exhausted() const { return next_ >= kIvHardLimit; }

  private:
    std::uint64_t next_ = 0;  // never above kIvHardLimit
};

// salt | IV (RFC 4106 4, RFC 7634 2): 4-byte salt for GCM and ChaCha20.
inline std::array<Byte, 12> make_nonce(std::span<const Byte, 4> salt, Be64 iv) {
    std::array<Byte, 12> nonce;
    std::memcpy(nonce.data(), salt.data(), 4);
    std::memcpy(nonce.data() + 4, &iv, 8);
    return nonce;
}

// IVs for CBC (TRAPS 36, 61): all 16 bytes unpredictable, so each comes from a strong generator, never from a counter
// or from earlier ciphertext. The pool holds a stretch of such bytes that its owner filled in one go, away from the
// packet: fill() hands out the storage to be overwritten with fresh random bytes. Each block is given once and wiped
// when the next is taken, so forgetting to fill ends in "none left", never in an IV used twice. Owned by one thread.
class RandomIvPool {
  public:
    static constexpr std::size_t kBlock = 16;
    // storage: a multiple of 16 bytes, outlives the pool. Starts empty.
    explicit RandomIvPool(MutBytes storage) : storage_(storage), next_(storage.size()) {
        assert(storage.size() % kBlock == 0);
    }
    std::size_t left() const { return (storage_.size() - next_) / kBlock; }

    // random writes storage().size() unpredictable bytes over what it is given.
    template <class Random>
    void fill(Random&& random) {
        random(storage_);
        next_ = 0;
    }
    // Writes one IV to out; false where none is left, and out is untouched.
    bool take(std::span<Byte, kBlock> out) {
        if (next_ == storage_.size()) return false;
        std::memcpy(out.data(), storage_.data() + next_, kBlock);
        std::memset(storage_.data() + next_, 0, kBlock);
        next_ += kBlock;
        return true;
    }

  private:
    MutBytes storage_;
    std::size_t next_;
};

}  // namespace sluice::esp
