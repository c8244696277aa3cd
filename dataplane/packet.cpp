// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet.hpp"

namespace sluice::dataplane {

net::PacketFault read_ip_walked(rte_mbuf* m) {
    PacketNotes& n = notes(m);
    net::parse_packet(n.ip, bytes_of(m), m->pkt_len);
    if (!n.ip.ok()) return n.ip.fault;
    if (m->nb_segs == 1) {
        set_length(m, n.ip.total_size);
    } else if (n.ip.total_size != m->pkt_len) {
        return n.ip.fault = net::PacketFault::total_length;
    }
    note_flow(m);
    return net::PacketFault::none;
}

}  // namespace sluice::dataplane
