// SPDX-License-Identifier: Apache-2.0
#include "lib/esp/emission_gate.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

using namespace sluice;
using esp::EmissionGate;
using esp::SeqRange;
using esp::SharedSequence;

TEST_CASE("TRAPS 44: what must have gone before a block may go") {
    struct Row {
        std::uint64_t first, count, threshold;
    };
    const Row rows[] = {
        {1, 15, 1},    // the first run of all has 15 numbers; nothing is below 1
        {16, 16, 0},   // 31 - 0: nothing that far behind
        {32, 16, 16},  // 47 - 16 = 31, 47 - 15 = 32
        {32, 1, 1},    // 32 - 1 = 31
        {48, 5, 21},   // 52 - 21 = 31
        {37, 11, 37},  // the rest of a run waits for its beginning
        {0x100000000, 16, 0xfffffff0},
    };
    for (const Row& row : rows) {
        INFO("block " << row.first << " + " << row.count);
        const SeqRange block{Seq(row.first), row.count};
        CHECK(EmissionGate::threshold(block) == row.threshold);
        CHECK(EmissionGate::open(block, row.threshold));
        CHECK(EmissionGate::open(block, EmissionGate::kNothing));
        if (row.threshold > 0) CHECK_FALSE(EmissionGate::open(block, row.threshold - 1));
    }
}

TEST_CASE("The lowest number elsewhere leaves out one's own, those who hold nothing, and who is lost") {
    EmissionGate gate;
    CHECK(gate.lowest_elsewhere(0, 3, 0) == EmissionGate::kNothing);
    gate.hold(0, Seq(5));
    gate.hold(1, Seq(40));
    gate.hold(2, Seq(33));
    CHECK(gate.lowest_elsewhere(0, 3, 0) == 33);
    CHECK(gate.lowest_elsewhere(2, 3, 0) == 5);
    CHECK(gate.lowest_elsewhere(0, 2, 0) == 40);
    CHECK(gate.lowest_elsewhere(0, 3, 0b100) == 40);
    gate.release(2);
    CHECK(gate.lowest_elsewhere(0, 3, 0) == 40);
    CHECK(gate.lowest_elsewhere(0, 3, 0b010) == EmissionGate::kNothing);
}

// Every interleaving of a few workers, one access to shared memory a step, over the real counter and gate.
namespace {

constexpr std::uint16_t kNothing16 = 0xffff;
constexpr unsigned kMostHeld = 3;
constexpr unsigned kMostTaken = 2;  // blocks that one take may give: of at most 17 numbers

enum Step : std::uint8_t { idle, looked, announced, took, reading, handing, handed };

struct ModelBlock {
    std::uint16_t first, count;
};
// No padding: a state is compared as bytes.
struct ModelWorker {
    std::uint16_t line = kNothing16;  // of the gate
    std::uint16_t bound = 0;
    std::uint16_t seen = 0;  // lowest elsewhere, as far as it has read
    std::uint8_t step = idle;
    std::uint8_t read = 0;
    std::uint8_t taken = 0;
    std::uint8_t count = 0;
    ModelBlock held[kMostHeld] = {};
};
struct ModelState {
    std::uint16_t last = 15;
    std::uint16_t workers = 2;
    ModelWorker w[3];
    std::string key() const { return {reinterpret_cast<const char*>(this), sizeof(*this)}; }
};
static_assert(sizeof(ModelState) == 4 + 3 * (10 + 4 * kMostHeld));

struct Model {
    unsigned takes_each;
    std::vector<ModelState> states;
    std::vector<std::vector<std::uint32_t>> came_from;
    std::unordered_map<std::string, std::uint32_t> known;
    std::string violation;

    std::uint32_t add(const ModelState& s) {
        const auto [at, fresh] = known.try_emplace(s.key(), static_cast<std::uint32_t>(states.size()));
        if (fresh) {
            states.push_back(s);
            came_from.emplace_back();
        }
        return at->second;
    }
    static EmissionGate& gate_of(const ModelState& s, EmissionGate& gate) {
        for (std::size_t v = 0; v < s.workers; ++v) {
            s.w[v].line == kNothing16 ? gate.release(v) : gate.hold(v, Seq(s.w[v].line));
        }
        return gate;
    }
    static void read_back(ModelState& s, std::size_t w, const EmissionGate& gate) {
        const std::uint64_t held = gate.held(w);
        s.w[w].line = held == EmissionGate::kNothing ? kNothing16 : static_cast<std::uint16_t>(held);
    }

