// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <charconv>

#include "lib/ipsec/traffic_selector.hpp"

namespace sluice::ipsec {
namespace {

constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kIcmpV6 = 58;

struct ProtocolName {
    std::string_view name;
    std::uint8_t number;
    bool ports;  // whether RFC 7296 3.13.1's port fields mean something: ports, ICMP's type and code, MIPv6's type
};
// IANA's names as /etc/protocols spells them; the first of a number is what is printed.
constexpr std::array kProtocols = {
    ProtocolName{"icmp", kIcmp, true},
    ProtocolName{"igmp", 2, false},
    ProtocolName{"ipencap", 4, false},
    ProtocolName{"tcp", 6, true},
    ProtocolName{"udp", 17, true},
    ProtocolName{"dccp", 33, true},
    ProtocolName{"ipv6", 41, false},
    ProtocolName{"gre", 47, false},
    ProtocolName{"esp", 50, false},
    ProtocolName{"ah", 51, false},
    ProtocolName{"ipv6-icmp", kIcmpV6, true},
    ProtocolName{"icmpv6", kIcmpV6, true},
    ProtocolName{"ospf", 89, false},
    ProtocolName{"l2tp", 115, false},
    ProtocolName{"sctp", 132, true},
    ProtocolName{"mobility-header", 135, true},
    ProtocolName{"udplite", 136, true},
};

bool is_icmp(std::uint8_t protocol) { return protocol == kIcmp || protocol == kIcmpV6; }
bool is_any(std::string_view word) { return word.empty() || word == "any" || word == "%any"; }

Error refuse(std::string_view text, const std::string& why) {
    return fail(ErrorCode::invalid, "traffic selector \"" + std::string(text) + "\": " + why);
}

// Decimal, or hexadecimal behind 0x; the whole text.
std::optional<unsigned> number(std::string_view text, unsigned most) {
    const bool hexadecimal = text.starts_with("0x");
    if (hexadecimal) text.remove_prefix(2);
    unsigned value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, hexadecimal ? 16 : 10);
    if (error != std::errc{} || stop != end || value > most) return std::nullopt;
    return value;
}

std::optional<std::uint8_t> parse_protocol(std::string_view word) {
    if (is_any(word)) return std::uint8_t{0};
    const auto named = std::ranges::find(kProtocols, word, &ProtocolName::name);
    if (named != kProtocols.end()) return named->number;
    const auto value = number(word, 255);
    return value ? std::optional(static_cast<std::uint8_t>(*value)) : std::nullopt;
}

// A port; for ICMP also "type(code)", which is type << 8 | code.
std::optional<std::uint16_t> parse_port(std::string_view text, std::uint8_t protocol) {
    const auto open = text.find('(');
    if (is_icmp(protocol) && open != std::string_view::npos && text.ends_with(')')) {
        const auto type = number(text.substr(0, open), 255);
        const auto code = number(text.substr(open + 1, text.size() - open - 2), 255);
        if (!type || !code) return std::nullopt;
        return static_cast<std::uint16_t>(*type << 8 | *code);
    }
    const auto value = number(text, 65535);
    return value ? std::optional(static_cast<std::uint16_t>(*value)) : std::nullopt;
}

bool has_ports(std::uint8_t protocol) {
    const auto known = std::ranges::find(kProtocols, protocol, &ProtocolName::number);
    return known != kProtocols.end() && known->ports;
}

Result<void> parse_ports(std::string_view text, std::string_view ports, TrafficSelector& ts) {
    if (is_any(ports)) return {};
    if (ports == "opaque" || ports == "%opaque") {
        ts.start_port = 65535;
        ts.end_port = 0;
        return {};
    }
    if (!has_ports(ts.protocol)) {
        return refuse(text, "ports need a protocol that has them, expected one like [tcp/80] or [/opaque]");
    }
    const auto dash = ports.find('-');
    const auto first = parse_port(ports.substr(0, dash), ts.protocol);
    const auto last = dash == std::string_view::npos ? first : parse_port(ports.substr(dash + 1), ts.protocol);
    if (!first || !last || *first > *last) {
        return refuse(text, "bad port \"" + std::string(ports) +
                                "\", expected 0..65535, a range like 1024-2048, opaque, or ICMP's type(code)");
    }
    ts.start_port = *first;
    ts.end_port = *last;
    return {};
}

// What stands between the brackets: protocol, or protocol/ports.
Result<void> parse_upper(std::string_view text, std::string_view upper, TrafficSelector& ts) {
    const auto slash = upper.find('/');
    const std::string_view word = upper.substr(0, slash);
    const auto protocol = parse_protocol(word);
    if (!protocol) {
        return refuse(text, "unknown protocol \"" + std::string(word) + "\", expected a name like tcp or 0..255");
    }
    ts.protocol = *protocol;
    if (slash == std::string_view::npos) return {};
    return parse_ports(text, upper.substr(slash + 1), ts);
}

Result<net::AddressRange> parse_range(std::string_view text, std::string_view addresses) {
    const auto dash = addresses.find('-');
    if (dash == std::string_view::npos) {
        const auto prefix = net::Prefix::parse(addresses);
        if (!prefix) return refuse(text, prefix.error().text);
        return net::AddressRange::of(*prefix);
    }
    const auto first = net::IpAddress::parse(addresses.substr(0, dash));
    const auto last = net::IpAddress::parse(addresses.substr(dash + 1));
    if (!first) return refuse(text, first.error().text);
    if (!last) return refuse(text, last.error().text);
    if (first->family() != last->family() || *last < *first) {
        return refuse(text, "expected a range of one family, lower address first");
    }
    return net::AddressRange{*first, *last};
}

std::string port_text(std::uint16_t port, std::uint8_t protocol) {
    if (!is_icmp(protocol)) return std::to_string(port);
    return std::to_string(port >> 8) + "(" + std::to_string(port & 0xff) + ")";
}

std::string ports_text(const TrafficSelector& ts) {
    if (ts.is_opaque()) return "opaque";
    const std::string first = port_text(ts.start_port, ts.protocol);
    return ts.start_port == ts.end_port ? first : first + "-" + port_text(ts.end_port, ts.protocol);
}

std::string protocol_text(std::uint8_t protocol) {
    if (protocol == 0) return {};
    const auto known = std::ranges::find(kProtocols, protocol, &ProtocolName::number);
    return known != kProtocols.end() ? std::string(known->name) : std::to_string(protocol);
}

// "[tcp/80]", or nothing where everything is allowed.
std::string upper_text(const TrafficSelector& ts) {
    if (ts.protocol == 0 && ts.all_ports()) return {};
    return "[" + protocol_text(ts.protocol) + (ts.all_ports() ? "" : "/" + ports_text(ts)) + "]";
}

// "icmp" means the ICMP of the selector's family: IPv6 has no protocol 1, and such a selector would protect nothing.
void follow_family(TrafficSelector& ts) {
    if (ts.protocol == kIcmp && ts.range.first.is_v6()) ts.protocol = kIcmpV6;
}

}  // namespace

