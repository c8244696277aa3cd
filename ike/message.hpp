// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ike/payloads.hpp"

namespace sluice::ike {

inline constexpr std::size_t kHeaderSize = 28;         // RFC 7296 3.1
inline constexpr std::size_t kGenericHeaderSize = 4;   // RFC 7296 3.2
inline constexpr std::size_t kMaxPayloads = 128;       // in one chain (TRAPS 14)
inline constexpr std::size_t kMaxMessageSize = 65535;  // bytes; more than any UDP datagram carries

// The IKE header without what follows from the rest (first payload, length). Sent as version 2.0; on receipt any minor
// version is taken and the Version flag and reserved flags are ignored (TRAPS 11). message_id is in host order; SPIs
// are the 8 bytes read as one number, and go back unchanged.
struct Header {
    std::uint64_t initiator_spi = 0;  // never 0 on the wire
    std::uint64_t responder_spi = 0;  // 0 in the first IKE_SA_INIT request
    ExchangeType exchange = ExchangeType::ike_sa_init;
    bool initiator = false;  // I flag: the sender is the original initiator of the IKE SA
    bool response = false;   // R flag
    std::uint32_t message_id = 0;
    friend bool operator==(const Header&, const Header&) = default;
};

// A message as a value: typed payloads in the order of the wire. Of a protected one parse_message() gives a single
// SkPayload at the end, and open() the payloads inside.
struct Message {
    Header header;
    std::vector<Payload> payloads;

    // The payload of a type that stands at most once (SA, KE, IDi, ...: parse_message() refuses doubles), or null.
    template <class T>
    const T* find() const {
        for (const Payload& payload : payloads)
            if (const T* found = std::get_if<T>(&payload)) return found;
        return nullptr;
    }
    // The first notify of a type, or null.
    const NotifyPayload* notify(NotifyType type) const;
    // The first notify that reports an error, known or not, or null.
    const NotifyPayload* error_notify() const;
    // All of a kind, in order.
    std::vector<const NotifyPayload*> notifies(NotifyType type) const;
    std::vector<const DeletePayload*> deletes() const;
    bool is_protected() const { return find<SkPayload>() != nullptr; }

    friend bool operator==(const Message&, const Message&) = default;
};

// Header alone, for dispatch by SPI: length, version and SPIi checked, nothing behind it read.
Parsed<Header> parse_header(Bytes message);

// The whole message. Payloads may come in any order (TRAPS 12); those that may stand once are refused twice; unknown
// ones are kept as OpaquePayload where not critical (TRAPS 11).
Parsed<Message> parse_message(Bytes message);

// The bytes, chained in the order of payloads: equal messages give equal bytes. An SkPayload must be the last
// (asserted, like the size limit).
ByteVec build_message(const Message& message);

// A chain of payloads as it stands behind a header or inside SK. parse_chain() wants exactly the bytes of the chain:
// what is missing or left over is ParseError::payload_length.
struct Chain {
    PayloadType first = PayloadType::none;
    ByteVec bytes;
};
Chain build_chain(std::span<const Payload> payloads);
Parsed<std::vector<Payload>> parse_chain(PayloadType first, ExchangeType exchange, Bytes bytes);

// Writes a header whose total length and first payload are known.
void write_header(ByteWriter& out, const Header& header, PayloadType first, std::size_t total_length);

// "IKE_AUTH request 1 [ IDi AUTH SA TSi TSr N(MOBIKE_SUP) ]", for logs.
std::string to_string(const Message& message);

}  // namespace sluice::ike
