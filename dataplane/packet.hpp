// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/counters.hpp"
#include "dataplane/fib.hpp"
#include "dataplane/flow.hpp"
#include "dataplane/sa.hpp"
#include "lib/net/packet.hpp"
#include "lib/net/wire.hpp"

namespace sluice::dataplane {

// Where a packet came from, which decides what the SPD means for it.
enum class Origin : std::uint8_t {
    port,    // received in clear, to be forwarded
    host,    // sent by the kernel into the host interface
    tunnel,  // decrypted
    self,    // made by the worker: an ICMP error, or a piece of what the kernel sent
    report,  // an ICMP error that quotes what was decrypted: it leaves sealed or not at all
};
// Where another worker takes a packet up that was handed over.
enum class Entry : std::uint8_t { esp, clear, fragment, transmit, to_host };

// A worker's notes on a packet, in the mbuf's private area, so that they travel with it. Only the worker that holds the
// mbuf touches them. Pointers are good within one loop of one worker: whoever takes a packet over looks them up anew.
struct alignas(64) PacketNotes {
    Flow flow;
    Origin origin = Origin::port;
    Entry entry = Entry::clear;
    bool sealed = false;     // of a packet on its way out: it is ESP of ours by now
    std::uint32_t mark = 0;  // of the SAs that it came through (ipsec::Mark)
    PortId port;             // received on; for Entry::transmit and to_host: where it goes
    bool by_policy = false;  // of a packet that came in clear: a policy, not the default action, lets it in

    alignas(64) net::Packet ip;    // of the IP header at the front
    std::uint16_t esp_offset = 0;  // of what is to be opened: where its ESP header begins
    std::uint32_t inner_size = 0;
    std::uint16_t tfc = 0;  // TFC padding behind the inner packet; of SAs with rules
    const NextHop* hop = nullptr;
    InboundSa* in = nullptr;
    OutboundSa* out = nullptr;
    std::uint64_t seq = 0;
};
inline constexpr std::uint16_t kPrivateBytes = sizeof(PacketNotes);
static_assert(kPrivateBytes % 64 == 0);

inline PacketNotes& notes(rte_mbuf* m) { return *reinterpret_cast<PacketNotes*>(m + 1); }
inline Byte* data(rte_mbuf* m) { return static_cast<Byte*>(m->buf_addr) + m->data_off; }
template <class Header>
Header* header(rte_mbuf* m, std::size_t offset = 0) {
    static_assert(alignof(Header) == 1);
    return reinterpret_cast<Header*>(data(m) + offset);
}
// Whether its bytes may be changed in place: one segment, whose data nobody else reads.
inline bool is_plain(const rte_mbuf* m) {
    return m->nb_segs == 1 && rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m);
}
inline MutBytes bytes_of(rte_mbuf* m) { return {data(m), m->data_len}; }

inline constexpr std::uint16_t kEthernetSize = sizeof(net::EthernetHeader);
// Headroom that every sealed packet needs in front of its ESP header, whatever its outer headers.
inline constexpr std::uint16_t kOuterRoom = OuterTemplate::kMaxSize + kEthernetSize;

// Moves the front of a single-segment packet. The caller has checked that there is room or data.
inline void pull(rte_mbuf* m, unsigned n) {
    assert(n <= m->data_len);
    m->data_off = static_cast<std::uint16_t>(m->data_off + n);
    m->data_len = static_cast<std::uint16_t>(m->data_len - n);
    m->pkt_len -= n;
}
inline void push(rte_mbuf* m, unsigned n) {
    assert(n <= m->data_off);
    m->data_off = static_cast<std::uint16_t>(m->data_off - n);
    m->data_len = static_cast<std::uint16_t>(m->data_len + n);
    m->pkt_len += n;
}
inline void set_length(rte_mbuf* m, std::size_t n) {
    m->data_len = static_cast<std::uint16_t>(n);
    m->pkt_len = static_cast<std::uint32_t>(n);
}
inline std::size_t tailroom(const rte_mbuf* m) { return std::size_t{m->buf_len} - m->data_off - m->data_len; }

// A burst of packets on their way through a stage. Never overflows: no stage makes more packets than it was given.
struct PacketList {
    static constexpr unsigned kMax = kMaxBurst;
    rte_mbuf* packets[kMax];
    unsigned count = 0;
    void add(rte_mbuf* m) {
        assert(count < kMax);
        packets[count++] = m;
    }
    void clear() { count = 0; }
    bool full() const { return count == kMax; }
    rte_mbuf** begin() { return packets; }
    rte_mbuf** end() { return packets + count; }
};

// The flows of a list, those of neighbouring packets once: mostly they belong to one flow.
class FlowRuns {
  public:
    explicit FlowRuns(const PacketList& list);
    std::span<const Flow* const> flows() const { return {flows_, count_}; }
    // The run of the packet at a place of the list.
    unsigned of(unsigned place) const { return run_of_[place]; }

  private:
    const Flow* flows_[kMaxBurst];
    std::uint8_t run_of_[kMaxBurst];
    unsigned count_ = 0;
};

inline FlowRuns::FlowRuns(const PacketList& list) {
    for (unsigned i = 0; i < list.count; ++i) {
        const Flow& flow = notes(list.packets[i]).flow;
        if (count_ == 0 || !(flow == *flows_[count_ - 1])) flows_[count_++] = &flow;
        run_of_[i] = static_cast<std::uint8_t>(count_ - 1);
    }
}

// Notes the flow of a packet whose headers have been read into its notes.
inline void note_flow(rte_mbuf* m) {
    PacketNotes& n = notes(m);
    Flow& f = n.flow;
    f.family = n.ip.family;
    f.protocol = n.ip.protocol;
    f.ports_known = n.ip.ports_known;
    f.source_port = n.ip.source_port;
    f.destination_port = n.ip.destination_port;
    if (n.ip.is_v4()) {
        const auto* ip = header<net::Ipv4Header>(m);
        f.source = load_number(ip->source);
        f.destination = load_number(ip->destination);
    } else {
        const auto* ip = header<net::Ipv6Header>(m);
        f.source = load_number(ip->source);
        f.destination = load_number(ip->destination);
    }
}

// Reads the IP packet at the front of m into its notes and cuts what follows it (Ethernet padding). A chain, whose
// headers are in its first segment, has nothing to cut.
net::PacketFault read_ip_walked(rte_mbuf* m);
inline net::PacketFault read_ip(rte_mbuf* m) {
    PacketNotes& n = notes(m);
    if (m->nb_segs != 1 || !net::detail::parse_plain(n.ip, bytes_of(m), m->data_len)) return read_ip_walked(m);
    set_length(m, n.ip.total_size);
    note_flow(m);
    return net::PacketFault::none;
}

}  // namespace sluice::dataplane
