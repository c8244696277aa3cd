// SPDX-License-Identifier: Apache-2.0
// Prefix and AddressRange of address.hpp: arithmetic on addresses as one number of 32 or 128 bits.
#include <algorithm>
#include <charconv>

#include "lib/net/address.hpp"

namespace sluice::net {
namespace {

__extension__ using Number = unsigned __int128;

Number to_number(const IpAddress& a) {
    Number n = 0;
    for (const Byte b : a.bytes()) n = n << 8 | b;
    return n;
}

IpAddress to_address(Family family, Number n) {
    if (family == Family::v4) return IpAddress::v4(static_cast<std::uint32_t>(n));
    std::array<Byte, 16> bytes{};
    for (std::size_t i = 16; i-- > 0; n >>= 8) bytes[i] = static_cast<Byte>(n);
    return IpAddress::v6(bytes);
}

unsigned width(Family family) { return family == Family::v4 ? 32 : family == Family::v6 ? 128 : 0; }

// The lowest host_bits bits set; host_bits may be all 128.
Number low_bits(unsigned host_bits) { return host_bits >= 128 ? ~Number{0} : (Number{1} << host_bits) - 1; }

bool aligned(Number first, unsigned host_bits) { return (first & low_bits(host_bits)) == 0; }

}  // namespace

Prefix Prefix::of(const IpAddress& address, std::uint8_t length) {
    const unsigned bits = width(address.family());
    if (bits == 0) return {};
    const unsigned kept = std::min<unsigned>(length, bits);
    return {to_address(address.family(), to_number(address) & ~low_bits(bits - kept)), static_cast<std::uint8_t>(kept)};
}

Prefix Prefix::host(const IpAddress& address) { return {address, static_cast<std::uint8_t>(width(address.family()))}; }

Result<Prefix> Prefix::parse(std::string_view text) {
    const std::size_t slash = text.find('/');
    auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) return fail(ErrorCode::invalid, "\"" + std::string(text) + "\" is not an address or a CIDR block");
    if (slash == std::string_view::npos) return host(*address);
    const std::string_view digits = text.substr(slash + 1);
    unsigned length = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    const bool canonical = digits.size() == 1 || (digits.size() > 1 && digits[0] != '0');
    if (error != std::errc{} || end != digits.data() + digits.size() || !canonical ||
        length > width(address->family())) {
        return fail(ErrorCode::invalid, "\"" + std::string(text) + "\": the prefix length must be 0 to " +
                                            std::to_string(width(address->family())));
    }
    const Prefix prefix = of(*address, static_cast<std::uint8_t>(length));
    if (prefix.address != *address) {
        return fail(ErrorCode::invalid,
                    "\"" + std::string(text) + "\" has host bits set; its network is " + prefix.to_string());
    }
    return prefix;
}

bool Prefix::contains(const IpAddress& a) const {
    return a.family() == address.family() && a && of(a, length).address == address;
}

IpAddress Prefix::last() const {
    if (!address) return {};
    return to_address(address.family(), to_number(address) | low_bits(width(address.family()) - length));
}

std::string Prefix::to_string() const { return address.to_string() + "/" + std::to_string(length); }

AddressRange AddressRange::all(Family family) {
    if (family == Family::none) return {};
    return {to_address(family, 0), to_address(family, low_bits(width(family)))};
}

bool AddressRange::contains(const IpAddress& a) const {
    return a && a.family() == first.family() && first <= a && a <= last;
}

bool AddressRange::contains(const AddressRange& other) const { return contains(other.first) && contains(other.last); }

bool AddressRange::overlaps(const AddressRange& other) const {
    return first && first.family() == other.first.family() && first <= other.last && other.first <= last;
}

std::vector<Prefix> AddressRange::to_prefixes() const {
    std::vector<Prefix> prefixes;
    const unsigned bits = width(first.family());
    if (bits == 0 || last.family() != first.family()) return prefixes;
    Number at = to_number(first);
    const Number end = to_number(last);
    while (at <= end) {
        unsigned host_bits = 0;
        while (host_bits < bits && aligned(at, host_bits + 1) && (at | low_bits(host_bits + 1)) <= end) ++host_bits;
        prefixes.push_back({to_address(first.family(), at), static_cast<std::uint8_t>(bits - host_bits)});
        const Number block_end = at | low_bits(host_bits);
        if (block_end == end) break;  // also where one more would overflow
        at = block_end + 1;
    }
    return prefixes;
}

std::string AddressRange::to_string() const {
    if (!first) return "%any";
    const auto prefixes = to_prefixes();
    if (prefixes.size() == 1) return prefixes.front().to_string();
    return first.to_string() + "-" + last.to_string();
}

}  // namespace sluice::net
