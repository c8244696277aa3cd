// SPDX-License-Identifier: Apache-2.0
#include "dataplane/emission.hpp"

#include <algorithm>
#include <cassert>

namespace sluice::dataplane {

Emission::Emission(WorkerId worker, unsigned workers) : worker_(worker.value), workers_(workers) {
    assert(worker.value < workers && workers <= esp::EmissionGate::kMaxWorkers);
    for (unsigned i = 0; i < kBlocks; ++i) free_[i] = static_cast<std::uint8_t>(kBlocks - 1 - i);
}

Emission::Holder* Emission::holder_of(ChildSaId child, SharedNumbers& numbers) {
    for (unsigned h = 0; h < holder_count_; ++h) {
        if (holders_[h].child == child) return &holders_[h];
    }
    if (holder_count_ == kHolders) return nullptr;
    Holder& fresh = holders_[holder_count_++];
    fresh = {.child = child, .numbers = &numbers, .left = {}, .elsewhere = 0, .look = Look::not_yet};
    return &fresh;
}

// The gate hears of a bound before the numbers are taken, and of the truth after it; while other blocks of the SA wait
// here it has heard of the lowest of them already. True: nothing was held.
bool Emission::announce(SharedNumbers& numbers) const {
    const bool held_nothing = numbers.gate.held(worker_) == esp::EmissionGate::kNothing;
    if (!held_nothing) return false;
    numbers.sequence.prefetch();
    numbers.gate.hold(worker_, Seq(numbers.sequence.last().value + 1));
    return true;
}

Emission::Refusal Emission::take(std::uint8_t at, unsigned wanted, bool held_nothing) {
    Holder& holder = holders_[at];
    SharedNumbers& numbers = *holder.numbers;
    if (free_count_ == 0) {
        if (held_nothing) numbers.gate.release(worker_);
        return Refusal::no_room;
    }
    // The first and the last block may be of one number each.
    const std::uint64_t room = (free_count_ - 1) * esp::kRun + 1;
    const esp::SeqRange range = numbers.sequence.take(std::min<std::uint64_t>(wanted, room));
    if (range.count == 0) {
        if (held_nothing) numbers.gate.release(worker_);
        return Refusal::no_number;
    }
    if (held_nothing) numbers.gate.hold(worker_, range.first);
    holder.left = range;
    adding_ = waiting_;
    for (esp::SeqRange rest = range; rest.count != 0;) {
        const std::uint8_t block = free_[--free_count_];
        blocks_[block].range = esp::first_run(rest);
        blocks_[block].holder = at;
        blocks_[block].count = 0;
        order_[waiting_++] = block;
        rest = {Seq(rest.first.value + blocks_[block].range.count), rest.count - blocks_[block].range.count};
    }
    return Refusal::none;
}

// The block is mostly the one of the packet before, or the one behind it.
void Emission::add(rte_mbuf* m, ChildSaId child, Seq seq) {
    for (unsigned tried = 0; tried < waiting_; ++tried, ++adding_) {
        if (adding_ >= waiting_) adding_ = 0;
        Block& block = blocks_[order_[adding_]];
        const std::uint64_t first = block.range.first.value;
        if (seq.value < first || seq.value - first >= block.range.count) continue;
        if (holders_[block.holder].child != child) continue;
        block.packets[block.count++] = m;
        return;
    }
    assert(false);
}

void Emission::end_burst() {
    for (unsigned h = 0; h < holder_count_; ++h) holders_[h].left.count = 0;
}

// The lines of the others are read once for all blocks of an SA: all of them were taken before. Once one block has to
// wait, those behind it do too.
bool Emission::may_go(Holder& holder, const esp::SeqRange& range, std::uint64_t lost) const {
    if (holder.look == Look::shut) return false;
    if (holder.look == Look::not_yet) {
        holder.elsewhere = holder.numbers->gate.lowest_elsewhere(worker_, workers_, lost);
        holder.look = Look::looked;
    }
    if (esp::EmissionGate::open(range, holder.elsewhere)) return true;
    holder.look = Look::shut;
    return false;
}

void Emission::publish() {
    std::array<std::uint64_t, kHolders> lowest;
    for (unsigned h = 0; h < holder_count_; ++h) lowest[h] = esp::EmissionGate::kNothing;
    for (unsigned i = waiting_; i-- > 0;) lowest[blocks_[order_[i]].holder] = blocks_[order_[i]].range.first.value;
    for (unsigned h = holder_count_; h-- > 0;) {
        esp::EmissionGate& gate = holders_[h].numbers->gate;
        if (lowest[h] != esp::EmissionGate::kNothing) {
            if (gate.held(worker_) != lowest[h]) gate.hold(worker_, Seq(lowest[h]));
            continue;
        }
        gate.release(worker_);
        remove_holder(h);
    }
}

// The last one takes its place.
void Emission::remove_holder(unsigned holder) {
    const unsigned last = --holder_count_;
    if (holder == last) return;
    holders_[holder] = holders_[last];
    for (unsigned i = 0; i < waiting_; ++i) {
        Block& block = blocks_[order_[i]];
        if (block.holder == last) block.holder = static_cast<std::uint8_t>(holder);
    }
}

}  // namespace sluice::dataplane