std::string TrafficSelector::to_string() const { return range.to_string() + upper_text(*this); }

Result<ConfiguredSelector> ConfiguredSelector::parse(std::string_view text) {
    ConfiguredSelector configured;
    std::string_view addresses = text;
    if (const auto bracket = text.find('['); bracket != std::string_view::npos) {
        if (!text.ends_with(']')) return refuse(text, "expected ] at the end");
        addresses = text.substr(0, bracket);
        const auto upper = text.substr(bracket + 1, text.size() - bracket - 2);
        if (const auto good = parse_upper(text, upper, configured.selector); !good) return good.error();
    }
    if (addresses == "dynamic") {
        configured.dynamic = true;
        return configured;
    }
    const auto range = parse_range(text, addresses);
    if (!range) return range.error();
    configured.selector.range = *range;
    follow_family(configured.selector);
    return configured;
}

TrafficSelector ConfiguredSelector::resolve(const net::IpAddress& own) const {
    if (!dynamic) return selector;
    TrafficSelector resolved = selector;
    resolved.range = {own, own};
    follow_family(resolved);
    return resolved;
}

std::string ConfiguredSelector::to_string() const {
    return dynamic ? "dynamic" + upper_text(selector) : selector.to_string();
}

std::string to_string(const TrafficSelectors& list) {
    std::string text;
    for (const auto& ts : list) text += (text.empty() ? "" : " ") + ts.to_string();
    return text;
}

}  // namespace sluice::ipsec
