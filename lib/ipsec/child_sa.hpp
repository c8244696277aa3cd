// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/byte_reader.hpp"
#include "lib/base/byte_writer.hpp"
#include "lib/base/strong.hpp"
#include "lib/base/time.hpp"
#include "lib/crypto/cipher.hpp"
#include "lib/ipsec/packet_rules.hpp"
#include "lib/ipsec/traffic_selector.hpp"

namespace sluice::ipsec {

enum class Mode : std::uint8_t { tunnel, transport };
enum class CopyDf : std::uint8_t { copy, set, clear };       // outer DF bit of an IPv4 tunnel header
enum class Workers : std::uint8_t { one, spread };           // how many of the backend's workers carry an SA
enum class CopyDscp : std::uint8_t { both, out, in, none };  // swanctl's copy_dscp

// How far an SA goes before it is replaced. 0 is no limit. Time limits belong to the IKE side; bytes and packets are
// counted by the backend, inner packet lengths as they enter or leave the SA.
struct Lifetime {
    std::uint64_t soft_bytes = 0;
    std::uint64_t hard_bytes = 0;
    std::uint64_t soft_packets = 0;
    std::uint64_t hard_packets = 0;
    Duration soft_time{};
    Duration hard_time{};
    friend bool operator==(const Lifetime&, const Lifetime&) = default;
};

struct SaHalf {
    Spi spi;
    crypto::CipherKeys keys;
    friend bool operator==(const SaHalf&, const SaHalf&) = default;
};

// A pair of ESP SAs, everything that a backend needs to carry traffic and a cluster peer needs to take it over (RFC
// 4301 4.4.2). A value: whoever holds one owns it. inbound.spi is ours, outbound.spi the peer's.
struct ChildSa {
    ChildSaId id;
    IkeSaId ike;
    std::string name;      // the child's name in the configuration
    std::string ike_name;  // the connection's
    std::uint32_t reqid = 0;
    PolicyId policy;  // the configured policy that it serves; 0: the SA brings a policy of its own from its selectors
    Mode mode = Mode::tunnel;
    SaHalf inbound;
    SaHalf outbound;
    bool esn = false;
    std::uint32_t replay_window = 64;  // packets; 0 turns replay protection off
    net::Endpoint local;               // outer addresses; ports matter where encap
    net::Endpoint remote;
    bool encap = false;  // ESP in UDP (RFC 3948)
    TrafficSelectors local_ts;
    TrafficSelectors remote_ts;
    Lifetime lifetime;
    CopyDf df = CopyDf::copy;
    CopyDscp dscp = CopyDscp::out;
    bool copy_ecn = true;  // RFC 6040 normal mode; false: compatibility mode
    Workers workers = Workers::one;
    PacketRules rules;
    NodeId iv_node;  // IV layout: node:4 | incarnation:16 | counter:44
    Incarnation iv_incarnation;
    net::IpAddress
        segment_address;  // the peer's address at install: it names the segment for good (FEATURES, segment hash)
    bool outbound_ready =
        true;  // false: only the inbound half is installed yet (responder before the switch, TRAPS 17)
    friend bool operator==(const ChildSa&, const ChildSa&) = default;
};

// A self-describing form with a version byte; read_child_sa() refuses what it does not know whole.
void write_child_sa(ByteWriter& out, const ChildSa& sa);
Result<ChildSa> read_child_sa(ByteReader& in);

}  // namespace sluice::ipsec
