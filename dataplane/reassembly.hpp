// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

struct rte_mbuf;
struct rte_ip_frag_tbl;
struct rte_ip_frag_death_row;

namespace sluice::dataplane {

// Puts fragments of packets addressed to us together (rte_ip_frag; TRAPS 41). One worker owns it; bounded in packets
// and in time; fragments that overlap do not chain up and are let go.
class Reassembly {
  public:
    explicit Reassembly(std::uint64_t patience_cycles);
    ~Reassembly();
    Reassembly(const Reassembly&) = delete;
    Reassembly& operator=(const Reassembly&) = delete;

    // Takes a fragment whose notes are read, data at the IP header. The whole packet, a chain of mbufs with a right
    // header, once the last piece is there; otherwise null, and the fragment is the table's.
    rte_mbuf* put(rte_mbuf* m, std::uint64_t now);
    // Frees what was given up; how many fragments that were. After every put() and now and then.
    unsigned reap();
    // Gives up what is older than the patience.
    void expire(std::uint64_t now);

  private:
    rte_ip_frag_tbl* table_;
    std::unique_ptr<rte_ip_frag_death_row> dead_;
};

}  // namespace sluice::dataplane
