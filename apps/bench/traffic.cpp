// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/traffic.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "dataplane/packet.hpp"

namespace sluice::bench {

Traffic::Traffic(Gateway& gateway, const Shape& shape)
    : gateway_(gateway),
      shape_(shape),
      frames_(FrameShape::of(shape, gateway.suite())),
      lanes_(shape.gateway.workers),
      order_(shape.gateway.sas) {
    std::iota(order_.begin(), order_.end(), 0U);
    next_ = order_.size();
}

Result<std::unique_ptr<Traffic>> Traffic::make(Gateway& gateway, const Shape& shape, rte_mempool& pool) {
    std::unique_ptr<Traffic> traffic{new Traffic{gateway, shape}};
    const unsigned count = packets(shape.gateway.workers);
    traffic->slots_.reserve(count);
    for (unsigned i = 0; i < count; ++i) {
        rte_mbuf* const m = rte_pktmbuf_alloc(&pool);
        if (m == nullptr) return fail(ErrorCode::exhausted, "the packet pool has too few buffers");
        traffic->slots_.push_back({m, {}});
        traffic->index_.emplace(m, i);
    }
    traffic->images_.resize(count * traffic->frames_.received_size());
    return traffic;
}

Traffic::~Traffic() {
    for (const Slot& s : slots_) {
        arrive({&s.mbuf, 1});
        rte_pktmbuf_free(s.mbuf);
    }
}

std::uint32_t Traffic::next_sa() {
    if (next_ == order_.size()) {
        std::ranges::shuffle(order_, random_);
        next_ = 0;
    }
    return order_[next_++];
}

// The lanes' buffers lie one lane behind the other, as those of different queues do.
Result<void> Traffic::draw() {
    for (LanePackets& lane : lanes_) lane = {};
    std::vector<std::vector<PacketName>> names(lanes_.size());
    const bool out = shape_.direction == Direction::out;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        const std::uint32_t sa = next_sa();
        const PacketName name{.sa = sa,
                              .seq = out ? i : ++gateway_.progress(sa).sealed,
                              .payload = static_cast<std::uint32_t>(random_())};
        names[gateway_.worker_of(shape_.direction, sa, name.seq)].push_back(name);
    }
    std::size_t i = 0;
    for (std::size_t w = 0; w < lanes_.size(); ++w) {
        for (const PacketName& name : names[w]) {
            slots_[i].name = name;
            lanes_[w].mbufs.push_back(slots_[i].mbuf);
            lanes_[w].slots.push_back(i);
            if (const auto made = make_frame(i++); !made) return made.error();
        }
    }
    return {};
}

Result<void> Traffic::make_frame(std::size_t i) {
    const PacketName& name = slots_[i].name;
    if (shape_.direction == Direction::out) {
        write_clear_frame(image(i), name);
        return {};
    }
    const crypto::CipherKeys keys = make_keys(gateway_.suite(), name.sa, Direction::in);
    return write_sealed_frame(image(i), frames_, keys, gateway_.spis(name.sa).in, name);
}

void Traffic::restore(unsigned worker) {
    for (const std::size_t i : lanes_[worker].slots) {
        const MutBytes frame = image(i);
        std::memcpy(static_cast<Byte*>(slots_[i].mbuf->buf_addr) + RTE_PKTMBUF_HEADROOM, frame.data(), frame.size());
    }
}

void Traffic::arrive(std::span<rte_mbuf* const> burst) const {
    const auto size = static_cast<std::uint16_t>(frames_.received_size());
    for (rte_mbuf* m : burst) {
        m->data_off = RTE_PKTMBUF_HEADROOM;
        rte_mbuf_refcnt_set(m, 1);
        m->nb_segs = 1;
        m->port = 0;
        m->ol_flags = 0;
        m->packet_type = 0;
        m->pkt_len = size;
        m->data_len = size;
    }
}

Result<void> Traffic::check_one(rte_mbuf* m, const PacketName& name) {
    if (m->nb_segs != 1) return fail(ErrorCode::invalid, "the frame came out in pieces");
    const MutBytes frame = dataplane::bytes_of(m);
    if (shape_.direction == Direction::in) return check_clear_frame(frame, frames_, name);
    const crypto::CipherKeys keys = make_keys(gateway_.suite(), name.sa, Direction::out);
    const auto seq = check_sealed_frame(frame, frames_, keys, gateway_.spis(name.sa).out, name);
    if (!seq) return seq.error();
    SaProgress& progress = gateway_.progress(name.sa);
    if (shape_.gateway.sas < shape_.gateway.workers) {
        if (!numbers_.emplace(name.sa, *seq).second) {
            return fail(ErrorCode::invalid, "sequence number " + std::to_string(*seq) + " was used before");
        }
    } else if (*seq <= progress.seen) {
        return fail(ErrorCode::invalid,
                    "sequence number " + std::to_string(*seq) + " follows " + std::to_string(progress.seen));
    }
    progress.seen = std::max(progress.seen, *seq);
    return {};
}

Result<void> Traffic::check(std::span<rte_mbuf* const> out) {
    if (out.size() != slots_.size()) {
        return fail(ErrorCode::invalid,
                    std::to_string(slots_.size()) + " packets went in and " + std::to_string(out.size()) + " came out");
    }
    std::vector<bool> seen(slots_.size());
    for (rte_mbuf* m : out) {
        const auto found = index_.find(m);
        if (found == index_.end()) return fail(ErrorCode::invalid, "a frame came out that nobody sent");
        if (seen[found->second]) return fail(ErrorCode::invalid, "a frame came out twice");
        seen[found->second] = true;
        const PacketName& name = slots_[found->second].name;
        if (const auto good = check_one(m, name); !good) {
            return fail(good.error().code, "packet " + std::to_string(found->second) + " of SA " +
                                               std::to_string(name.sa) + ": " + good.error().text);
        }
    }
    return {};
}

}  // namespace sluice::bench
