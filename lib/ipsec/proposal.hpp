// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/crypto/algorithms.hpp"

namespace sluice::ipsec {

enum class Protocol : std::uint8_t { none = 0, ike = 1, ah = 2, esp = 3 };  // RFC 7296 3.3.1
enum class TransformType : std::uint8_t { encr = 1, prf = 2, integ = 3, ke = 4, esn = 5 };

// One transform (RFC 7296 3.3.2). id keeps unknown values, so that a proposal with one is answered, not refused whole.
// Transforms with an attribute nobody knows are dropped by the parser of the message.
struct Transform {
    TransformType type = TransformType::encr;
    std::uint16_t id = 0;
    std::uint16_t key_bits = 0;  // 0: no key-length attribute
    friend bool operator==(const Transform&, const Transform&) = default;
};

struct Proposal {
    std::uint8_t number = 0;  // 1.. on the wire, 0 in a configuration
    Protocol protocol = Protocol::none;
    ByteVec spi;  // 0 bytes in IKE_SA_INIT, 8 for an IKE rekey, 4 for ESP (TRAPS 9)
    std::vector<Transform> transforms;
    bool has(TransformType type) const;
    friend bool operator==(const Proposal&, const Proposal&) = default;
};
using Proposals = std::vector<Proposal>;

// swanctl's proposal text: "aes128-sha256-modp2048", "aes256gcm16-prfsha384-ecp384", "aes128gcm16-esn-noesn",
// "default". Where no prf is named for IKE, it follows from the integrity algorithm as in strongSwan. Errors name the
// token and what was expected. An AEAD beside an integrity algorithm, an IKE proposal without a group, ESP CBC without
// integrity are "impossible".
Result<Proposal> parse_proposal(std::string_view text, Protocol protocol);
// "default" expands to several; the list is comma-separated or one each.
Result<Proposals> parse_proposals(const std::vector<std::string>& texts, Protocol protocol);
std::string to_string(const Proposal& proposal);  // "AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519", strongSwan's form

// The algorithms that a negotiation chose: one of each type.
struct Suite {
    crypto::Encr encr = crypto::Encr::none;
    std::uint16_t key_bits = 0;
    crypto::Integ integ = crypto::Integ::none;
    crypto::Prf prf = crypto::Prf::none;
    crypto::Group group = crypto::Group::none;
    bool esn = false;
    friend bool operator==(const Suite&, const Suite&) = default;
};

struct Selection {
    Proposal chosen;  // the peer's number and SPI, exactly one transform of each type it has (RFC 7296 3.3)
    Suite suite;
};
enum class Prefer { own_order, peer_order };
// Chooses from what the peer offered. ke_ignored: group transforms do not take part (the first child, whose keys come
// from the IKE SA).
struct SelectOptions {
    Prefer prefer = Prefer::own_order;
    bool ke_ignored = false;
};
std::optional<Selection> select(const Proposals& configured, const Proposals& offered, const SelectOptions& options);

// Whether the answer is one that the offer allows: same number, every type answered once, nothing not offered (TRAPS
// 10).
Result<Suite> check_answer(const Proposals& offered, const Proposal& answer);

}  // namespace sluice::ipsec