    // Everything that others still hold must be allowed to come after this block.
    void judge(const ModelState& s, std::size_t w) {
        const ModelBlock& b = s.w[w].held[0];
        const unsigned last = b.first + b.count - 1U;
        for (std::size_t v = 0; v < s.workers; ++v) {
            for (unsigned i = 0; i < s.w[v].count; ++i) {
                const unsigned late = s.w[v].held[i].first;
                if (v == w || late > last) continue;
                if (last - late >= 32) violation = std::to_string(last) + " went before " + std::to_string(late);
                if (late / 16 == b.first / 16U) violation = "run of " + std::to_string(late) + " out of order";
            }
        }
    }

    void step_from(std::uint32_t from);
    void take(std::uint32_t from, std::size_t w);
    void hand(std::uint32_t from, std::size_t w);
    void reach(std::uint32_t from, const ModelState& to) { came_from[add(to)].push_back(from); }
};

void Model::take(std::uint32_t from, std::size_t w) {
    for (const unsigned wanted : {17U, 16U, 5U}) {
        ModelState s = states[from];
        ModelWorker& me = s.w[w];
        SharedSequence sequence(true, Seq(s.last));
        sequence.reserve(Seq(0xfff0));
        SeqRange rest = sequence.take(wanted);
        s.last = static_cast<std::uint16_t>(sequence.last().value);
        while (rest.count != 0) {
            const SeqRange block = esp::first_run(rest);
            me.held[me.count++] = {static_cast<std::uint16_t>(block.first.value),
                                   static_cast<std::uint16_t>(block.count)};
            rest = {Seq(block.first.value + block.count), rest.count - block.count};
        }
        ++me.taken;
        me.step = took;
        reach(from, s);
    }
}

void Model::hand(std::uint32_t from, std::size_t w) {
    ModelState s = states[from];
    ModelWorker& me = s.w[w];
    judge(s, w);
    std::copy(me.held + 1, me.held + kMostHeld, me.held);
    me.held[--me.count] = {};
    me.step = handed;
    reach(from, s);
}

void Model::step_from(std::uint32_t from) {
    const unsigned workers = states[from].workers;
    for (std::size_t w = 0; w < workers; ++w) {
        ModelState s = states[from];
        ModelWorker& me = s.w[w];
        EmissionGate gate;
        gate_of(s, gate);
        const SeqRange first{Seq(me.held[0].first), me.held[0].count};
        const std::uint64_t seen = me.seen == kNothing16 ? EmissionGate::kNothing : me.seen;
        switch (me.step) {
            case idle:
                if (me.taken < takes_each && me.count + kMostTaken <= kMostHeld) {
                    ModelState next = s;
                    next.w[w].bound = static_cast<std::uint16_t>(s.last + 1);
                    next.w[w].step = me.line == kNothing16 ? looked : announced;
                    reach(from, next);
                }
                if (me.count > 0) {
                    me.step = reading;
                    me.read = 0;
                    me.seen = kNothing16;
                    reach(from, s);
                }
                break;
            case looked:
                gate.hold(w, Seq(me.bound));
                read_back(s, w, gate);
                me.step = announced;
                reach(from, s);
                break;
            case announced:
                take(from, w);
                break;
            case took:
                gate.hold(w, first.first);
                read_back(s, w, gate);
                me.step = idle;
                me.bound = 0;
                reach(from, s);
                break;
            case reading:
                me.seen = std::min(me.seen, me.read == w ? kNothing16 : s.w[me.read].line);
                if (++me.read == workers) {
                    const std::uint64_t all = me.seen == kNothing16 ? EmissionGate::kNothing : me.seen;
                    me.step = EmissionGate::open(first, all) ? handing : idle;
                    me.read = 0;
                    if (me.step == idle) me.seen = 0;
                }
                reach(from, s);
                break;
            case handing:
                hand(from, w);
                break;
            case handed:
                // What it read holds for all that it held by then.
                if (me.count > 0 && EmissionGate::open(first, seen)) {
                    ModelState next = s;
                    next.w[w].step = handing;
                    reach(from, next);
                }
                me.count > 0 ? gate.hold(w, first.first) : gate.release(w);
                read_back(s, w, gate);
                me.step = idle;
                me.seen = 0;
                reach(from, s);
                break;
        }
    }
}

// All states, whether one broke the rules, and whether all can come to an end.
void explore(unsigned workers, unsigned takes_each) {
    Model model{.takes_each = takes_each, .states = {}, .came_from = {}, .known = {}, .violation = {}};
    ModelState start;
    start.workers = static_cast<std::uint16_t>(workers);
    model.add(start);
    for (std::uint32_t at = 0; at < model.states.size() && model.violation.empty(); ++at) model.step_from(at);
    INFO(workers << " workers, " << takes_each << " takes each: " << model.states.size() << " states; "
                 << model.violation);
    REQUIRE(model.violation.empty());

    std::vector<bool> ends(model.states.size());
    std::vector<std::uint32_t> frontier;
    for (std::uint32_t at = 0; at < model.states.size(); ++at) {
        bool done = true;
        for (unsigned w = 0; w < workers; ++w) {
            const ModelWorker& me = model.states[at].w[w];
            done = done && me.step == idle && me.count == 0 && me.taken == takes_each && me.line == kNothing16;
        }
        if (done) frontier.push_back(at);
        ends[at] = done;
    }
    CHECK_FALSE(frontier.empty());
    std::size_t reached = frontier.size();
    while (!frontier.empty()) {
        const std::uint32_t at = frontier.back();
        frontier.pop_back();
        for (const std::uint32_t before : model.came_from[at]) {
            if (ends[before]) continue;
            ends[before] = true;
            ++reached;
            frontier.push_back(before);
        }
    }
    CHECK(reached == model.states.size());  // nobody waits for ever
}

}  // namespace

