// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cassert>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/strong.hpp"

namespace sluice::esp {

enum class ReplayVerdict : std::uint8_t {
    fresh,      // may be accepted
    duplicate,  // seen before
    too_old,    // left of the window
    invalid,    // 0, which nobody sends (RFC 4303 3.3.3), or outside the number space
};

// The anti-replay window of one inbound SA, or of one slice of it (RFC 4303 3.4.3, the ring of words of RFC 6479).
//
// The order is the RFC's (TRAPS 31): infer() the full number from the 32 bits on the wire, check() it, verify the ICV
// with that number, then accept() that very number. Only accept() changes anything. It checks once more, since two
// copies of a packet in one burst both pass check().
//
// The bitmap is the caller's, zeroed here, so that SA and bitmap lie where their owner wants them; nothing allocates.
// Owned by one thread at a time.
class ReplayWindow {
  public:
    using Word = std::uint64_t;
    static constexpr std::uint32_t kMaxSize = 65536;
    // Without replay protection the high half of an ESN is still to be inferred (TRAPS 33): the nearest wins.
    static constexpr std::uint32_t kInferOnlySize = 1U << 31;
    // RFC 4303 A3: how many high halves beyond the inferred one resync_candidate() offers.
    static constexpr std::uint32_t kMaxResync = 4;

    // Words of bitmap for a window: one more than it fills, rounded up to a power of two. 0 for size 0.
    static constexpr std::size_t words_needed(std::uint32_t size) {
        return size == 0 ? 0 : std::bit_ceil((std::size_t{size} + 63) / 64 + 1);
    }

    // size: packets, 0 (no protection) to kMaxSize. bitmap: words_needed(size) words, which outlive the window.
    ReplayWindow(std::span<Word> bitmap, std::uint32_t size, bool esn)
        : words_(bitmap.data()),
          word_mask_(bitmap.empty() ? 0 : static_cast<std::uint32_t>(bitmap.size() - 1)),
          size_(size),
          esn_(esn) {
        assert(size <= kMaxSize && bitmap.size() == words_needed(size));
        std::fill(bitmap.begin(), bitmap.end(), Word{0});
    }
    ReplayWindow(const ReplayWindow&) = delete;
    ReplayWindow& operator=(const ReplayWindow&) = delete;

    std::uint32_t size() const { return size_; }
    bool esn() const { return esn_; }
    // The right edge: the highest number accepted, 0 before the first.
    Seq top() const { return Seq(highest()); }

    // The full number of a packet (RFC 4303 A2.2). Nothing where it would lie before the first or after the last number
    // of the SA.
    std::optional<Seq> infer(std::uint32_t low) const {
        if (!esn_) return Seq(low);
        const std::uint32_t span = size_ == 0 ? kInferOnlySize : size_;
        const auto top_low = static_cast<std::uint32_t>(highest());
        const auto top_high = static_cast<std::uint32_t>(highest() >> 32);
        const std::uint32_t bottom = top_low - span + 1;  // modulo 2^32
        if (top_low >= span - 1) {                        // the window lies within one high half (case A)
            if (low >= bottom) return join(top_high, low);
            if (top_high == UINT32_MAX) return std::nullopt;
            return join(top_high + 1, low);
        }
        if (low < bottom) return join(top_high, low);  // it spans two (case B), and this is the newer
        if (top_high == 0) return std::nullopt;
        return join(top_high - 1, low);
    }

    // RFC 4303 A3: after a loss so long that the high half was passed over, the number with attempt (1..kMaxResync)
    // more high halves. Nothing where ESN is off or the attempt is out of bounds.
    std::optional<Seq> resync_candidate(std::uint32_t low, std::uint32_t attempt) const {
        const auto inferred = infer(low);
        if (!esn_ || !inferred || attempt == 0 || attempt > kMaxResync) return std::nullopt;
        const std::uint64_t high = (inferred->value >> 32) + attempt;
        if (high > UINT32_MAX) return std::nullopt;
        return join(static_cast<std::uint32_t>(high), low);
    }

    ReplayVerdict check(Seq seq) const {
        if (seq.value == 0 || (!esn_ && seq.value > UINT32_MAX)) return ReplayVerdict::invalid;
        const std::uint64_t top = highest();
        if (size_ == 0 || seq.value > top) return ReplayVerdict::fresh;
        if (top - seq.value >= size_) return ReplayVerdict::too_old;
        return (word(seq.value) & bit(seq.value)) != 0 ? ReplayVerdict::duplicate : ReplayVerdict::fresh;
    }

    // Records a number whose ICV has verified. Anything but fresh means: drop the packet, nothing has changed.
    ReplayVerdict accept(Seq seq) {
        const ReplayVerdict verdict = check(seq);
        if (verdict != ReplayVerdict::fresh) return verdict;
        if (seq.value > highest()) advance(seq.value);
        if (size_ != 0) word(seq.value) |= bit(seq.value);
        return ReplayVerdict::fresh;
    }

    // After a takeover: every number up to edge counts as seen, and so does everything up to the old edge. With size 0
    // only the edge moves.
    void mark_all_seen(Seq edge) {
        const std::uint64_t top = std::max(highest(), edge.value);
        top_.store(top, std::memory_order_relaxed);
        if (size_ == 0) return;
        std::fill(words_, words_ + word_mask_ + 1, ~Word{0});
        word(top) = ~Word{0} >> (63 - (top & 63));  // the numbers above the edge stay open
    }

  private:
    std::uint64_t highest() const { return top_.load(std::memory_order_relaxed); }
    static constexpr Seq join(std::uint32_t high, std::uint32_t low) { return Seq(std::uint64_t{high} << 32 | low); }
    static constexpr Word bit(std::uint64_t seq) { return Word{1} << (seq & 63); }
    Word& word(std::uint64_t seq) { return words_[(seq >> 6) & word_mask_]; }
    Word word(std::uint64_t seq) const { return words_[(seq >> 6) & word_mask_]; }

    // Empties the words that come into the window; a jump past the whole ring empties each once.
    void advance(std::uint64_t seq) {
        if (size_ != 0) {
            const std::uint64_t last_word = highest() >> 6;
            const std::uint64_t fresh_words = std::min<std::uint64_t>((seq >> 6) - last_word, word_mask_ + 1U);
            for (std::uint64_t i = 1; i <= fresh_words; ++i) words_[(last_word + i) & word_mask_] = 0;
        }
        top_.store(seq, std::memory_order_relaxed);
    }

    // The owner writes it; any thread may read top().
    std::atomic<std::uint64_t> top_{0};
    Word* words_;
    std::uint32_t word_mask_;
    std::uint32_t size_;
    bool esn_;
};

// When to spend an A3 attempt (TRAPS 34: capped): only after many packets in a row that nobody could verify, and then
// once every so often, so that forged packets cost at most one more ICV each kInterval packets.
class EsnResync {
  public:
    static constexpr std::uint32_t kThreshold = 64;  // failures in a row before the first attempt
    static constexpr std::uint32_t kInterval = 16;   // failures between attempts after that

    void verified() { failures_ = 0; }
    // Counts one ICV failure; the number of high halves to add for an attempt on this packet, or 0 for none.
    std::uint32_t failed() {
        ++failures_;
        if (failures_ < kThreshold || (failures_ - kThreshold) % kInterval != 0) return 0;
        return (failures_ - kThreshold) / kInterval % ReplayWindow::kMaxResync + 1;
    }

  private:
    std::uint32_t failures_ = 0;
};

}  // namespace sluice::esp
