// SPDX-License-Identifier: Apache-2.0
#include "dataplane/reclaimer.hpp"

#include <rte_rcu_qsbr.h>

#include <cstdlib>
#include <new>
#include <utility>

namespace sluice::dataplane {

Reclaimer::Reclaimer(unsigned max_workers) {
    const std::size_t size = rte_rcu_qsbr_get_memsize(max_workers);
    void* memory = std::aligned_alloc(64, (size + 63) / 64 * 64);
    if (memory == nullptr) throw std::bad_alloc{};
    qsbr_ = static_cast<rte_rcu_qsbr*>(memory);
    rte_rcu_qsbr_init(qsbr_, max_workers);
}

Reclaimer::~Reclaimer() {
    while (!waiting_.empty()) run_first();
    std::free(qsbr_);
}

void Reclaimer::join(WorkerId worker) {
    rte_rcu_qsbr_thread_register(qsbr_, worker.value);
    rte_rcu_qsbr_thread_online(qsbr_, worker.value);
}

void Reclaimer::leave(WorkerId worker) {
    rte_rcu_qsbr_thread_offline(qsbr_, worker.value);
    rte_rcu_qsbr_thread_unregister(qsbr_, worker.value);
}

void Reclaimer::quiescent(WorkerId worker) { rte_rcu_qsbr_quiescent(qsbr_, worker.value); }
void Reclaimer::offline(WorkerId worker) { rte_rcu_qsbr_thread_offline(qsbr_, worker.value); }
void Reclaimer::online(WorkerId worker) { rte_rcu_qsbr_thread_online(qsbr_, worker.value); }

void Reclaimer::retire(std::function<void()> destroy) {
    waiting_.push_back({rte_rcu_qsbr_start(qsbr_), std::move(destroy)});
}

std::size_t Reclaimer::collect() {
    std::size_t freed = 0;
    while (!waiting_.empty() && rte_rcu_qsbr_check(qsbr_, waiting_.front().token, false) == 1) {
        run_first();
        ++freed;
    }
    return freed;
}

// What is destroyed may retire more, behind all that waits.
void Reclaimer::run_first() {
    const std::function<void()> destroy = std::move(waiting_.front().destroy);
    waiting_.pop_front();
    destroy();
}

}  // namespace sluice::dataplane
