// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "control/vici/commands.hpp"
#include "control/vici/message.hpp"

// What the daemon has, as VICI messages with strongSwan's field names, so that swanctl prints them. No keys in any.
namespace sluice::control::vici {

// The version() answer: daemon, version, sysname, release, machine. Asks the kernel for the last three.
Message version_message();
// The stats() answer. Sluice has no job queues: their counts are there, as clients read them, and zero.
Message stats_message(const Stats& stats);

// One list-sa event for an IKE SA and its children.
Message sa_message(const ike::IkeView& view, const SaListing& listing);
// One list-sa event for all SAs with manual keys, as children of an IKE SA named "static" in state STATIC, id 0.
Message static_sas_message(const SaListing& listing);

// The list-sas filters; empty or 0 is any.
struct SaFilter {
    std::string ike;
    std::string child;
    std::uint32_t ike_id = 0;
    std::uint32_t child_id = 0;
};
// The events that answer list-sas. Children that the filter leaves out are not shown; an IKE SA without any that is
// asked for by child neither.
std::vector<Message> list_sas(SaListing listing, const SaFilter& filter);

// The events that answer list-conns, one a connection; ike empty: all.
std::vector<Message> list_conns(const Config& config, std::string_view ike);

// "35 seconds", "2 minutes", "3 hours", "4 days": the largest unit of which there are two, as charon says uptimes.
std::string relative_time(Duration duration);

}  // namespace sluice::control::vici
