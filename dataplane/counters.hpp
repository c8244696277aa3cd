// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/dataplane.hpp"
#include "dataplane/drops.hpp"

namespace sluice::dataplane {

// A number with one writer and any reader: the owner adds without a locked instruction, control reads a whole value.
class Count {
  public:
    void add(std::uint64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
    void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

// What a worker counts beside its drops: name, help. One list makes the fields and the metrics.
#define SLUICE_WORKER_COUNTERS(X)                                                                         \
    X(rx_packets, "packets received from ports")                                                          \
    X(rx_bytes, "bytes received from ports")                                                              \
    X(tx_packets, "packets handed to ports")                                                              \
    X(tx_bytes, "bytes handed to ports")                                                                  \
    X(host_rx_packets, "packets that the kernel sent")                                                    \
    X(host_tx_packets, "packets handed to the kernel")                                                    \
    X(esp_in_packets, "ESP packets accepted")                                                             \
    X(esp_in_bytes, "inner bytes of ESP packets accepted")                                                \
    X(esp_out_packets, "ESP packets sealed")                                                              \
    X(esp_out_bytes, "inner bytes of ESP packets sealed")                                                 \
    X(forwarded_packets, "packets routed from one port to another")                                       \
    X(icmp_sent, "ICMP errors sent to the source of a packet")                                            \
    X(fragments_sent, "fragments made of packets larger than the path")                                   \
    X(fragments_received, "fragments taken to be put together")                                           \
    X(reassembled, "packets put together from fragments")                                                 \
    X(copied, "packets copied into one buffer of their own")                                              \
    X(mss_clamped, "TCP SYNs whose MSS was lowered")                                                      \
    X(path_mtu_reports, "ICMP errors about ESP of ours told to control")                                  \
    X(handed_over, "packets given to the worker that owns their SA")                                      \
    X(held, "packets kept until an SA or a neighbour is there")                                           \
    X(emission_waits, "turns that began with sealed packets waiting for lower numbers of another worker") \
    X(slices_passed, "slices of replay windows that were given to another worker")                        \
    X(events_lost, "events that found their ring full")                                                   \
    X(commands, "commands of control carried out")                                                        \
    X(loops, "turns of the worker's loop")                                                                \
    X(busy_loops, "turns that found at least one packet")

// Written by the worker alone, on lines of its own.
struct alignas(64) WorkerCounters {
#define SLUICE_COUNTER_FIELD(name, help) Count name;
    SLUICE_WORKER_COUNTERS(SLUICE_COUNTER_FIELD)
#undef SLUICE_COUNTER_FIELD
    std::array<Count, kDropReasons> drops;
    std::array<Count, kMaxClasses> classes;  // packets sent, by DataplaneConfig::classes
};

}  // namespace sluice::dataplane
