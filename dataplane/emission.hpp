// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "lib/base/strong.hpp"
#include "lib/esp/emission_gate.hpp"
#include "lib/esp/shared_sequence.hpp"

struct rte_mbuf;

namespace sluice::dataplane {

// What all workers that seal for one SA count in. Control makes it with the SA.
struct SharedNumbers {
    // last: as SharedSequence.
    explicit SharedNumbers(bool esn, Seq last = Seq(0)) : sequence(esn, last) {}
    esp::SharedSequence sequence;
    esp::SharedIvSource ivs;
    esp::EmissionGate gate;
};

// Where one worker's packets of shared SAs get their numbers and wait, once sealed, until the gate lets them go
// (esp::EmissionGate). In the order of a turn:
//   begin()      SAs that are gone are forgotten, with what waited for them
//   number()     for each packet, before it is sealed; those that a burst needs are taken at once
//   add()        for each packet, once it is sealed, in the order of the numbers
//   end_burst()  numbers of packets that were let go in between are skipped
//   release()    sends what may go
//   publish()    once all that was sent is with the ports, or in a ring to who serves them: tells the others
// A worker for which packets wait does not sleep. All storage is here: kBlocks blocks of kHolders SAs at most; who
// finds no room gets no number, so nobody runs further ahead than that. One thread.
class Emission {
  public:
    static constexpr unsigned kBlocks = 64;
    static constexpr unsigned kHolders = 32;

    Emission(WorkerId worker, unsigned workers);

    enum class Refusal : std::uint8_t { none, no_number, no_room };
    struct Numbered {
        Seq seq;
        Refusal refusal = Refusal::none;
    };
    // wanted(): for how many packets of this SA, this one included, the burst needs a number; asked before
    // they are taken, between the gate's being told of a bound and the numbers' being taken.
    template <class Wanted>
    Numbered number(ChildSaId child, SharedNumbers& numbers, const Wanted& wanted) {
        Holder* holder = holders_.data();
        if (holder_count_ == 0 || holder->child != child) holder = holder_of(child, numbers);
        if (holder == nullptr) return {.seq = Seq(0), .refusal = Refusal::no_room};
        if (holder->left.count == 0) {
            const bool held_nothing = announce(numbers);
            const Refusal refused = take(static_cast<std::uint8_t>(holder - holders_.data()), wanted(), held_nothing);
            if (refused != Refusal::none) return {.seq = Seq(0), .refusal = refused};
        }
        const Seq seq = holder->left.first;
        holder->left = {Seq(seq.value + 1), holder->left.count - 1};
        return {.seq = seq, .refusal = Refusal::none};
    }
    void add(rte_mbuf* m, ChildSaId child, Seq seq);
    void end_burst();
    // lost: bit w, worker w's numbers are not waited for. send(mbuf) for each packet. The blocks that went.
    template <class Send>
    unsigned release(std::uint64_t lost, const Send& send) {
        for (unsigned h = 0; h < holder_count_; ++h) holders_[h].look = Look::not_yet;
        unsigned kept = 0;
        for (unsigned i = 0; i < waiting_; ++i) {
            const std::uint8_t at = order_[i];
            if (may_go(holders_[blocks_[at].holder], blocks_[at].range, lost)) {
                for (rte_mbuf* m : packets_of(at)) send(m);
                give_back(at);
            } else {
                order_[kept++] = at;
            }
        }
        const unsigned went = waiting_ - kept;
        waiting_ = kept;
        return went;
    }
    void publish();

    // find(child): the numbers of the SA, or null where it is gone; drop(mbuf) for each packet that waited for it.
    template <class Find, class Drop>
    void begin(const Find& find, const Drop& drop) {
        for (unsigned h = 0; h < holder_count_;) {
            find(holders_[h].child) != holders_[h].numbers ? forget(h, drop) : static_cast<void>(++h);
        }
    }
    // This worker was declared lost: nobody waits for its numbers any more, so they must not go.
    template <class Drop>
    void give_up(const Drop& drop) {
        while (holder_count_ != 0) {
            esp::EmissionGate& gate = holders_[0].numbers->gate;
            forget(0, drop);
            gate.release(worker_);
        }
    }

    bool empty() const { return holder_count_ == 0; }
    unsigned waiting() const { return waiting_; }
    bool crowded() const { return waiting_ > kBlocks * 3 / 4; }

  private:
    enum class Look : std::uint8_t { not_yet, looked, shut };
    struct Holder {
        ChildSaId child;
        SharedNumbers* numbers = nullptr;  // good for one turn: begin() looks whether it is there still
        esp::SeqRange left;                // of the block that was taken last: numbers that no packet has yet
        std::uint64_t elsewhere = 0;       // what the gate said in this release()
        Look look = Look::not_yet;
    };
    struct Block {
        esp::SeqRange range;
        std::uint8_t holder = 0;
        std::uint8_t count = 0;
        rte_mbuf* packets[esp::kRun];
    };

    Holder* holder_of(ChildSaId child, SharedNumbers& numbers);
    bool announce(SharedNumbers& numbers) const;
    Refusal take(std::uint8_t holder, unsigned wanted, bool held_nothing);
    bool may_go(Holder& holder, const esp::SeqRange& range, std::uint64_t lost) const;
    std::span<rte_mbuf* const> packets_of(std::uint8_t block) const {
        return {blocks_[block].packets, blocks_[block].count};
    }
    void give_back(std::uint8_t block) { free_[free_count_++] = block; }
    void remove_holder(unsigned holder);
    template <class Drop>
    void forget(unsigned holder, const Drop& drop) {
        unsigned kept = 0;
        for (unsigned i = 0; i < waiting_; ++i) {
            const std::uint8_t at = order_[i];
            if (blocks_[at].holder != holder) {
                order_[kept++] = at;
                continue;
            }
            for (rte_mbuf* m : packets_of(at)) drop(m);
            give_back(at);
        }
        waiting_ = kept;
        remove_holder(holder);
    }

    const std::size_t worker_;
    const std::size_t workers_;
    unsigned holder_count_ = 0;
    unsigned waiting_ = 0;
    unsigned adding_ = 0;  // index into order_: whose block the last packet was added to
    unsigned free_count_ = kBlocks;
    std::array<Holder, kHolders> holders_;
    std::array<std::uint8_t, kBlocks> order_{};  // blocks that wait, as they were taken
    std::array<std::uint8_t, kBlocks> free_{};
    std::array<Block, kBlocks> blocks_;
};

}  // namespace sluice::dataplane
