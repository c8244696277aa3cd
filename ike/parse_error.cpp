// SPDX-License-Identifier: Apache-2.0
#include "ike/parse_error.hpp"

namespace sluice::ike {
namespace {

std::string reason(const ParseFailure& failure) {
    const std::string payload = to_string(failure.payload);
    switch (failure.error) {
        case ParseError::header:
            return "the IKE header is malformed or its length is not that of the datagram";
        case ParseError::major_version:
            return "major version " + std::to_string(failure.detail) + " instead of 2";
        case ParseError::critical_payload:
            return "unknown critical payload of type " + std::to_string(failure.detail);
        case ParseError::too_many_payloads:
            return "too many payloads";
        case ParseError::payload_length:
            return "the length of payload " + payload + " does not fit";
        case ParseError::duplicate_payload:
            return "payload " + payload + " stands twice";
        case ParseError::payload_after_sk:
            return "payload " + payload + " is not the last";
        case ParseError::body:
            return "payload " + payload + " is malformed inside";
    }
    return "malformed";
}

}  // namespace

std::string to_string(PayloadType type) {
    switch (type) {
        case PayloadType::none:
            return "none";
        case PayloadType::sa:
            return "SA";
        case PayloadType::ke:
            return "KE";
        case PayloadType::id_i:
            return "IDi";
        case PayloadType::id_r:
            return "IDr";
        case PayloadType::cert:
            return "CERT";
        case PayloadType::cert_req:
            return "CERTREQ";
        case PayloadType::auth:
            return "AUTH";
        case PayloadType::nonce:
            return "Nonce";
        case PayloadType::notify:
            return "N";
        case PayloadType::del:
            return "D";
        case PayloadType::vendor:
            return "V";
        case PayloadType::ts_i:
            return "TSi";
        case PayloadType::ts_r:
            return "TSr";
        case PayloadType::sk:
            return "SK";
        case PayloadType::cp:
            return "CP";
        case PayloadType::eap:
            return "EAP";
        case PayloadType::skf:
            return "SKF";
    }
    return "payload-" + std::to_string(static_cast<unsigned>(type));
}

std::optional<NotifyType> ParseFailure::answer() const {
    switch (error) {
        case ParseError::header:
            return std::nullopt;
        case ParseError::major_version:
            if (detail < 2) return std::nullopt;
            return NotifyType::invalid_major_version;
        case ParseError::critical_payload:
            return NotifyType::unsupported_critical_payload;
        default:
            return NotifyType::invalid_syntax;
    }
}

std::string ParseFailure::to_string() const { return reason(*this); }

}  // namespace sluice::ike
