// SPDX-License-Identifier: Apache-2.0
#include "dataplane/packet.hpp"

namespace sluice::dataplane {

net::PacketFault read_ip(rte_mbuf* m) {
    PacketNotes& n = notes(m);
    net::parse_packet(n.ip, bytes_of(m), m->pkt_len);
    if (!n.ip.ok()) return n.ip.fault;
    if (m->nb_segs == 1) {
        set_length(m, n.ip.total_size);
    } else if (n.ip.total_size != m->pkt_len) {
        return n.ip.fault = net::PacketFault::total_length;
    }
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
    return net::PacketFault::none;
}

}  // namespace sluice::dataplane
