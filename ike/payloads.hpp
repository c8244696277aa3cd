// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "ike/config.hpp"
#include "ike/notify_type.hpp"
#include "ike/parse_error.hpp"
#include "lib/base/byte_writer.hpp"
#include "lib/base/bytes.hpp"
#include "lib/crypto/algorithms.hpp"
#include "lib/ipsec/proposal.hpp"
#include "lib/ipsec/traffic_selector.hpp"

namespace sluice::ike {

// RFC 7296 3.1. Any other value off the wire is kept as its number.
enum class ExchangeType : std::uint8_t {
    ike_sa_init = 34,
    ike_auth = 35,
    create_child_sa = 36,
    informational = 37,
    ike_session_resume = 38,
    ike_intermediate = 43,
};
std::string to_string(ExchangeType type);

// The payloads as values (RFC 7296 3.3 to 3.16), each with the type that it has on the wire as kType. They own their
// bytes. Reserved fields are ignored on receipt and sent as zero, except where AUTH covers them (BasicId).

// 3.3. Unknown transform types and ids are kept (their numbers stand in Transform), so that select() judges each
// proposal by itself. A transform with an attribute that nobody here knows is dropped, and where it was the last of
// its type, its proposal with it (3.3.6). An SA payload may be left without proposals: nothing in it is acceptable.
// SPI sizes are checked against protocol and exchange (TRAPS 9): IKE has none in IKE_SA_INIT and 8 bytes later, ESP
// and AH have 4.
struct SaPayload {
    static constexpr PayloadType kType = PayloadType::sa;
    ipsec::Proposals proposals;
    friend bool operator==(const SaPayload&, const SaPayload&) = default;
};

// 3.4. The group may be unknown; whether data fits it is for dh_shared() to say. Never empty.
struct KePayload {
    static constexpr PayloadType kType = PayloadType::ke;
    crypto::Group group = crypto::Group::none;
    ByteVec data;
    friend bool operator==(const KePayload&, const KePayload&) = default;
};

// 3.5. Type 0 is refused, since Identity gives it a meaning of its own; unknown types are kept. IPv4 and IPv6
// identities have their 4 and 16 bytes.
template <PayloadType type>
struct BasicId {
    static constexpr PayloadType kType = type;
    Identity identity;
    std::array<Byte, 3> reserved{};  // as received: AUTH covers it (2.15)
    // What AUTH covers: the payload without its generic header.
    ByteVec body() const {
        ByteWriter out;
        out.u8(static_cast<std::uint8_t>(identity.type));
        out.raw(reserved);
        out.raw(identity.data);
        return std::move(out).take();
    }
    friend bool operator==(const BasicId&, const BasicId&) = default;
};
using IdI = BasicId<PayloadType::id_i>;
using IdR = BasicId<PayloadType::id_r>;

// 3.8 with RFC 4754, 7427 and 7619. Any other method is kept as its number.
struct AuthPayload {
    static constexpr PayloadType kType = PayloadType::auth;
    static constexpr std::uint8_t kRsa = 1;
    static constexpr std::uint8_t kSharedKey = 2;
    static constexpr std::uint8_t kEcdsa256 = 9;
    static constexpr std::uint8_t kEcdsa384 = 10;
    static constexpr std::uint8_t kEcdsa521 = 11;
    static constexpr std::uint8_t kNull = 13;
    static constexpr std::uint8_t kDigitalSignature = 14;
    std::uint8_t method = 0;
    ByteVec data;
    friend bool operator==(const AuthPayload&, const AuthPayload&) = default;
};

// 3.9. 16 to 256 bytes.
struct NoncePayload {
    static constexpr PayloadType kType = PayloadType::nonce;
    ByteVec data;
    friend bool operator==(const NoncePayload&, const NoncePayload&) = default;
};

// 3.10. spi is empty or has the 4 bytes of ESP and AH or the 8 of IKE. Where it is empty protocol means nothing and
// reads as none. Sizes of data that are checked: COOKIE 1..64, NAT_DETECTION_* 20, INVALID_KE_PAYLOAD 2,
// SET_WINDOW_SIZE
// 4. REKEY_SA and CHILD_SA_NOT_FOUND have a 4-byte SPI.
struct NotifyPayload {
    static constexpr PayloadType kType = PayloadType::notify;
    NotifyType type = NotifyType::none;
    ipsec::Protocol protocol = ipsec::Protocol::none;
    ByteVec spi;
    ByteVec data;
    friend bool operator==(const NotifyPayload&, const NotifyPayload&) = default;
};

// 3.11. IKE: no SPIs. ESP and AH: the sender's inbound SPIs (TRAPS 9), host order.
struct DeletePayload {
    static constexpr PayloadType kType = PayloadType::del;
    ipsec::Protocol protocol = ipsec::Protocol::ike;
    std::vector<Spi> spis;
    friend bool operator==(const DeletePayload&, const DeletePayload&) = default;
};

// 3.13. Selectors of an unknown type, and those that match nothing (first above last), are left out; the list may be
// empty.
template <PayloadType type>
struct BasicTs {
    static constexpr PayloadType kType = type;
    ipsec::TrafficSelectors selectors;
    friend bool operator==(const BasicTs&, const BasicTs&) = default;
};
using TsI = BasicTs<PayloadType::ts_i>;
using TsR = BasicTs<PayloadType::ts_r>;

// 3.15. type: 1 request, 2 reply, 3 set, 4 ack.
struct CpAttribute {
    std::uint16_t type = 0;  // 15 bits
    ByteVec value;
    friend bool operator==(const CpAttribute&, const CpAttribute&) = default;
};
struct CpPayload {
    static constexpr PayloadType kType = PayloadType::cp;
    std::uint8_t type = 0;
    std::vector<CpAttribute> attributes;
    friend bool operator==(const CpPayload&, const CpPayload&) = default;
};

// 3.14 and RFC 7383 2.5: everything behind the generic header, sealed, and what the chain inside begins with. The last
// payload of its message. type is sk or skf.
struct SkPayload {
    PayloadType type = PayloadType::sk;
    PayloadType first_inner = PayloadType::none;
    ByteVec body;
    friend bool operator==(const SkPayload&, const SkPayload&) = default;
};

// CERT, CERTREQ, Vendor ID, EAP, and unknown payloads whose critical bit was clear.
struct OpaquePayload {
    PayloadType type = PayloadType::none;
    ByteVec body;
    friend bool operator==(const OpaquePayload&, const OpaquePayload&) = default;
};

using Payload = std::variant<SaPayload, KePayload, IdI, IdR, AuthPayload, NoncePayload, NotifyPayload, DeletePayload,
                             TsI, TsR, CpPayload, SkPayload, OpaquePayload>;
PayloadType payload_type(const Payload& payload);

// One payload's inside, generic header taken off. The exchange decides about SPI sizes in SA. SK and SKF are not for
// this: see parse_message().
Parsed<Payload> parse_payload(PayloadType type, ExchangeType exchange, Bytes body);
// Appends the inside of a payload; its counterpart. Lengths that do not fit their fields assert.
void write_payload_body(ByteWriter& out, const Payload& payload);

// What each kind of body is made of, for parse_payload() and write_payload_body().
Parsed<Payload> parse_sa(ExchangeType exchange, Bytes body);
void write_sa(ByteWriter& out, const SaPayload& payload);
Parsed<Payload> parse_notify(Bytes body);
void write_notify(ByteWriter& out, const NotifyPayload& payload);
Parsed<Payload> parse_delete(Bytes body);
void write_delete(ByteWriter& out, const DeletePayload& payload);
Parsed<Payload> parse_ts(PayloadType type, Bytes body);
void write_ts(ByteWriter& out, const ipsec::TrafficSelectors& selectors);

}  // namespace sluice::ike
