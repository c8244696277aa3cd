// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "lib/base/strong.hpp"

namespace sluice::dataplane {

// A hash table from SPI to pointer: open addressing, linear probing. Control alone writes; workers read without locks.
//
// Protocol: a slot's pointer is stored before its key is published (release), and a reader that finds the key reads
// the pointer after it (acquire). A removed slot keeps a tombstone key, so that probe chains stay whole, and may be
// taken by another SPI at once: a reader between the two can therefore meet a pointer of another SPI. So whatever T is,
// the reader compares the SPI inside it; a pointer is freed only after a grace period (Reclaimer).
// The capacity is fixed at start: at most half of the slots are used, and control rebuilds in place of tombstones by
// making a new slot array, which the caller gives to the Reclaimer.
template <class T>
class SpiTable {
    struct alignas(16) Slot {
        std::atomic<std::uint32_t> key{kEmpty};
        std::atomic<T*> value{nullptr};
    };
    static constexpr std::uint32_t kEmpty = 0;      // SPI 0 is never on the wire (RFC 4303 2.1)
    static constexpr std::uint32_t kTombstone = 1;  // 1..255 are reserved by IANA

  public:
    struct Slots {
        explicit Slots(std::size_t size) : slots(size), mask(static_cast<std::uint32_t>(size - 1)) {}
        std::vector<Slot> slots;
        std::uint32_t mask;
    };

    explicit SpiTable(std::uint32_t max_entries) : max_entries_(max_entries) {
        std::size_t size = 64;
        while (size < std::size_t{max_entries} * 2) size *= 2;
        owned_ = std::make_unique<Slots>(size);
        current_.store(owned_.get(), std::memory_order_release);
    }

    // Any thread. The hint brings the first slot into the cache.
    void prefetch(Spi spi) const {
        const Slots& s = *current_.load(std::memory_order_acquire);
        __builtin_prefetch(&s.slots[hash(spi.value) & s.mask]);
    }
    // Any thread. The caller checks that what it gets is for this SPI.
    T* find(Spi spi) const {
        if (spi.value <= kTombstone) return nullptr;
        const Slots& s = *current_.load(std::memory_order_acquire);
        for (std::uint32_t i = hash(spi.value) & s.mask;; i = (i + 1) & s.mask) {
            const std::uint32_t key = s.slots[i].key.load(std::memory_order_acquire);
            if (key == spi.value) return s.slots[i].value.load(std::memory_order_acquire);
            if (key == kEmpty) return nullptr;
        }
    }

    // Control only. False where the SPI is there already, reserved by IANA, or the table is full. Where retired comes
    // back set, it is an old slot array for the Reclaimer.
    bool insert(Spi spi, T* value, std::unique_ptr<Slots>& retired) {
        if (spi.value < 256 || used_ >= max_entries_ || find(spi) != nullptr) return false;
        if ((used_ + tombstones_ + 1) * 4 > owned_->slots.size() * 3) retired = rebuild();
        place(*owned_, spi, value);
        ++used_;
        return true;
    }
    // Control only. The pointer that was there, or null.
    T* remove(Spi spi) {
        Slots& s = *owned_;
        for (std::uint32_t i = hash(spi.value) & s.mask;; i = (i + 1) & s.mask) {
            const std::uint32_t key = s.slots[i].key.load(std::memory_order_relaxed);
            if (key == kEmpty) return nullptr;
            if (key != spi.value) continue;
            s.slots[i].key.store(kTombstone, std::memory_order_release);
            --used_;
            ++tombstones_;
            return s.slots[i].value.load(std::memory_order_relaxed);
        }
    }
    std::uint32_t size() const { return used_; }

  private:
    static std::uint32_t hash(std::uint32_t spi) {
        const std::uint32_t h = spi * 0x9e3779b1U;
        return h ^ (h >> 15);
    }
    void place(Slots& s, Spi spi, T* value) {
        std::uint32_t i = hash(spi.value) & s.mask;
        while (s.slots[i].key.load(std::memory_order_relaxed) > kTombstone) i = (i + 1) & s.mask;
        if (s.slots[i].key.load(std::memory_order_relaxed) == kTombstone) --tombstones_;
        s.slots[i].value.store(value, std::memory_order_release);
        s.slots[i].key.store(spi.value, std::memory_order_release);
    }
    std::unique_ptr<Slots> rebuild() {
        auto fresh = std::make_unique<Slots>(owned_->slots.size());
        tombstones_ = 0;
        for (const Slot& slot : owned_->slots) {
            const std::uint32_t key = slot.key.load(std::memory_order_relaxed);
            if (key > kTombstone) place(*fresh, Spi{key}, slot.value.load(std::memory_order_relaxed));
        }
        current_.store(fresh.get(), std::memory_order_release);
        std::swap(owned_, fresh);
        return fresh;
    }

    std::atomic<const Slots*> current_{nullptr};  // control writes, workers read
    std::unique_ptr<Slots> owned_;                // control
    std::uint32_t max_entries_;
    std::uint32_t used_ = 0;
    std::uint32_t tombstones_ = 0;
};

}  // namespace sluice::dataplane
