// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/job_pool.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>

using namespace sluice;
using namespace sluice::control;
using namespace std::chrono_literals;

TEST_CASE("TRAPS 56: helpers that hang in DH do not hold up the event loop") {
    auto reactor = Reactor::create();
    REQUIRE(reactor);
    std::promise<void> gate;
    const std::shared_future<void> open(gate.get_future());
    std::atomic<int> stalled = 0;
    int delivered = 0;
    auto pool = DhPool::create(
        **reactor, 2, [&](ike::DhOutcome) { ++delivered; },
        [&](const ike::StartDh& job) {
            ++stalled;
            open.wait();
            ike::DhOutcome outcome;
            outcome.job = job.job;
            return outcome;
        });
    REQUIRE(pool);
    for (std::uint64_t i = 0; i < 10; ++i) {
        ike::StartDh job;
        job.job = i;
        REQUIRE((*pool)->submit(std::move(job)));
    }
    // The loop turns a thousand times while both helpers are stuck; nothing is delivered and no callback waits for
    // them.
    int turns = 0;
    std::function<void()> turn = [&] {
        if (++turns < 1000 || stalled < 2) {
            (*reactor)->post_after(0ms, turn);
        } else {
            (*reactor)->stop();
        }
    };
    (*reactor)->post_after(0ms, turn);
    (*reactor)->run();
    CHECK(turns >= 1000);
    CHECK(delivered == 0);
    CHECK((*pool)->queued() == 8);
    gate.set_value();
}

TEST_CASE("The pool refuses work past its bound and delivers what it took") {
    auto reactor = Reactor::create();
    REQUIRE(reactor);
    std::vector<std::uint64_t> delivered;
    std::promise<void> gate;
    const std::shared_future<void> open(gate.get_future());
    auto pool = DhPool::create(
        **reactor, 1,
        [&](ike::DhOutcome outcome) {
            delivered.push_back(outcome.job);
            if (outcome.job == 1) (*reactor)->stop();
        },
        [&](const ike::StartDh& job) {
            open.wait();
            ike::DhOutcome outcome;
            outcome.job = job.job;
            return outcome;
        });
    REQUIRE(pool);
    const auto submit = [&](std::uint64_t number) {
        ike::StartDh job;
        job.job = number;
        return (*pool)->submit(std::move(job));
    };
    std::size_t taken = 0;
    while (taken <= DhPool::kMaxQueued + 1 && submit(taken)) ++taken;
    CHECK(taken >= DhPool::kMaxQueued);
    CHECK(taken <= DhPool::kMaxQueued + 1);
    gate.set_value();
    (*reactor)->run();
    REQUIRE(delivered.size() >= 2);
    CHECK(delivered[0] == 0);
    CHECK(delivered[1] == 1);
}

TEST_CASE("Two jobs of opposite ends agree on a secret") {
    for (const auto group : {crypto::Group::curve25519, crypto::Group::ecp256}) {
        ike::StartDh first;
        first.group = group;
        auto a = compute_job(first);
        REQUIRE_FALSE(a.error);
        // The responder's job: a fresh pair and the secret in one.
        ike::StartDh second;
        second.group = group;
        second.peer_public = a.pair.public_value;
        const auto b = compute_job(second);
        REQUIRE_FALSE(b.error);
        ike::StartDh third;
        third.group = group;
        third.private_key = a.pair.private_key;
        third.peer_public = b.pair.public_value;
        const auto c = compute_job(third);
        REQUIRE_FALSE(c.error);
        CHECK(b.shared.size() > 0);
        CHECK(b.shared == c.shared);
    }
}

TEST_CASE("A bad public value comes back as an error, not a secret") {
    ike::StartDh job;
    job.group = crypto::Group::curve25519;
    job.peer_public = ByteVec(32, 0);
    const auto outcome = compute_job(job);
    CHECK(outcome.error);
    CHECK(outcome.shared.empty());
}
