// SPDX-License-Identifier: Apache-2.0
// ike::Identity as text, in the forms that swanctl.conf takes.
#include <algorithm>
#include <array>
#include <charconv>

#include "ike/config.hpp"
#include "lib/crypto/distinguished_name.hpp"

namespace sluice::ike {
namespace {

struct TypeName {
    std::string_view prefix;
    IdType type;
};
// The first of a type is the one that is written.
constexpr std::array kTypeNames{
    TypeName{"ipv4", IdType::ipv4},   TypeName{"fqdn", IdType::fqdn},    TypeName{"dns", IdType::fqdn},
    TypeName{"email", IdType::email}, TypeName{"rfc822", IdType::email}, TypeName{"userfqdn", IdType::email},
    TypeName{"ipv6", IdType::ipv6},   TypeName{"asn1dn", IdType::dn},    TypeName{"keyid", IdType::key_id},
};

Error bad(std::string_view text, std::string_view expected) {
    return fail(ErrorCode::invalid, "identity \"" + std::string(text) + "\": expected " + std::string(expected));
}

Result<Identity> from_address(std::string_view text, IdType wanted) {
    const auto address = net::IpAddress::parse(text);
    const bool fits = address.ok() && (address->is_v4() ? wanted == IdType::ipv4 : wanted == IdType::ipv6);
    if (!fits) return bad(text, wanted == IdType::ipv4 ? "an IPv4 address" : "an IPv6 address");
    return Identity{wanted, to_vec(address->bytes())};
}

Result<Identity> from_hex_digits(IdType type, std::string_view digits) {
    const auto bytes = from_hex(digits);
    if (!bytes || bytes->empty()) return bad(digits, "an even number of hex digits behind '#'");
    const std::size_t size = bytes->size();
    if ((type == IdType::ipv4 && size != 4) || (type == IdType::ipv6 && size != 16))
        return bad(digits, "as many bytes as the address has");
    return Identity{type, *bytes};
}

Result<Identity> from_typed(IdType type, std::string_view value) {
    if (value.empty()) return bad(value, "a value behind the type");
    if (value.front() == '#') return from_hex_digits(type, value.substr(1));
    if (type == IdType::ipv4 || type == IdType::ipv6) return from_address(value, type);
    if (type == IdType::dn) {
        auto name = crypto::parse_dn(value);
        if (!name) return name.error();
        return Identity{type, *std::move(name)};
    }
    return Identity{type, to_vec(as_bytes(value))};
}

// "{13}": a type by its number.
std::optional<IdType> numbered_type(std::string_view prefix) {
    if (prefix.size() < 3 || prefix.front() != '{' || prefix.back() != '}') return std::nullopt;
    const std::string_view digits = prefix.substr(1, prefix.size() - 2);
    std::uint8_t number = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size() || number == 0) return std::nullopt;
    return IdType{number};
}

std::optional<IdType> named_type(std::string_view prefix) {
    const auto* found =
        std::find_if(kTypeNames.begin(), kTypeNames.end(), [&](const TypeName& name) { return name.prefix == prefix; });
    if (found != kTypeNames.end()) return found->type;
    return numbered_type(prefix);
}

// "@#hex", "@@user@host", "@host".
Result<Identity> from_at(std::string_view rest) {
    if (rest.empty()) return bad("@", "a name behind '@'");
    if (rest.front() == '#') return from_hex_digits(IdType::key_id, rest.substr(1));
    if (rest.front() == '@') return from_typed(IdType::email, rest.substr(1));
    return Identity{IdType::fqdn, to_vec(as_bytes(rest))};
}

bool printable(Bytes bytes) {
    return !bytes.empty() && std::all_of(bytes.begin(), bytes.end(), [](Byte b) { return b > 0x20 && b < 0x7f; });
}

std::string prefix_of(IdType type) {
    const auto* found =
        std::find_if(kTypeNames.begin(), kTypeNames.end(), [&](const TypeName& name) { return name.type == type; });
    if (found != kTypeNames.end()) return std::string(found->prefix);
    return "{" + std::to_string(static_cast<unsigned>(type)) + "}";
}

// How a person writes it, which may or may not read back as the same.
std::string plain_text(const Identity& id) {
    if (id.type == IdType::ipv4 && id.data.size() == 4)
        return net::IpAddress::v4(Bytes(id.data).first<4>()).to_string();
    if (id.type == IdType::ipv6 && id.data.size() == 16)
        return net::IpAddress::v6(Bytes(id.data).first<16>()).to_string();
    if (id.type == IdType::dn) return crypto::dn_text(id.data);
    if (id.type == IdType::null && id.data.empty()) return "%null";
    if (!printable(id.data)) return {};
    const std::string text(as_text(id.data));
    return id.type == IdType::key_id ? "keyid:" + text : text;
}

}  // namespace

// In this order: any, an explicit type ("email:x", "{13}:#00"), '@' forms, an address, user@host, a host name.
Result<Identity> Identity::parse(std::string_view text) {
    if (text.empty())
        return bad(text, "an address, a name, user@host, a distinguished name, @#hex, keyid:text, %any or %null");
    if (text == "%any" || text == "%any6" || text == "*" || text == "0.0.0.0" || text == "::") return Identity{};
    if (text == "%null") return Identity{IdType::null, {}};
    if (const auto colon = text.find(':'); colon != std::string_view::npos)
        if (const auto type = named_type(text.substr(0, colon))) return from_typed(*type, text.substr(colon + 1));
    if (text.front() == '@') return from_at(text.substr(1));
    if (const auto address = net::IpAddress::parse(text); address.ok())
        return Identity{address->is_v4() ? IdType::ipv4 : IdType::ipv6, to_vec(address->bytes())};
    if (text.find('=') != std::string_view::npos) return from_typed(IdType::dn, text);
    if (text.find('@') != std::string_view::npos) return Identity{IdType::email, to_vec(as_bytes(text))};
    return Identity{IdType::fqdn, to_vec(as_bytes(text))};
}

// The plain form where parse() reads it back as this very identity, otherwise the type and hex: what a peer sends
// never looks like another identity in a log, and never breaks a line.
std::string Identity::to_string() const {
    if (is_any()) return "%any";
    const std::string plain = plain_text(*this);
    if (!plain.empty()) {
        const auto again = parse(plain);
        if (again.ok() && *again == *this) return plain;
    }
    return prefix_of(type) + ":#" + to_hex(data);
}

}  // namespace sluice::ike
