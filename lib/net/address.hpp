// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "lib/base/bytes.hpp"

namespace sluice::net {

enum class Family : std::uint8_t { none = 0, v4 = 4, v6 = 6 };

// An IPv4 or IPv6 address. Family::none (the zero value) is "any" or "not set". Bytes are in network order; an IPv4
// address uses the first four, the rest are zero.
class IpAddress {
  public:
    constexpr IpAddress() = default;
    static IpAddress v4(std::span<const Byte, 4> bytes);
    static IpAddress v4(std::uint32_t host_order);
    static IpAddress v6(std::span<const Byte, 16> bytes);
    // Dotted quad or RFC 4291 text; no zone, no port, no prefix length.
    static Result<IpAddress> parse(std::string_view text);

    constexpr Family family() const { return family_; }
    constexpr bool is_v4() const { return family_ == Family::v4; }
    constexpr bool is_v6() const { return family_ == Family::v6; }
    constexpr explicit operator bool() const { return family_ != Family::none; }
    constexpr std::size_t size() const { return is_v4() ? 4 : is_v6() ? 16 : 0; }
    Bytes bytes() const { return {bytes_.data(), size()}; }
    std::uint32_t v4_host_order() const;
    bool is_multicast() const;
    bool is_link_local() const;
    std::string to_string() const;  // RFC 5952; "%any" for none

    friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;

  private:
    Family family_ = Family::none;
    std::array<Byte, 16> bytes_{};
};

// A CIDR block. Host bits below the length are zero: parse() refuses others, of() clears them.
struct Prefix {
    IpAddress address;
    std::uint8_t length = 0;

    static Prefix of(const IpAddress& address, std::uint8_t length);
    static Prefix host(const IpAddress& address);
    // "10.0.0.0/8", "2001:db8::/32", or an address alone, which is its host prefix.
    static Result<Prefix> parse(std::string_view text);
    bool contains(const IpAddress& a) const;
    IpAddress first() const { return address; }
    IpAddress last() const;
    std::string to_string() const;
    friend constexpr auto operator<=>(const Prefix&, const Prefix&) = default;
};

// An inclusive range of one family, as traffic selectors carry it (RFC 7296 3.13.1).
struct AddressRange {
    IpAddress first;
    IpAddress last;

    static AddressRange of(const Prefix& prefix) { return {prefix.first(), prefix.last()}; }
    static AddressRange all(Family family);
    bool contains(const IpAddress& a) const;
    bool contains(const AddressRange& other) const;
    bool overlaps(const AddressRange& other) const;
    // The least prefixes that cover the range exactly, lowest first.
    std::vector<Prefix> to_prefixes() const;
    std::string to_string() const;  // a prefix where it is one, otherwise "first-last"
    friend constexpr auto operator<=>(const AddressRange&, const AddressRange&) = default;
};

struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;         // host order
    std::string to_string() const;  // "192.0.2.1[4500]", strongSwan's form
    friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

struct MacAddress {
    std::array<Byte, 6> bytes{};
    static Result<MacAddress> parse(std::string_view text);
    std::string to_string() const;
    // The six bytes as the low ones of a word, as a load from memory has them.
    std::uint64_t word() const {
        std::uint32_t low;
        std::uint16_t high;
        std::memcpy(&low, bytes.data(), 4);
        std::memcpy(&high, bytes.data() + 4, 2);
        return std::uint64_t{high} << 32 | low;
    }
    friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) = default;
};

}  // namespace sluice::net

template <>
struct std::hash<sluice::net::IpAddress> {
    std::size_t operator()(const sluice::net::IpAddress& a) const noexcept;
};
template <>
struct std::hash<sluice::net::Endpoint> {
    std::size_t operator()(const sluice::net::Endpoint& e) const noexcept;
};
