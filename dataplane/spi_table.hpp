// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/pointer_table.hpp"
#include "lib/base/strong.hpp"

namespace sluice::dataplane {

// What a table of SAs is keyed by, as a number.
struct BySpi {
    template <class T>
    static std::uint32_t key(const T& entry) {
        return entry.spi.value;
    }
};

// From SPI to pointer. Control alone writes; workers read without locks, by PointerTable's protocol. A pointer is freed
// only a grace period after remove(). Any number of entries up to the bound that is given costs memory only for those
// that there are.
template <class T, class KeyOf = BySpi>
class SpiTable {
    static std::uint64_t hash(std::uint32_t key) {
        const std::uint64_t h = key * 0x9e3779b97f4a7c15ULL;
        return h ^ h >> 32;
    }
    struct HashOf {
        std::uint64_t operator()(const T& entry) const { return hash(KeyOf::key(entry)); }
    };
    using Table = PointerTable<T, HashOf>;

  public:
    static constexpr std::size_t kMaxBurst = 64;

    SpiTable(Reclaimer& reclaimer, std::uint32_t max_entries) : max_entries_(max_entries), table_(reclaimer) {}

    // Any thread. Null where it is not there.
    T* find(Spi spi) const {
        return table_.find(hash(spi.value), [spi](const T& entry) { return KeyOf::key(entry) == spi.value; });
    }
    // Any thread. The same for a burst of at most kMaxBurst, one found[i] for each spis[i]: the misses of one stage are
    // under way together, buckets first, then the entries' first lines.
    void find_burst(std::span<const Spi> spis, T** found) const {
        typename Table::Place places[kMaxBurst];
        for (std::size_t i = 0; i < spis.size(); ++i) {
            places[i] = table_.locate(hash(spis[i].value));
            __builtin_prefetch(places[i].bucket);
        }
        for (std::size_t i = 0; i < spis.size(); ++i) {
            __builtin_prefetch(Table::peek(places[i], hash(spis[i].value)));
        }
        for (std::size_t i = 0; i < spis.size(); ++i) {
            const std::uint32_t key = spis[i].value;
            found[i] = Table::find_at(places[i], hash(key), [key](const T& entry) { return KeyOf::key(entry) == key; });
        }
    }

    // Control only. False where the SPI is there already, reserved by IANA (0 to 255, RFC 4303 2.1), or the bound is
    // reached. The entry's key must be set, and stays.
    bool insert(Spi spi, T* entry) {
        if (spi.value < 256 || table_.size() >= max_entries_ || find(spi) != nullptr) return false;
        table_.insert(hash(spi.value), entry);
        return true;
    }
    // Control only. The pointer that was there, or null.
    T* remove(Spi spi) {
        T* const entry = find(spi);
        if (entry != nullptr) table_.remove(hash(spi.value), entry);
        return entry;
    }
    std::uint32_t size() const { return static_cast<std::uint32_t>(table_.size()); }
    std::size_t memory() const { return table_.memory(); }

  private:
    const std::size_t max_entries_;
    Table table_;
};

}  // namespace sluice::dataplane
