// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/config/connection_sections.hpp"
#include "control/config/schema.hpp"

// connections.NAME.children.NAME, and the values that children share with static SAs.
namespace sluice::control {

ChildDraft load_child(const Place& place, Findings& findings);
SectionDoc child_reference();

Verdict parse_proposal_list(const ConfigNode& value, ipsec::Protocol protocol, ipsec::Proposals& into);
ipsec::Proposals default_proposals(ipsec::Protocol protocol);
Verdict parse_selectors(const ConfigNode& value, std::vector<ipsec::ConfiguredSelector>& into);
Verdict parse_replay_window(const ConfigNode& value, std::uint32_t& into);
Verdict parse_copy_df(const ConfigNode& value, ipsec::CopyDf& into);

inline constexpr std::string_view kSelectorsExpected =
    "traffic selectors such as 10.2.0.0/24, 10.2.0.0/24[tcp/80] or dynamic";
inline constexpr std::string_view kReplayExpected = "0, or 32 to 65536";
inline constexpr Choice<ipsec::Workers> kSaWorkers[] = {{"one", ipsec::Workers::one},
                                                        {"spread", ipsec::Workers::spread}};
inline constexpr Choice<ipsec::CopyDscp> kCopyDscp[] = {{"both", ipsec::CopyDscp::both},
                                                        {"out", ipsec::CopyDscp::out},
                                                        {"in", ipsec::CopyDscp::in},
                                                        {"none", ipsec::CopyDscp::none},
                                                        {"no", ipsec::CopyDscp::none}};

// What cannot be together in one policy or SA, told at the key that is wrong.
void check_selectors(const Place& place, const std::vector<ipsec::ConfiguredSelector>& local,
                     const std::vector<ipsec::ConfiguredSelector>& remote, Findings& findings);
// Extended sequence numbers without replay protection cannot be followed (RFC 4303 A2).
bool offers_esn(const ipsec::Proposals& proposals);

}  // namespace sluice::control
