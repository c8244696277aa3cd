// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "lib/base/strong.hpp"

struct rte_rcu_qsbr;

namespace sluice::dataplane {

// Frees what workers may still be reading, once they no longer can (rte_rcu_qsbr). Control retires and collects; a
// worker says once per loop that it holds nothing (quiescent), and that it is away before it sleeps (TRAPS 58).
// Control never waits: collect() looks, and frees what is free. A hung worker stops all reclaim; over_limit() then
// makes install() fail instead of letting memory grow.
class Reclaimer {
  public:
    static constexpr std::size_t kLimit = 65536;

    explicit Reclaimer(unsigned max_workers);
    ~Reclaimer();  // no worker runs any more: frees everything
    Reclaimer(const Reclaimer&) = delete;
    Reclaimer& operator=(const Reclaimer&) = delete;

    // Worker thread, once before its first packet, and after its last.
    void join(WorkerId worker);
    void leave(WorkerId worker);
    // Worker thread.
    void quiescent(WorkerId worker);
    void offline(WorkerId worker);
    void online(WorkerId worker);

    // Control. What is retired must already be unreachable for a worker that starts a new loop.
    void retire(std::function<void()> destroy);
    template <class T>
    void retire(std::unique_ptr<T> object) {
        if (object) retire([raw = object.release()] { delete raw; });
    }
    std::size_t collect();
    std::size_t pending() const { return waiting_.size(); }
    bool over_limit() const { return waiting_.size() >= kLimit; }

  private:
    struct Waiting {
        std::uint64_t token;
        std::function<void()> destroy;
    };
    void run_first();
    rte_rcu_qsbr* qsbr_ = nullptr;
    std::deque<Waiting> waiting_;
};

}  // namespace sluice::dataplane
