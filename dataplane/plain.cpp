// SPDX-License-Identifier: Apache-2.0
// Packets as one buffer each, which may be changed in place (TRAPS 45), and fragments as whole packets.
#include "dataplane/path.hpp"

namespace sluice::dataplane {

namespace {

constexpr std::size_t kBehind = esp::kShortTrailer + esp::kMaxIcvSize;  // what sealing writes behind a packet

bool is_owned(const rte_mbuf* m) {
    for (; m != nullptr; m = m->next) {
        if (rte_mbuf_refcnt_read(m) != 1 || !RTE_MBUF_DIRECT(m)) return false;
    }
    return true;
}

bool holds(rte_mempool* pool, std::size_t size) {
    return pool != nullptr && rte_pktmbuf_data_room_size(pool) >= RTE_PKTMBUF_HEADROOM + size + kBehind;
}

}  // namespace

// A copy of m's bytes and notes in one buffer; none where no pool has one. m stays the caller's.
rte_mbuf* Path::copy_of(rte_mbuf* m) {
    rte_mempool* const pool = holds(&pool_, m->pkt_len) ? &pool_ : large_;
    rte_mbuf* const copy = holds(pool, m->pkt_len) ? rte_pktmbuf_alloc(pool) : nullptr;
    if (copy == nullptr) return nullptr;
    set_length(copy, m->pkt_len);
    Byte* at = data(copy);
    for (rte_mbuf* s = m; s != nullptr; s = s->next) {
        std::memcpy(at, data(s), s->data_len);
        at += s->data_len;
    }
    notes(copy) = notes(m);
    counters_.copied.add(1);
    return copy;
}

// A chain is pulled together where its first buffer has room; what somebody else reads as well, or is longer, is
// copied. False: it has been dropped.
bool Path::make_plain(rte_mbuf*& m) {
    const bool roomy = m->pkt_len - m->data_len + kBehind <= rte_pktmbuf_tailroom(m);
    if (roomy && is_owned(m) && rte_pktmbuf_linearize(m) == 0) return true;
    rte_mbuf* const copy = copy_of(m);
    if (copy == nullptr) {
        drop(m, Drop::no_room);
        return false;
    }
    rte_pktmbuf_free(m);
    m = copy;
    return true;
}

// Whether make_plain() can find a buffer for it.
bool Path::fits_a_buffer(const rte_mbuf* m) const { return holds(&pool_, m->pkt_len) || holds(large_, m->pkt_len); }

// Takes a fragment. The whole packet, whose notes are not valid, once the last piece is there.
rte_mbuf* Path::join(rte_mbuf* m) {
    counters_.fragments_received.add(1);
    rte_mbuf* const whole = reassembly_.put(m, now_);
    counters_.drops[static_cast<std::size_t>(Drop::reassembly)].add(reassembly_.reap());
    if (whole != nullptr) counters_.reassembled.add(1);
    return whole;
}

}  // namespace sluice::dataplane
