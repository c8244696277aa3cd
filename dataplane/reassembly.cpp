// SPDX-License-Identifier: Apache-2.0
#define ALLOW_EXPERIMENTAL_API  // rte_ip_frag_table_del_expired_entries()
#include "dataplane/reassembly.hpp"

#include <rte_ip_frag.h>

#include <new>

#include "dataplane/packet.hpp"
#include "lib/net/checksum.hpp"

namespace sluice::dataplane {

namespace {
constexpr std::uint32_t kBuckets = 64;
constexpr std::uint32_t kEntries = 16;  // a power of two
constexpr std::uint32_t kMaxPackets = 256;
constexpr std::uint32_t kPrefetch = 3;
}  // namespace

Reassembly::Reassembly(std::uint64_t patience_cycles)
    : table_(rte_ip_frag_table_create(kBuckets, kEntries, kMaxPackets, patience_cycles, SOCKET_ID_ANY)),
      dead_(std::make_unique<rte_ip_frag_death_row>()) {
    dead_->cnt = 0;
    if (table_ == nullptr) throw std::bad_alloc{};
}

Reassembly::~Reassembly() {
    reap();
    rte_ip_frag_table_destroy(table_);
}

rte_mbuf* Reassembly::put(rte_mbuf* m, std::uint64_t now) {
    const net::Packet& ip = notes(m).ip;
    m->l2_len = 0;
    m->l3_len = ip.header_size & 0x1ff;
    if (ip.is_v4()) {
        rte_mbuf* whole =
            rte_ipv4_frag_reassemble_packet(table_, dead_.get(), m, now, reinterpret_cast<rte_ipv4_hdr*>(data(m)));
        if (whole != nullptr) net::set_ipv4_checksum({data(whole), header<net::Ipv4Header>(whole)->header_size()});
        return whole;
    }
    // The library looks for the fragment header right behind the IPv6 header and nowhere else.
    auto* ip6 = reinterpret_cast<rte_ipv6_hdr*>(data(m));
    if (ip.header_size != sizeof(net::Ipv6Header) + sizeof(net::Ipv6FragmentHeader) ||
        ip6->proto != net::kProtocolFragment) {
        dead_->row[dead_->cnt++] = m;
        return nullptr;
    }
    return rte_ipv6_frag_reassemble_packet(table_, dead_.get(), m, now, ip6,
                                           reinterpret_cast<rte_ipv6_fragment_ext*>(ip6 + 1));
}

unsigned Reassembly::reap() {
    const unsigned n = dead_->cnt;
    if (n != 0) rte_ip_frag_free_death_row(dead_.get(), kPrefetch);
    return n;
}

void Reassembly::expire(std::uint64_t now) { rte_ip_frag_table_del_expired_entries(table_, dead_.get(), now); }

}  // namespace sluice::dataplane
