// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "apps/bench/shape.hpp"
#include "dataplane/dataplane.hpp"
#include "lib/ipsec/child_sa.hpp"

// The network of the benchmark: a gateway with one host on its lan and as many peers as there are SAs, all behind one
// router on its wan. SA i is a road warrior: its own outer address, and one inner address.
//
//   host 10.0.0.10 ── lan 10.0.0.1/24 ══ gateway ══ wan 192.0.2.1/24 ── router 192.0.2.2 ── 100.64.0.0/10   peer i
//                                                   2001:db8::1/64      2001:db8::2         2001:db8:1::/64
//   inner address of peer i: 11.0.0.0 + i
namespace sluice::bench {

inline constexpr PortId kLan{0};
inline constexpr PortId kWan{1};
inline const net::MacAddress kLanMac{{0x02, 0, 0, 0, 1, 1}};
inline const net::MacAddress kWanMac{{0x02, 0, 0, 0, 2, 1}};
inline const net::MacAddress kHostMac{{0x02, 0, 0, 0, 1, 0x10}};
inline const net::MacAddress kRouterMac{{0x02, 0, 0, 0, 2, 2}};
inline constexpr std::uint32_t kInnerHost = 0x0a00000a;  // 10.0.0.10
inline constexpr std::uint32_t kFirstPeer = 0x0b000000;  // 11.0.0.0
inline constexpr std::uint32_t kMaxSas = 1U << 22;       // as many outer addresses as there are

// The algorithms of a proposal's keywords, without keys. unsupported: the workers carry no such ESP.
Result<crypto::CipherKeys> parse_aead(const std::string& keywords);

// Keys of one direction of SA i, made from i.
crypto::CipherKeys make_keys(const crypto::CipherKeys& suite, std::uint32_t sa, Direction direction);

struct SaSpis {
    Spi in;
    Spi out;
};
net::IpAddress outer_local(net::Family family);
net::IpAddress outer_remote(net::Family family, std::uint32_t sa);
ipsec::ChildSa make_child(const GatewayShape& shape, const crypto::CipherKeys& suite, std::uint32_t sa, SaSpis spis);
dataplane::HostView host_view();
// Two ports without devices, and room for that many SAs and frames.
dataplane::DataplaneConfig make_config(std::uint32_t sas, unsigned workers, std::uint16_t mtu);

}  // namespace sluice::bench
