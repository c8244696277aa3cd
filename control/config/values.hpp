// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/secret.hpp"
#include "lib/base/time.hpp"
#include "lib/net/address.hpp"

// Text forms of values, as swanctl.conf has them. Nothing where the text is none.
namespace sluice::control {

// yes, no, true, false, enabled, disabled, 1, 0.
std::optional<bool> parse_bool(std::string_view text);
// Decimal, or hexadecimal behind 0x.
std::optional<std::uint64_t> parse_number(std::string_view text);
// A whole number of seconds, or one with the unit s, m, h or d: "90", "30s", "1h". At most 100 years.
std::optional<Duration> parse_duration(std::string_view text);
// Seconds with a fraction, as charon's retransmit_timeout: "4.0", "0.5", "2s".
std::optional<Duration> parse_fractional_seconds(std::string_view text);
std::optional<double> parse_real(std::string_view text);
// A whole number, or one with the unit k, m or g (powers of 1024).
std::optional<std::uint64_t> parse_byte_count(std::string_view text);
// Standard alphabet (RFC 4648 4), padding optional.
std::optional<SecretBytes> parse_base64(std::string_view text);
// "0x" with hex digits, "0s" with base64, anything else is the text itself.
std::optional<SecretBytes> parse_secret(std::string_view text);

// An interface's own address: "192.0.2.1/24", host bits allowed; without a length it is a host's.
struct InterfaceAddress {
    net::IpAddress address;
    std::uint8_t length = 0;
};
std::optional<InterfaceAddress> parse_interface_address(std::string_view text);
// "127.0.0.1:9464", "[::1]:9464". Port 1 to 65535.
std::optional<net::Endpoint> parse_endpoint(std::string_view text);

}  // namespace sluice::control
