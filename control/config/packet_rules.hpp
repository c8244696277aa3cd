// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>

#include "control/config/schema.hpp"
#include "lib/ipsec/packet_rules.hpp"

// The keys about packets that children and static SAs have in common.
namespace sluice::control {

Verdict parse_mark(const ConfigNode& value, ipsec::Mark& into);
inline constexpr std::string_view kMarkExpected = "a value such as 5 or 0x10, or with a mask, 0x10/0xf0";

Verdict set_tfc_padding(ipsec::PacketRules& into, const ConfigNode& value);
Verdict set_mss_clamp(ipsec::PacketRules& into, const ConfigNode& value);
Verdict set_fixed_dscp(ipsec::PacketRules& into, const ConfigNode& value);
Verdict set_icmp(ipsec::PacketRules& into, const ConfigNode& value);
Verdict set_mark_in(ipsec::PacketRules& into, const ConfigNode& value);
Verdict set_mark_out(ipsec::PacketRules& into, const ConfigNode& value);

// A validator of a draft from one of its rules. Of gives the rules of a draft.
template <class Draft, ipsec::PacketRules& (*Of)(Draft&), Verdict (*Set)(ipsec::PacketRules&, const ConfigNode&)>
Verdict set_rule(Draft& into, const ConfigNode& value) {
    return Set(Of(into), value);
}

// A table of keys with these behind its own.
template <class Draft, ipsec::PacketRules& (*Of)(Draft&), std::size_t N>
auto with_packet_rules(const Key<Draft> (&own)[N]) {
    const Key<Draft> rules[] = {
        {{"tfc_padding", "bytes up to 9000, or mtu", "0",
          "To how many bytes an inner packet is padded, at most to what the path carries; mtu: always to that."},
         set_rule<Draft, Of, set_tfc_padding>},
        {{"mss_clamp", "auto, off, or 88 to 65495", "off",
          "The largest MSS that a TCP SYN announces, either way; auto: what fits the SA."},
         set_rule<Draft, Of, set_mss_clamp>},
        {{"dscp", "0 to 63", "the inner packet's", "The DSCP of every outer header, whatever copy_dscp says."},
         set_rule<Draft, Of, set_fixed_dscp>},
        {{"icmp", "yes or no", "yes",
          "Whether an ICMP error goes with the packet that it quotes, though its own source is outside the selectors."},
         set_rule<Draft, Of, set_icmp>},
        {{"mark_in_after", kMarkExpected, "", "What packets are marked with once they are decrypted."},
         set_rule<Draft, Of, set_mark_in>},
        {{"mark_out_after", kMarkExpected, "", "What packets are marked with once they are sealed."},
         set_rule<Draft, Of, set_mark_out>},
        {{"set_mark_in", kMarkExpected, "", "swanctl's name of mark_in_after."}, set_rule<Draft, Of, set_mark_in>},
        {{"set_mark_out", kMarkExpected, "", "swanctl's name of mark_out_after."}, set_rule<Draft, Of, set_mark_out>},
    };
    constexpr std::size_t kRules = std::size(rules);
    std::array<Key<Draft>, N + kRules> all{};
    std::copy(std::begin(own), std::end(own), all.begin());
    std::copy(std::begin(rules), std::end(rules), all.begin() + N);
    return all;
}

}  // namespace sluice::control
