// SPDX-License-Identifier: Apache-2.0
#include "dataplane/worker.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <unistd.h>

#include <utility>

namespace sluice::dataplane {

namespace {
// A read of a host interface is a system call, so a busy worker looks there once in so many turns.
constexpr unsigned kHostInterval = 32;
constexpr std::uint64_t kDeferredHz = 1000;
// What others hand over may come faster than what one receives: a few bursts of it a turn.
constexpr unsigned kRingBursts = 4;
}  // namespace

Worker::Worker(Parts parts)
    : parts_(std::move(parts)),
      path_(*parts_.path),
      counters_(path_.counters()),
      deferred_interval_(rte_get_tsc_hz() / kDeferredHz) {
    path_.set_output(this);
}

void Worker::run() {
    Reclaimer& reclaimer = parts_.tables.reclaimer;
    const WorkerId id = path_.worker();
    reclaimer.join(id);
    while (!stop_.load(std::memory_order_relaxed)) {
        const unsigned work = turn();
        reclaimer.quiescent(id);
        if (!parts_.idle->due(work)) continue;
        parts_.idle->sleep([&] { return !rings_empty() || stop_.load(std::memory_order_relaxed); },
                           [&] {
                               asleep_.store(true, std::memory_order_relaxed);
                               reclaimer.offline(id);
                           },
                           [&] {
                               reclaimer.online(id);
                               asleep_.store(false, std::memory_order_relaxed);
                           });
    }
    reclaimer.leave(id);
}

unsigned Worker::turn() {
    path_.begin(rte_rdtsc());
    unsigned work = run_commands();
    if (!path_.crowded()) work += receive();
    if (work == 0 || ++turns_since_host_ >= kHostInterval) {
        turns_since_host_ = 0;
        work += receive_host();
    }
    work += receive_rings();
    finish_turn(work);
    return work + (path_.waits() ? 1 : 0);
}

void Worker::stop() {
    stop_.store(true, std::memory_order_relaxed);
    wake();
}

unsigned Worker::run_commands() {
    Command command;
    unsigned n = 0;
    for (; parts_.rings.commands.take(command); ++n) path_.run(command);
    return n;
}

unsigned Worker::receive() {
    unsigned total = 0;
    rte_mbuf* burst[kMaxBurst];
    for (const WorkerPort& p : parts_.ports) {
        if (p.queue < 0) continue;
        const unsigned n = rte_eth_rx_burst(p.ethdev, static_cast<std::uint16_t>(p.queue), burst, kMaxBurst);
        if (n != 0) path_.receive_from_port(p.id, {burst, n});
        total += n;
    }
    return total;
}

unsigned Worker::receive_host() {
    unsigned total = 0;
    rte_mbuf* burst[kMaxBurst];
    for (const WorkerPort& p : parts_.ports) {
        if (p.host == nullptr) continue;
        const unsigned n = p.host->read_burst(parts_.pool, {burst, kMaxBurst});
        if (n != 0) path_.receive_from_host(p.id, {burst, n});
        total += n;
    }
    return total;
}

unsigned Worker::receive_rings() {
    unsigned total = 0;
    rte_mbuf* burst[kMaxBurst];
    for (unsigned i = 0; i < kRingBursts; ++i) {
        const unsigned n = parts_.rings.handover.take_burst({burst, kMaxBurst});
        if (n != 0) path_.receive_handed_over({burst, n});
        total += n;
        if (n < kMaxBurst) break;
    }
    return total;
}

void Worker::finish_turn(unsigned work) {
    const std::uint64_t now = rte_rdtsc();
    if (path_.has_deferred() || now >= next_deferred_) {
        next_deferred_ = now + deferred_interval_;
        path_.run_deferred();
    }
    path_.flush();
    for (std::uint64_t mask = path_.take_handed_to(); mask != 0; mask &= mask - 1) {
        (*parts_.peers)[static_cast<std::size_t>(__builtin_ctzll(mask))]->wake();
    }
    if (path_.raised_events()) {
        path_.clear_raised();
        const std::uint64_t one = 1;
        // A full counter means that control is told already.
        [[maybe_unused]] const ssize_t written = ::write(parts_.event_fd, &one, sizeof(one));
    }
    counters_.loops.add(1);
    if (work != 0) counters_.busy_loops.add(1);
}

void Worker::send_to_port(PortId port, PacketList& list) {
    const WorkerPort& p = parts_.ports[port.value];
    std::uint64_t bytes = 0;
    for (rte_mbuf* m : list) bytes += m->pkt_len;
    const unsigned sent = p.queue < 0 ? 0
                                      : rte_eth_tx_burst(p.ethdev, static_cast<std::uint16_t>(p.queue), list.packets,
                                                         static_cast<std::uint16_t>(list.count));
    for (unsigned i = sent; i < list.count; ++i) {
        bytes -= list.packets[i]->pkt_len;
        path_.drop(list.packets[i], Drop::tx_full);
    }
    counters_.tx_packets.add(sent);
    counters_.tx_bytes.add(bytes);
    list.clear();
}

void Worker::send_to_host(PortId port, PacketList& list) {
    HostTap* const host = parts_.ports[port.value].host;
    for (rte_mbuf* m : list) {
        if (host == nullptr || !host->write(*m)) {
            path_.drop(m, Drop::host_full);
            continue;
        }
        counters_.host_tx_packets.add(1);
        rte_pktmbuf_free(m);
    }
    list.clear();
}

}  // namespace sluice::dataplane
