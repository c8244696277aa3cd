// SPDX-License-Identifier: Apache-2.0
#include "lib/net/address.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

namespace sluice::net {
namespace {

// One decimal octet without sign, spaces or leading zeros ("010" means eight to some readers, so nobody gets it).
std::optional<Byte> parse_octet(std::string_view text) {
    if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
    unsigned value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    if (value > 255) return std::nullopt;
    return static_cast<Byte>(value);
}

std::optional<std::array<Byte, 4>> parse_quad(std::string_view text) {
    std::array<Byte, 4> bytes{};
    for (std::size_t i = 0; i < 4; ++i) {
        const std::size_t end = i < 3 ? text.find('.') : text.size();
        if (end == std::string_view::npos) return std::nullopt;
        const auto octet = parse_octet(text.substr(0, end));
        if (!octet) return std::nullopt;
        bytes[i] = *octet;
        text.remove_prefix(i < 3 ? end + 1 : end);
    }
    return bytes;
}

std::optional<std::uint16_t> parse_group(std::string_view text) {
    if (text.empty() || text.size() > 4) return std::nullopt;
    std::uint16_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

// Colon-separated groups of one side of "::". Where mixed is set the last one may be a dotted quad (RFC 4291 2.2).
struct Groups {
    std::array<Byte, 16> bytes{};
    std::size_t size = 0;  // bytes used
};
std::optional<Groups> parse_groups(std::string_view text, const bool last_part) {
    Groups groups;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(':'), text.size());
        const std::string_view token = text.substr(0, end);
        const bool last = end == text.size();
        if (last && last_part && token.find('.') != std::string_view::npos) {
            const auto quad = parse_quad(token);
            if (!quad || groups.size > 12) return std::nullopt;
            std::copy(quad->begin(), quad->end(), groups.bytes.begin() + static_cast<std::ptrdiff_t>(groups.size));
            groups.size += 4;
            return groups;
        }
        const auto group = parse_group(token);
        if (!group || groups.size > 14) return std::nullopt;
        groups.bytes[groups.size++] = static_cast<Byte>(*group >> 8);
        groups.bytes[groups.size++] = static_cast<Byte>(*group);
        if (last) return groups;
        text.remove_prefix(end + 1);
        if (text.empty()) return std::nullopt;  // a trailing single colon
    }
    return groups;
}

std::optional<std::array<Byte, 16>> parse_v6(std::string_view text) {
    const std::size_t gap = text.find("::");
    if (gap == std::string_view::npos) {
        const auto all = parse_groups(text, true);
        if (!all || all->size != 16) return std::nullopt;
        return all->bytes;
    }
    const auto head = parse_groups(text.substr(0, gap), false);
    const auto tail = parse_groups(text.substr(gap + 2), true);
    if (!head || !tail || head->size + tail->size > 14) return std::nullopt;
    std::array<Byte, 16> bytes = head->bytes;
    std::memcpy(bytes.data() + 16 - tail->size, tail->bytes.data(), tail->size);
    return bytes;
}

std::string quad_text(Bytes b) {
    return std::to_string(b[0]) + "." + std::to_string(b[1]) + "." + std::to_string(b[2]) + "." + std::to_string(b[3]);
}

struct ZeroRun {
    std::size_t start = 8;
    std::size_t length = 0;
};
// The first longest run of two or more zero groups (RFC 5952 4.2).
ZeroRun longest_zero_run(const std::array<std::uint16_t, 8>& groups, std::size_t count) {
    ZeroRun best;
    for (std::size_t i = 0; i < count;) {
        std::size_t end = i;
        while (end < count && groups[end] == 0) ++end;
        if (end - i >= 2 && end - i > best.length) best = {i, end - i};
        i = end + 1;
    }
    return best;
}

std::string v6_text(Bytes bytes) {
    std::array<std::uint16_t, 8> groups{};
    for (std::size_t i = 0; i < 8; ++i) groups[i] = static_cast<std::uint16_t>(bytes[2 * i] << 8 | bytes[2 * i + 1]);
    const bool mapped = std::all_of(bytes.begin(), bytes.begin() + 10, [](Byte b) { return b == 0; }) &&
                        groups[5] == 0xffff;  // RFC 5952 5
    const std::size_t count = mapped ? 6 : 8;
    const ZeroRun gap = longest_zero_run(groups, count);
    std::string text;
    for (std::size_t i = 0; i < count;) {
        if (i == gap.start) {
            text += "::";
            i += gap.length;
            continue;
        }
        if (!text.empty() && text.back() != ':') text += ':';
        char digits[4];
        const auto end = std::to_chars(digits, digits + 4, groups[i], 16).ptr;
        text.append(digits, end);
        ++i;
    }
    return mapped ? text + ":" + quad_text(bytes.subspan(12)) : text;
}

std::size_t mix(std::uint64_t hash, std::uint64_t value) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
    return hash ^ (hash >> 29);
}

}  // namespace

