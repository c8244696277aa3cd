// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "ike/notify_type.hpp"

namespace sluice::ike {

// RFC 7296 3.2. Any other value off the wire is kept as its number.
enum class PayloadType : std::uint8_t {
    none = 0,
    sa = 33,
    ke = 34,
    id_i = 35,
    id_r = 36,
    cert = 37,
    cert_req = 38,
    auth = 39,
    nonce = 40,
    notify = 41,
    del = 42,
    vendor = 43,
    ts_i = 44,
    ts_r = 45,
    sk = 46,
    cp = 47,
    eap = 48,
    skf = 53,  // RFC 7383
};
std::string to_string(PayloadType type);

// Why a message was refused.
enum class ParseError : std::uint8_t {
    header,             // shorter than a header, a zero initiator SPI, or a length that is not the datagram's
    major_version,      // not 2; detail is the version
    critical_payload,   // unknown and critical; detail is its type
    too_many_payloads,  // more than kMaxPayloads
    payload_length,     // a generic header that does not fit, or whose length does not
    duplicate_payload,  // one that may stand only once
    payload_after_sk,   // SK and SKF end a message
    body,               // a payload whose inside breaks its format or bounds
};

// Names the payload where one is at fault.
struct ParseFailure {
    ParseError error = ParseError::header;
    PayloadType payload = PayloadType::none;
    std::uint8_t detail = 0;

    // The notify that RFC 7296 2.5, 2.21 and 3.10.1 answer with, if any: INVALID_MAJOR_VERSION for a higher version (an
    // older one is dropped), UNSUPPORTED_CRITICAL_PAYLOAD (data: detail, one byte), otherwise INVALID_SYNTAX, which
    // may be sent only in answer to a request that was authentic. Nothing for a bad header.
    std::optional<NotifyType> answer() const;
    std::string to_string() const;
    friend bool operator==(const ParseFailure&, const ParseFailure&) = default;
};

// A value or a ParseFailure; text is made from it only where somebody reads it. Reading the side that is not there is
// a programmer error and asserts.
template <class T>
class [[nodiscard]] Parsed {
  public:
    Parsed(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Parsed(ParseFailure failure) : state_(std::in_place_index<1>, failure) {}
    explicit operator bool() const { return state_.index() == 0; }
    T& operator*() & { return *value(); }
    const T& operator*() const& { return *value(); }
    T&& operator*() && { return std::move(*value()); }
    T* operator->() { return value(); }
    const T* operator->() const { return value(); }
    const ParseFailure& failure() const {
        assert(state_.index() == 1);
        return *std::get_if<1>(&state_);
    }

  private:
    T* value() {
        assert(state_.index() == 0);
        return std::get_if<0>(&state_);
    }
    const T* value() const {
        assert(state_.index() == 0);
        return std::get_if<0>(&state_);
    }
    std::variant<T, ParseFailure> state_;
};

}  // namespace sluice::ike