TEST_CASE(
    "TRAPS 44: in every interleaving of two or three workers a number is less than 32 late, and nobody is stuck") {
    explore(2, 3);
    explore(3, 1);
}

namespace {

// A worker that takes, keeps three blocks or a few more, and hands over what the gate lets go.
struct Wire {
    SharedSequence sequence{true};
    EmissionGate gate;
    std::vector<std::atomic<std::uint64_t>> sent;
    std::atomic<std::size_t> length{0};
    std::size_t workers;
    Wire(std::size_t numbers, std::size_t threads) : sent(numbers), workers(threads) { sequence.reserve(Seq(numbers)); }

    void work(std::size_t w) {
        std::mt19937 random(static_cast<unsigned>(w));
        std::deque<SeqRange> held;
        bool more = true;
        while (more || !held.empty()) {
            if (more && held.size() < 3) more = take(w, 1 + random() % 64, held);
            if (random() % 8 == 0) std::this_thread::yield();
            const std::uint64_t elsewhere = gate.lowest_elsewhere(w, workers, 0);
            while (!held.empty() && EmissionGate::open(held.front(), elsewhere)) {
                for (std::uint64_t i = 0; i < held.front().count; ++i) {
                    sent[length.fetch_add(1, std::memory_order_relaxed)].store(held.front().first.value + i,
                                                                               std::memory_order_relaxed);
                }
                held.pop_front();
            }
            held.empty() ? gate.release(w) : gate.hold(w, held.front().first);
            if (!held.empty()) std::this_thread::yield();
        }
    }
    bool take(std::size_t w, std::uint64_t count, std::deque<SeqRange>& held) {
        if (held.empty()) gate.hold(w, Seq(sequence.last().value + 1));
        const SeqRange range = sequence.take(count);
        for (SeqRange rest = range; rest.count != 0;) {
            held.push_back(esp::first_run(rest));
            rest = {Seq(rest.first.value + held.back().count), rest.count - held.back().count};
        }
        return range.count != 0;
    }
};

}  // namespace

TEST_CASE("TRAPS 44: threads behind one gate send each number once, less than 32 late, runs in order") {
    for (const std::size_t threads : {2U, 3U}) {
        CAPTURE(threads);
        constexpr std::size_t kNumbers = 100'000;
        Wire wire(kNumbers, threads);
        std::vector<std::thread> workers;
        for (std::size_t w = 0; w < threads; ++w) workers.emplace_back([&wire, w] { wire.work(w); });
        for (std::thread& t : workers) t.join();
        REQUIRE(wire.length == kNumbers);
        std::vector<bool> seen(kNumbers + 1);
        std::vector<std::uint64_t> last_of_run(kNumbers / 16 + 1);
        std::uint64_t highest = 0;
        for (const auto& number : wire.sent) {
            const std::uint64_t seq = number.load();
            if (seq == 0 || seen.at(seq)) FAIL("twice: " << seq);
            seen[seq] = true;
            if (highest > seq && highest - seq >= 32) FAIL(seq << " left after " << highest);
            highest = std::max(highest, seq);
            if (seq < last_of_run[seq / 16]) FAIL("run out of order at " << seq);
            last_of_run[seq / 16] = seq;
        }
    }
}
