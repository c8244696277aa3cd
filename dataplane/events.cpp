// SPDX-License-Identifier: Apache-2.0
#include "dataplane/events.hpp"

#include <rte_errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <atomic>
#include <string>
#include <utility>

namespace sluice::dataplane {

void RingDeleter::operator()(rte_ring* ring) const { rte_ring_free(ring); }

Result<RawRing> RawRing::make(const char* name, unsigned element_size, unsigned size, Producers producers) {
    const unsigned flags = RING_F_EXACT_SZ | RING_F_SC_DEQ | (producers == Producers::one ? RING_F_SP_ENQ : 0U);
    rte_ring* ring = rte_ring_create_elem(name, element_size, size, SOCKET_ID_ANY, flags);
    if (ring == nullptr)
        return fail(ErrorCode::exhausted, std::string("ring ") + name + ": " + rte_strerror(rte_errno));
    return RawRing{ring};
}

bool RawRing::put(const void* element, unsigned element_size) { return put_burst(element, element_size, 1) == 1; }
bool RawRing::take(void* element, unsigned element_size) { return take_burst(element, element_size, 1) == 1; }

unsigned RawRing::put_burst(const void* elements, unsigned element_size, unsigned count) {
    return rte_ring_enqueue_burst_elem(ring_.get(), elements, element_size, count, nullptr);
}
unsigned RawRing::take_burst(void* elements, unsigned element_size, unsigned count) {
    return rte_ring_dequeue_burst_elem(ring_.get(), elements, element_size, count, nullptr);
}
unsigned RawRing::depth() const { return rte_ring_count(ring_.get()); }
bool RawRing::empty() const { return rte_ring_empty(ring_.get()) != 0; }

Result<std::unique_ptr<WorkerRings>> WorkerRings::make(WorkerId worker) {
    // Ring names are the process's: a second set, in tests, needs others.
    static std::atomic<unsigned> sets{0};
    const std::string id = std::to_string(worker.value) + "_" + std::to_string(sets.fetch_add(1));
    auto commands = Ring<Command>::make(("sluice_cmd_" + id).c_str(), 4096, RawRing::Producers::one);
    if (!commands) return commands.error();
    auto events = Ring<Event>::make(("sluice_evt_" + id).c_str(), 4096, RawRing::Producers::one);
    if (!events) return events.error();
    auto handover = Ring<rte_mbuf*>::make(("sluice_hnd_" + id).c_str(), 2048, RawRing::Producers::many);
    if (!handover) return handover.error();
    return std::make_unique<WorkerRings>(WorkerRings{std::move(*commands), std::move(*events), std::move(*handover)});
}

}  // namespace sluice::dataplane
