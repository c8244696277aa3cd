// SPDX-License-Identifier: Apache-2.0
// The SAD's table against a map, with hashes that are good and hashes that are not, and under readers.
#include "dataplane/spi_table.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <iostream>
#include <map>
#include <random>
#include <thread>

using namespace sluice;
using namespace sluice::dataplane;

namespace {

std::mt19937 seeded(const char* what) {
    const unsigned seed = std::random_device{}();
    std::cout << what << ": seed " << seed << "\n";
    return std::mt19937{seed};
}

struct Thing {
    Spi spi;
};

// Entries whose hashes share all but their lowest bits: splitting a page does not help.
struct Alike {
    std::uint64_t operator()(const Thing& thing) const { return thing.spi.value % 4; }
};

}  // namespace

TEST_CASE("the SPI table holds what a map would, through every split, one by one and in bursts") {
    std::mt19937 random = seeded("spi table");
    Reclaimer reclaimer(1);
    constexpr std::size_t kMost = 3000;
    SpiTable<Thing> table(reclaimer, kMost);
    std::map<std::uint32_t, std::unique_ptr<Thing>> model;
    const auto expected = [&](Spi spi) {
        const auto found = model.find(spi.value);
        return found == model.end() ? nullptr : found->second.get();
    };
    const auto any_spi = [&] { return Spi{256 + static_cast<std::uint32_t>(random() % 5000) * 64}; };
    for (int step = 0; step < 60000; ++step) {
        const Spi spi = any_spi();
        // Grows, shrinks, grows again.
        if (random() % 10 < (step / 20000 == 1 ? 3U : 7U)) {
            auto thing = std::make_unique<Thing>(Thing{spi});
            const bool fits = model.size() < kMost && !model.contains(spi.value);
            REQUIRE(table.insert(spi, thing.get()) == fits);
            if (fits) model[spi.value] = std::move(thing);
        } else {
            REQUIRE(table.remove(spi) == expected(spi));
            model.erase(spi.value);
        }
        REQUIRE(table.size() == model.size());
        Spi burst[32];
        Thing* found[32];
        for (Spi& s : burst) s = any_spi();
        table.find_burst(burst, found);
        for (unsigned i = 0; i < 32; i += 8) REQUIRE(found[i] == expected(burst[i]));
        REQUIRE(table.find(burst[1]) == expected(burst[1]));
    }
    CHECK(model.size() > kMost - 100);
    Thing reserved{Spi{255}};
    CHECK_FALSE(table.insert(Spi{0}, &reserved));
    CHECK_FALSE(table.insert(Spi{255}, &reserved));
    CHECK(table.find(Spi{0}) == nullptr);
    CHECK(table.find(Spi{1}) == nullptr);
}

TEST_CASE("a table's memory follows its entries, not its bound, and no change copies more than a page") {
    Reclaimer reclaimer(1);
    SpiTable<Thing> table(reclaimer, 1048576);
    CHECK(table.memory() < 4096);
    std::vector<Thing> things(100000);
    std::mt19937 random = seeded("spi table memory");
    std::size_t retired = 0;
    for (Thing& t : things) {
        do {
            t.spi = Spi{256 + static_cast<std::uint32_t>(random())};
        } while (t.spi.value < 256 || table.find(t.spi) != nullptr);
        REQUIRE(table.insert(t.spi, &t));
        // One page, or more where one half is full again at once; and a directory now and then.
        REQUIRE(reclaimer.pending() < 8);
        retired += reclaimer.collect();
    }
    CHECK(table.memory() < things.size() * 32);
    CHECK(retired < things.size() / 20);
}

TEST_CASE("hashes that are alike lengthen a chain and do not blow up the directory") {
    Reclaimer reclaimer(1);
    PointerTable<Thing, Alike> table(reclaimer);
    std::vector<Thing> things(1000);
    for (std::uint32_t i = 0; i < things.size(); ++i) {
        things[i].spi = Spi{i};
        table.insert(i % 4, &things[i]);
    }
    CHECK(table.memory() < 1U << 20);
    for (std::uint32_t i = 0; i < things.size(); ++i) {
        const auto is_it = [i](const Thing& t) { return t.spi.value == i; };
        REQUIRE(table.find(i % 4, is_it) == &things[i]);
        table.remove(i % 4, &things[i]);
        REQUIRE(table.find(i % 4, is_it) == nullptr);
    }
    CHECK(table.size() == 0);
}

TEST_CASE("readers of the SPI table always find what stays, while everything round it comes and goes") {
    std::mt19937 random = seeded("spi table readers");
    Reclaimer reclaimer(2);
    SpiTable<Thing> table(reclaimer, 100000);
    std::vector<std::unique_ptr<Thing>> steady;
    for (std::uint32_t i = 0; i < 256; ++i) {
        steady.push_back(std::make_unique<Thing>(Thing{Spi{256 + i * 977}}));
        REQUIRE(table.insert(steady.back()->spi, steady.back().get()));
    }
    std::atomic<bool> stop{false};
    std::atomic<unsigned> rounds{0};
    unsigned missed = 0;
    std::thread reader([&] {
        reclaimer.join(WorkerId{0});
        while (!stop.load(std::memory_order_relaxed)) {
            for (const auto& thing : steady) {
                missed += table.find(thing->spi) != thing.get();
                const Spi other{300'000 + thing->spi.value % 20000};
                const Thing* guest = table.find(other);
                missed += guest != nullptr && guest->spi != other;
            }
            reclaimer.quiescent(WorkerId{0});
            rounds.fetch_add(1, std::memory_order_relaxed);
        }
        reclaimer.leave(WorkerId{0});
    });
    std::map<std::uint32_t, std::unique_ptr<Thing>> guests;
    for (int step = 0; step < 40000 || rounds.load(std::memory_order_relaxed) < 100; ++step) {
        const Spi spi{300'000 + static_cast<std::uint32_t>(random() % 20000)};
        auto& guest = guests[spi.value];
        if (guest) {
            REQUIRE(table.remove(spi) == guest.get());
            reclaimer.retire(std::move(guest));
        } else {
            guest = std::make_unique<Thing>(Thing{spi});
            REQUIRE(table.insert(spi, guest.get()));
        }
        if (step % 64 == 0) reclaimer.collect();
    }
    stop.store(true);
    reader.join();
    CHECK(missed == 0);
}
