// SPDX-License-Identifier: Apache-2.0
// A replay window in slices: each segment of the numbers has a window of its own (FEATURES "The segment hash", mode
// seq).
#include <catch2/catch.hpp>
#include <iostream>
#include <memory>
#include <random>
#include <unordered_set>
#include <vector>

#include "lib/esp/replay.hpp"
#include "lib/ipsec/segment.hpp"

using namespace sluice;
using esp::ReplayVerdict;
using esp::ReplayWindow;

namespace {

constexpr std::uint64_t k2p32 = std::uint64_t{1} << 32;

class Slices {
  public:
    Slices(std::uint16_t count, std::uint32_t size)
        : segments_({.seed = 0x51ce, .segments = count}, net::IpAddress::v4(0xc0000201), Spi(0x12345678)) {
        for (unsigned i = 0; i < count; ++i) slices_.push_back(std::make_unique<Slice>(size));
    }
    ReplayWindow& of(std::uint32_t low) { return slices_[segments_.of(low).value - 1U]->window; }
    std::size_t index(std::uint32_t low) const { return segments_.of(low).value - 1U; }
    std::size_t count() const { return slices_.size(); }
    // As a packet with this number arrives: inferred from its low half, checked, accepted.
    bool arrives(std::uint64_t seq) {
        ReplayWindow& window = of(static_cast<std::uint32_t>(seq));
        const auto full = window.infer(static_cast<std::uint32_t>(seq));
        if (!full || full->value != seq) return false;  // its ICV would not verify
        return window.check(*full) == ReplayVerdict::fresh && window.accept(*full) == ReplayVerdict::fresh;
    }

  private:
    struct Slice {
        explicit Slice(std::uint32_t size) : bitmap(ReplayWindow::words_needed(size)), window(bitmap, size, true) {}
        std::vector<ReplayWindow::Word> bitmap;
        ReplayWindow window;
    };
    ipsec::SequenceSegments segments_;
    std::vector<std::unique_ptr<Slice>> slices_;
};

}  // namespace

TEST_CASE(
    "TRAPS 33, H14: a run of 16 lies in one slice, and a number is accepted once, by whichever slice is its own") {
    for (const std::uint16_t count : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{4}}) {
        CAPTURE(count);
        Slices slices(count, 64);
        std::vector<unsigned> runs(count);
        for (std::uint64_t seq = 1; seq <= 4096; ++seq) {
            const auto low = static_cast<std::uint32_t>(seq);
            REQUIRE(slices.index(low) == slices.index(low & ~15U));
            ++runs[slices.index(low)];
            if (!slices.arrives(seq)) FAIL("refused " << seq);
            if (slices.arrives(seq)) FAIL("accepted twice " << seq);
        }
        for (const unsigned n : runs) CHECK(n > 4096U / count / 2);
    }
}

TEST_CASE("TRAPS 34: ESN goes over 2^32 at every window position, with 1, 2 and 4 slices") {
    for (const std::uint16_t count : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{4}}) {
        for (const std::uint32_t size : {32U, 64U, 1024U}) {
            // Where the edge stands when the wrap is first seen: each place of the window, and a run beyond.
            for (std::uint64_t ahead = 0; ahead <= std::min(size, 80U) + 16; ++ahead) {
                Slices slices(count, size);
                for (std::size_t s = 0; s < slices.count(); ++s) {
                    std::uint32_t low = 0xfffff000;
                    while (slices.index(low) != s) low += 16;
                    slices.of(low).mark_all_seen(Seq(0xffffe000));
                }
                const std::uint64_t start = k2p32 - ahead;
                for (std::uint64_t seq = start; seq < k2p32 + 200; ++seq) {
                    if (!slices.arrives(seq)) FAIL(count << " slices, window " << size << ": lost " << seq);
                }
                for (std::uint64_t seq = start; seq < k2p32 + 200; ++seq) {
                    if (slices.arrives(seq)) FAIL(count << " slices, window " << size << ": twice " << seq);
                }
            }
        }
    }
}

TEST_CASE("TRAPS 33: slices agree with sets over millions of steps of loss, repetition and reordering") {
    const unsigned seed = std::random_device{}();
    std::cout << "slices: seed " << seed << "\n";
    std::mt19937_64 random(seed);
    for (const std::uint16_t count : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{4}}) {
        for (const std::uint32_t size : {32U, 64U, 4096U, 65536U}) {
            Slices slices(count, size);
            struct Model {
                std::uint64_t top = 0;
                std::unordered_set<std::uint64_t> seen;
            };
            std::vector<Model> models(count);
            std::unordered_set<std::uint64_t> accepted;
            std::uint64_t edge = 0;
            for (int step = 0; step < 250'000; ++step) {
                const std::uint64_t back = random() % (size + size / 2 + 2);
                const bool forward = random() % 3 == 0;
                const std::uint64_t seq = forward ? edge + 1 + random() % 40 : edge - std::min(edge, back);
                edge = std::max(edge, seq);
                Model& model = models[slices.index(static_cast<std::uint32_t>(seq))];
                const bool fresh = seq != 0 && seq + size > model.top && model.seen.insert(seq).second;
                if (fresh) model.top = std::max(model.top, seq);
                if (slices.arrives(seq) != fresh) FAIL("step " << step << " seq " << seq << " window " << size);
                if (fresh && !accepted.insert(seq).second) FAIL("accepted twice: " << seq);
            }
        }
    }
}