IpAddress IpAddress::v4(std::span<const Byte, 4> bytes) {
    IpAddress a;
    a.family_ = Family::v4;
    std::copy(bytes.begin(), bytes.end(), a.bytes_.begin());
    return a;
}

IpAddress IpAddress::v4(std::uint32_t host_order) {
    const std::array<Byte, 4> bytes = {static_cast<Byte>(host_order >> 24), static_cast<Byte>(host_order >> 16),
                                       static_cast<Byte>(host_order >> 8), static_cast<Byte>(host_order)};
    return v4(bytes);
}

IpAddress IpAddress::v6(std::span<const Byte, 16> bytes) {
    IpAddress a;
    a.family_ = Family::v6;
    std::copy(bytes.begin(), bytes.end(), a.bytes_.begin());
    return a;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
    if (text.find(':') == std::string_view::npos) {
        if (const auto quad = parse_quad(text)) return v4(*quad);
    } else if (const auto bytes = parse_v6(text)) {
        return v6(*bytes);
    }
    return fail(ErrorCode::invalid, "\"" + std::string(text) + "\" is not an IPv4 or IPv6 address");
}

std::uint32_t IpAddress::v4_host_order() const {
    return std::uint32_t{bytes_[0]} << 24 | std::uint32_t{bytes_[1]} << 16 | std::uint32_t{bytes_[2]} << 8 | bytes_[3];
}

bool IpAddress::is_multicast() const {
    return (is_v4() && (bytes_[0] & 0xf0) == 0xe0) || (is_v6() && bytes_[0] == 0xff);
}

bool IpAddress::is_link_local() const {
    return (is_v4() && bytes_[0] == 169 && bytes_[1] == 254) ||
           (is_v6() && bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80);
}

std::string IpAddress::to_string() const {
    if (is_v4()) return quad_text(bytes());
    if (is_v6()) return v6_text(bytes());
    return "%any";
}

std::string Endpoint::to_string() const { return address.to_string() + "[" + std::to_string(port) + "]"; }

Result<MacAddress> MacAddress::parse(std::string_view text) {
    MacAddress mac;
    bool good = text.size() == 17;
    for (std::size_t i = 0; good && i < 6; ++i) {
        const char* const digits = text.data() + 3 * i;
        const auto [end, error] = std::from_chars(digits, digits + 2, mac.bytes[i], 16);
        good = error == std::errc{} && end == digits + 2 && (i == 5 || digits[2] == ':');
    }
    if (good) return mac;
    return fail(ErrorCode::invalid, "\"" + std::string(text) + "\" is not a MAC address (02:00:5e:10:00:01)");
}

std::string MacAddress::to_string() const {
    std::string text;
    for (const Byte b : bytes) text += (text.empty() ? "" : ":") + to_hex({&b, 1});
    return text;
}

}  // namespace sluice::net

std::size_t std::hash<sluice::net::IpAddress>::operator()(const sluice::net::IpAddress& a) const noexcept {
    std::uint64_t words[2] = {0, 0};
    std::memcpy(words, a.bytes().data(), a.size());
    const auto family = static_cast<std::uint64_t>(a.family());
    return sluice::net::mix(sluice::net::mix(family, words[0]), words[1]);
}

std::size_t std::hash<sluice::net::Endpoint>::operator()(const sluice::net::Endpoint& e) const noexcept {
    return sluice::net::mix(std::hash<sluice::net::IpAddress>{}(e.address), e.port);
}
