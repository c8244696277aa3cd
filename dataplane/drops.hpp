// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::dataplane {

// Every reason for which a worker lets a packet go: the enum, the counter, the metric label and its help text come from
// this one list. A packet leaves the path early through exactly one of them (Worker::drop).
#define SLUICE_DROP_REASONS(X)                                                                                    \
    X(malformed, "a header is broken, cut short, or contradicts the frame's length")                              \
    X(foreign_mac, "a frame that is not addressed to this port")                                                  \
    X(ip_checksum, "the IPv4 header checksum is wrong")                                                           \
    X(clear_in_protected, "an inbound packet in clear that a policy protects (RFC 4301 5.2)")                     \
    X(ports_unseen, "a fragment or cut header that a protect policy for certain ports may be about (RFC 4301 7)") \
    X(policy_discard, "a discard policy, or the default action, says so")                                         \
    X(tagged, "an outbound IP packet behind a VLAN tag that a policy protects")                                   \
    X(error_in_clear, "an ICMP error about a decrypted packet that no SA would carry")                            \
    X(keepalive, "a NAT keepalive, one byte 0xFF (RFC 3948 2.3)")                                                 \
    X(unknown_spi, "ESP for an SPI that is not installed")                                                        \
    X(spi_hold_full, "too many packets wait for an SA that is being negotiated")                                  \
    X(hold_expired, "a packet waited too long for an SA or a neighbour")                                          \
    X(not_responsible, "another node serves this SA's segment")                                                   \
    X(endpoint_mismatch, "plain ESP for an SA with UDP encapsulation")                                            \
    X(esp_malformed, "an ESP packet too short for its algorithm, or not a multiple of its block")                 \
    X(replay, "a sequence number seen before, zero, or left of the replay window")                                \
    X(icv, "the integrity check failed")                                                                          \
    X(padding, "padding that is longer than the packet or not 1,2,3... (RFC 4303 2.4)")                           \
    X(dummy, "an ESP dummy packet, next header 59 (RFC 4303 2.6)")                                                \
    X(inner_malformed, "what was inside ESP is no whole IP packet")                                               \
    X(ecn_illegal, "the outer header says congestion, the inner transport cannot (RFC 6040 4.2)")                 \
    X(fragment_overlap, "an inner TCP fragment that begins inside the TCP header (RFC 4301 7.2, RFC 1858)")       \
    X(policy_mismatch, "a decrypted packet outside the selectors of its SA (RFC 4301 5.2)")                       \
    X(no_sa, "a protect policy without an SA")                                                                    \
    X(selector_mismatch, "a protect policy has SAs, but none covers this packet")                                 \
    X(transport_routed, "a packet that is routed here, where only a transport-mode SA would carry it")            \
    X(seq_overflow, "no sequence number left in this SA (RFC 4303 3.3.3)")                                        \
    X(emission_full, "too many sealed packets of an SA wait for lower numbers of another worker")                 \
    X(emission_lost, "sealed packets of a worker that hung, whose numbers were given up")                         \
    X(iv_exhausted, "no IV left under this key")                                                                  \
    X(lifetime, "the SA has reached its hard limit of bytes or packets")                                          \
    X(ttl, "TTL or hop limit reached zero on the way")                                                            \
    X(no_route, "no route to the destination")                                                                    \
    X(blackhole, "the route says unreachable, prohibit or blackhole")                                             \
    X(too_big, "larger than the path allows and not to be fragmented")                                            \
    X(fragment, "a packet could not be cut into fragments")                                                       \
    X(reassembly, "fragments of an ESP packet that overlap, are incomplete, or came too late")                    \
    X(neighbour_missing, "no neighbour entry and no room to wait for one")                                        \
    X(tx_full, "the port's transmit queue took no more")                                                          \
    X(host_full, "the host interface took no more")                                                               \
    X(handover_full, "the ring to the worker that owns the SA is full")                                           \
    X(no_room, "no headroom, tailroom or buffer left")

enum class Drop : std::uint8_t {
#define SLUICE_DROP_ENUM(name, help) name,
    SLUICE_DROP_REASONS(SLUICE_DROP_ENUM)
#undef SLUICE_DROP_ENUM
};

struct DropInfo {
    std::string_view name;
    std::string_view help;
};
inline constexpr DropInfo kDropInfo[] = {
#define SLUICE_DROP_INFO(name, help) {#name, help},
    SLUICE_DROP_REASONS(SLUICE_DROP_INFO)
#undef SLUICE_DROP_INFO
};
inline constexpr std::size_t kDropReasons = sizeof(kDropInfo) / sizeof(kDropInfo[0]);

}  // namespace sluice::dataplane
