// SPDX-License-Identifier: Apache-2.0
#include "control/config/packet_rules.hpp"

namespace sluice::control {
namespace {

using ipsec::PacketRules;

constexpr std::uint64_t kMostPadding = 9000;  // a port's largest MTU
constexpr std::uint64_t kLeastMss = 88;       // what Linux takes at least
constexpr std::uint64_t kMostMss = 65495;

// "value" or "value/mask".
std::optional<ipsec::Mark> mark_of(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto value = parse_number(text.substr(0, slash));
    const auto mask = slash == std::string_view::npos ? std::optional<std::uint64_t>(UINT32_MAX)
                                                      : parse_number(text.substr(slash + 1));
    if (!value || !mask || *value > UINT32_MAX || *mask > UINT32_MAX) return std::nullopt;
    return ipsec::Mark{static_cast<std::uint32_t>(*value), static_cast<std::uint32_t>(*mask)};
}

// A number of bytes, or a word for what follows the path.
Verdict parse_size(const ConfigNode& value, std::string_view word, std::uint64_t low, std::uint64_t high,
                   std::uint16_t& into) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    if (*text == word) {
        into = ipsec::kByPathMtu;
        return std::nullopt;
    }
    const auto number = parse_number(*text);
    if (!number) return is_not(*text, "a size");
    if (*number < low || *number > high) return Complaint{*text + " is out of range", nullptr};
    into = static_cast<std::uint16_t>(*number);
    return std::nullopt;
}

}  // namespace

Verdict parse_mark(const ConfigNode& value, ipsec::Mark& into) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const auto mark = mark_of(*text);
    if (!mark) return is_not(*text, "a mark");
    if (!mark->any()) return Complaint{"\"" + *text + "\" has no bit in its mask", nullptr};
    if ((mark->value & ~mark->mask) != 0) return Complaint{"\"" + *text + "\" has bits outside its mask", nullptr};
    into = *mark;
    return std::nullopt;
}

Verdict set_tfc_padding(PacketRules& into, const ConfigNode& value) {
    return parse_size(value, "mtu", 0, kMostPadding, into.tfc_padding);
}

Verdict set_mss_clamp(PacketRules& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text != nullptr && (*text == "off" || parse_bool(*text) == false)) {
        into.mss_clamp = 0;
        return std::nullopt;
    }
    return parse_size(value, "auto", kLeastMss, kMostMss, into.mss_clamp);
}

Verdict set_fixed_dscp(PacketRules& into, const ConfigNode& value) {
    return set_number<PacketRules, &PacketRules::dscp, 0, ipsec::kMaxDscp>(into, value);
}
Verdict set_icmp(PacketRules& into, const ConfigNode& value) {
    return set_bool<PacketRules, &PacketRules::icmp>(into, value);
}
Verdict set_mark_in(PacketRules& into, const ConfigNode& value) { return parse_mark(value, into.mark_in); }
Verdict set_mark_out(PacketRules& into, const ConfigNode& value) { return parse_mark(value, into.mark_out); }

}  // namespace sluice::control
