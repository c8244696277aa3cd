// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "dataplane/dataplane.hpp"
#include "lib/esp/codec.hpp"
#include "lib/ipsec/child_sa.hpp"
#include "lib/ipsec/policy.hpp"
#include "tests/unit/dataplane/packets.hpp"

// The addresses, SAs and far side that tests of the dataplane share.
//
//   lan (port 0)                          wan (port 1)
//   10.1.0.1/24, fd01::1/64               192.0.2.1/24, 2001:db8::1/64
//   neighbour .10                         neighbour .2, router to 10.2.0.0/16 and fd02::/64
namespace sluice::test {

inline constexpr PortId kLan{0};
inline constexpr PortId kWan{1};
inline const net::MacAddress kLanMac{{0x02, 0, 0, 0, 1, 1}};
inline const net::MacAddress kWanMac{{0x02, 0, 0, 0, 2, 1}};
inline const net::MacAddress kAliceMac{{0x02, 0, 0, 0, 1, 0x10}};
inline const net::MacAddress kPeerMac{{0x02, 0, 0, 0, 2, 2}};

dataplane::HostView host_view();

// An ESP suite of a test: name and transforms.
struct Suite {
    const char* name;
    crypto::Encr encr;
    std::uint16_t key_bits;
    crypto::Integ integ;
};
const std::vector<Suite>& all_suites();

struct ChildOptions {
    Suite suite{"aes128gcm16", crypto::Encr::aes_gcm_16, 128, crypto::Integ::none};
    bool outer_v6 = false;
    bool encap = false;
    bool esn = false;
    std::uint32_t replay_window = 64;
    std::uint32_t id = 1;
    PolicyId policy{1};
    ipsec::Workers workers = ipsec::Workers::one;
};
// 10.1.0.0/24 and fd01::/64 here, 10.2.0.0/16 and fd02::/64 there. Keys are made from the id.
ipsec::ChildSa make_child(const ChildOptions& options = {});
// The policy with id 1 for the same selectors.
ipsec::Spd make_spd(bool trap = false);

// The peer's side of a child SA: seals what the worker is to open and opens what it has sealed, with the reference
// codec over OpenSSL.
class Peer {
  public:
    explicit Peer(const ipsec::ChildSa& child) : child_(child) {}
    // A frame for the wan port; seq 0 takes the next number.
    ByteVec seal(Bytes inner, std::uint64_t seq = 0, std::uint8_t next_header = 0, std::uint8_t outer_tos = 0);
    // The same with a text of the caller's making, trailer included: for what no honest peer sends.
    ByteVec seal_text(Bytes text, std::uint64_t seq = 0);
    // The inner packet of a frame that left the wan port; nothing where it does not verify with this number.
    std::optional<ByteVec> open(const ByteVec& frame, std::uint64_t seq);
    // The ESP part of a frame, SPI first.
    Bytes esp_of(const ByteVec& frame) const;
    std::uint64_t next_seq = 1;

  private:
    ByteVec wrap(Bytes esp, std::uint8_t outer_tos) const;
    const ipsec::ChildSa& child_;
};

}  // namespace sluice::test
