// SPDX-License-Identifier: Apache-2.0
#include "control/config/values.hpp"

#include <charconv>
#include <cmath>

namespace sluice::control {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t kLongestSeconds = 100ULL * 366 * 86400;

template <class T>
std::optional<T> whole(std::string_view text, int base = 10) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

struct Scaled {
    std::uint64_t number;
    char unit;  // 0: none
};
std::optional<Scaled> scaled(std::string_view text) {
    char unit = 0;
    if (!text.empty() && (text.back() < '0' || text.back() > '9')) {
        unit = text.back();
        text.remove_suffix(1);
    }
    const auto number = whole<std::uint64_t>(text);
    if (!number) return std::nullopt;
    return Scaled{*number, unit};
}

int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

std::optional<bool> parse_bool(std::string_view text) {
    if (text == "yes" || text == "true" || text == "enabled" || text == "1") return true;
    if (text == "no" || text == "false" || text == "disabled" || text == "0") return false;
    return std::nullopt;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
    if (text.substr(0, 2) == "0x") return whole<std::uint64_t>(text.substr(2), 16);
    return whole<std::uint64_t>(text);
}

std::optional<Duration> parse_duration(std::string_view text) {
    const auto value = scaled(text);
    if (!value) return std::nullopt;
    std::uint64_t unit = 0;
    switch (value->unit) {
        case 0:
        case 's':
            unit = 1;
            break;
        case 'm':
            unit = 60;
            break;
        case 'h':
            unit = 3600;
            break;
        case 'd':
            unit = 86400;
            break;
        default:
            return std::nullopt;
    }
    if (value->number > kLongestSeconds / unit) return std::nullopt;
    return seconds(value->number * unit);
}

std::optional<double> parse_real(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) {
        return std::nullopt;
    }
    return value;
}

std::optional<Duration> parse_fractional_seconds(std::string_view text) {
    if (!text.empty() && text.back() == 's') text.remove_suffix(1);
    const auto value = parse_real(text);
    if (!value || *value < 0 || *value > static_cast<double>(kLongestSeconds)) return std::nullopt;
    return std::chrono::round<std::chrono::milliseconds>(std::chrono::duration<double>(*value));
}

std::optional<std::uint64_t> parse_byte_count(std::string_view text) {
    const auto value = scaled(text);
    if (!value) return std::nullopt;
    unsigned shift = 0;
    switch (value->unit) {
        case 0:
            break;
        case 'k':
        case 'K':
            shift = 10;
            break;
        case 'm':
        case 'M':
            shift = 20;
            break;
        case 'g':
        case 'G':
            shift = 30;
            break;
        default:
            return std::nullopt;
    }
    if (value->number > UINT64_MAX >> shift) return std::nullopt;
    return value->number << shift;
}

std::optional<SecretBytes> parse_base64(std::string_view text) {
    while (!text.empty() && text.back() == '=') text.remove_suffix(1);
    if (text.size() % 4 == 1) return std::nullopt;
    SecretBytes out(text.size() * 6 / 8);
    std::size_t filled = 0;
    unsigned bits = 0;
    std::uint32_t pending = 0;
    for (const char c : text) {
        const int digit = base64_digit(c);
        if (digit < 0) return std::nullopt;
        pending = (pending << 6 | static_cast<std::uint32_t>(digit)) & 0xffff;
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        out.mutable_view()[filled++] = static_cast<Byte>(pending >> bits);
    }
    return out;
}

std::optional<SecretBytes> parse_secret(std::string_view text) {
    if (text.substr(0, 2) == "0s") return parse_base64(text.substr(2));
    if (text.substr(0, 2) != "0x") return SecretBytes(as_bytes(text));
    auto bytes = from_hex(text);
    if (!bytes) return std::nullopt;
    SecretBytes out{Bytes(*bytes)};
    wipe(*bytes);
    return out;
}

std::optional<InterfaceAddress> parse_interface_address(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto address = net::IpAddress::parse(text.substr(0, slash));
    if (!address) return std::nullopt;
    const auto bits = static_cast<std::uint8_t>(address->size() * 8);
    if (slash == std::string_view::npos) return InterfaceAddress{*address, bits};
    const auto length = whole<std::uint8_t>(text.substr(slash + 1));
    if (!length || *length > bits) return std::nullopt;
    return InterfaceAddress{*address, *length};
}

std::optional<net::Endpoint> parse_endpoint(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    const auto address = net::IpAddress::parse(host);
    const auto port = whole<std::uint16_t>(text.substr(colon + 1));
    if (!address || !port || *port == 0 || address->is_v6() != bracketed) return std::nullopt;
    return net::Endpoint{*address, *port};
}

}  // namespace sluice::control
