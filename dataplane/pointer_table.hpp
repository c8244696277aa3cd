// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "dataplane/reclaimer.hpp"

namespace sluice::dataplane {

// A set of pointers, found by a 64-bit hash of what each points to. Control alone writes; any thread reads, without
// locks. Extendible hashing: a directory, indexed by the upper bits of the hash, of small pages; a page that is full is
// split by itself, so that a change costs the copy of one page at most (and seldom of the directory, 8 bytes for about
// a hundred entries), however large the table is. An empty table is one page of 2 KiB.
//
// Protocol: a slot is one word, the pointer with 16 bits of the hash above it, stored by release and loaded by acquire.
// An entry never moves within its page. Pages and directories that are replaced are built whole, published by release
// and retired; what a reader finds in an old one is what was there when it began. An entry that does not lie in its
// home bucket is announced there (strays) before it is stored, and taken back after it is removed.
template <class T, class HashOf>
class PointerTable {
    static constexpr unsigned kSlots = 7;
    static constexpr unsigned kBuckets = 32;
    static constexpr unsigned kTagBits = 16;
    static constexpr std::uint64_t kPointerMask = (std::uint64_t{1} << 48) - 1;

    struct alignas(64) Bucket {
        std::atomic<std::uint64_t> slots[kSlots] = {};
        std::atomic<std::uint64_t> strays{0};  // entries of this bucket that lie elsewhere in the page or its chain
    };
    struct Page {
        Bucket buckets[kBuckets];
        std::atomic<Page*> next{nullptr};  // where splitting does not help: hashes that are nearly equal
        unsigned depth = 0;                // control: how many upper bits all entries share
        ~Page() { delete next.load(std::memory_order_relaxed); }
    };
    struct Directory {
        explicit Directory(unsigned b) : bits(b), pages(std::size_t{1} << b) {}
        unsigned bits;
        std::vector<std::atomic<Page*>> pages;
        std::size_t index(std::uint64_t hash) const { return hash >> 1 >> (63 - bits); }
    };

  public:
    // Where a lookup goes on.
    struct Place {
        const Page* page;
        const Bucket* bucket;
    };

    explicit PointerTable(Reclaimer& reclaimer) : reclaimer_(reclaimer), owned_(std::make_unique<Directory>(0)) {
        owned_->pages[0].store(new Page, std::memory_order_relaxed);
        directory_.store(owned_.get(), std::memory_order_release);
    }
    // No reader any more. The entries are the caller's.
    ~PointerTable() {
        for (std::size_t i = 0; i < owned_->pages.size();) {
            Page* const page = page_at(i);
            i += std::size_t{1} << (owned_->bits - page->depth);
            delete page;
        }
    }
    PointerTable(const PointerTable&) = delete;
    PointerTable& operator=(const PointerTable&) = delete;

    // Any thread. In three steps, each of which a burst can prefetch for the next, or in one.
    Place locate(std::uint64_t hash) const {
        const Directory& d = *directory_.load(std::memory_order_acquire);
        const Page* page = d.pages[d.index(hash)].load(std::memory_order_acquire);
        return {page, &page->buckets[home(hash)]};
    }
    // The first entry whose tag fits, most likely the right one: the caller has to compare. Null: none in its bucket.
    static const T* peek(const Place& place, std::uint64_t hash) {
        for (const auto& slot : place.bucket->slots) {
            const std::uint64_t word = slot.load(std::memory_order_acquire);
            if (tag(word) == (hash & kTagMask) && word != 0) return pointer(word);
        }
        return nullptr;
    }
    // matches says whether an entry is the one that is sought.
    template <class Matches>
    static T* find_at(const Place& place, std::uint64_t hash, const Matches& matches) {
        if (T* found = search(*place.bucket, hash, matches)) return found;
        if (place.bucket->strays.load(std::memory_order_acquire) == 0) return nullptr;
        return find_stray(*place.page, hash, matches);
    }
    template <class Matches>
    T* find(std::uint64_t hash, const Matches& matches) const {
        return find_at(locate(hash), hash, matches);
    }

    // Control only. The caller has looked that the same key is not there.
    void insert(std::uint64_t hash, T* entry) {
        ++size_;
        for (;;) {
            Page* const page = page_at(owned_->index(hash));
            if (place_in(*page, hash, entry)) return;
            if (page->depth >= depth_limit()) return place_behind(*page, hash, entry);
            split(page, hash);
        }
    }
    // Control only. old must be there; a reader finds one or the other.
    void replace(std::uint64_t hash, const T* old, T* entry) {
        slot_of(hash, old).first->store(word_of(hash, entry), std::memory_order_release);
    }
    // Control only. The entry must be there; it may be freed after a grace period.
    void remove(std::uint64_t hash, const T* entry) {
        const auto [slot, home_bucket] = slot_of(hash, entry);
        slot->store(0, std::memory_order_release);
        if (home_bucket != nullptr) home_bucket->strays.fetch_sub(1, std::memory_order_release);
        --size_;
    }
    std::size_t size() const { return size_; }
    // Control only. Bytes in pages and directory.
    std::size_t memory() const {
        std::size_t bytes = owned_->pages.size() * sizeof(owned_->pages[0]);
        for (std::size_t i = 0; i < owned_->pages.size();) {
            const Page* page = page_at(i);
            i += std::size_t{1} << (owned_->bits - page->depth);
            for (; page != nullptr; page = page->next.load(std::memory_order_relaxed)) bytes += sizeof(Page);
        }
        return bytes;
    }

  private:
    static constexpr std::uint64_t kTagMask = (1U << kTagBits) - 1;
    static std::uint64_t tag(std::uint64_t word) { return word >> 48; }
    static T* pointer(std::uint64_t word) { return reinterpret_cast<T*>(word & kPointerMask); }
    static std::uint64_t word_of(std::uint64_t hash, T* entry) {
        const auto address = reinterpret_cast<std::uint64_t>(entry);
        assert((address & ~kPointerMask) == 0);
        return hash << 48 | address;
    }
    static unsigned home(std::uint64_t hash) { return (hash >> kTagBits) % kBuckets; }

    template <class Matches>
    static T* search(const Bucket& bucket, std::uint64_t hash, const Matches& matches) {
        for (const auto& slot : bucket.slots) {
            const std::uint64_t word = slot.load(std::memory_order_acquire);
            if (tag(word) == (hash & kTagMask) && word != 0 && matches(*pointer(word))) return pointer(word);
        }
        return nullptr;
    }
    template <class Matches>
    [[gnu::noinline]] static T* find_stray(const Page& first, std::uint64_t hash, const Matches& matches) {
        for (const Page* page = &first; page != nullptr; page = page->next.load(std::memory_order_acquire)) {
            for (const unsigned b : {home(hash), home(hash) ^ 1}) {
                if (T* found = search(page->buckets[b], hash, matches)) return found;
            }
        }
        return nullptr;
    }

    Page* page_at(std::size_t index) const { return owned_->pages[index].load(std::memory_order_relaxed); }
    // Directory entries for entries that there are, and some more for luck: hashes that are alike cannot make it grow.
    unsigned depth_limit() const { return 8U + static_cast<unsigned>(std::bit_width(size_ / (kBuckets * kSlots))); }

    static bool put(Bucket& bucket, std::uint64_t word) {
        for (auto& slot : bucket.slots) {
            if (slot.load(std::memory_order_relaxed) != 0) continue;
            slot.store(word, std::memory_order_release);
            return true;
        }
        return false;
    }
    static bool has_room(const Bucket& bucket) {
        for (const auto& slot : bucket.slots) {
            if (slot.load(std::memory_order_relaxed) == 0) return true;
        }
        return false;
    }
    static bool place_in(Page& page, std::uint64_t hash, T* entry) {
        Bucket& bucket = page.buckets[home(hash)];
        if (put(bucket, word_of(hash, entry))) return true;
        Bucket& other = page.buckets[home(hash) ^ 1];
        if (!has_room(other)) return false;
        bucket.strays.fetch_add(1, std::memory_order_release);
        return put(other, word_of(hash, entry));
    }
    static void place_behind(Page& first, std::uint64_t hash, T* entry) {
        first.buckets[home(hash)].strays.fetch_add(1, std::memory_order_release);
        for (Page* page = &first;;) {
            Page* next = page->next.load(std::memory_order_relaxed);
            if (next == nullptr) {
                next = new Page;
                place_in(*next, hash, entry);
                page->next.store(next, std::memory_order_release);
                return;
            }
            if (place_in(*next, hash, entry)) return;
            page = next;
        }
    }
    // Where the entry lies, and its home bucket if it lies elsewhere.
    std::pair<std::atomic<std::uint64_t>*, Bucket*> slot_of(std::uint64_t hash, const T* entry) {
        Page* const first = page_at(owned_->index(hash));
        Bucket* const home_bucket = &first->buckets[home(hash)];
        for (Page* page = first; page != nullptr; page = page->next.load(std::memory_order_relaxed)) {
            for (const unsigned b : {home(hash), home(hash) ^ 1}) {
                Bucket& bucket = page->buckets[b];
                for (auto& slot : bucket.slots) {
                    if (pointer(slot.load(std::memory_order_relaxed)) != entry) continue;
                    return {&slot, &bucket == home_bucket ? nullptr : home_bucket};
                }
            }
        }
        assert(false);
        return {};
    }

    void split(Page* page, std::uint64_t hash) {
        if (page->depth == owned_->bits) double_directory();
        auto* const low = new Page;
        auto* const high = new Page;
        low->depth = high->depth = page->depth + 1;
        for (const Page* from = page; from != nullptr; from = from->next.load(std::memory_order_relaxed)) {
            for (const Bucket& bucket : from->buckets) {
                for (const auto& slot : bucket.slots) share_out(slot.load(std::memory_order_relaxed), *low, *high);
            }
        }
        const unsigned free_bits = owned_->bits - page->depth;
        const std::size_t first = owned_->index(hash) >> free_bits << free_bits;
        const std::size_t half = std::size_t{1} << (free_bits - 1);
        for (std::size_t i = 0; i < half * 2; ++i) {
            owned_->pages[first + i].store(i < half ? low : high, std::memory_order_release);
        }
        reclaimer_.retire([page] { delete page; });
    }
    static void share_out(std::uint64_t word, Page& low, Page& high) {
        if (word == 0) return;
        T* const entry = pointer(word);
        const std::uint64_t hash = HashOf{}(*entry);
        Page& to = (hash << (low.depth - 1) >> 63) != 0 ? high : low;
        if (!place_in(to, hash, entry)) place_behind(to, hash, entry);
    }
    void double_directory() {
        auto next = std::make_unique<Directory>(owned_->bits + 1);
        for (std::size_t i = 0; i < next->pages.size(); ++i) {
            next->pages[i].store(page_at(i / 2), std::memory_order_relaxed);
        }
        directory_.store(next.get(), std::memory_order_release);
        std::swap(owned_, next);
        reclaimer_.retire(std::move(next));
    }

    Reclaimer& reclaimer_;
    std::atomic<const Directory*> directory_{nullptr};  // control writes, workers read
    std::unique_ptr<Directory> owned_;                  // control
    std::size_t size_ = 0;
};

}  // namespace sluice::dataplane
