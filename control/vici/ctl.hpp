// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>

#include "control/vici/message.hpp"

// sluicectl without its argument parsing.
namespace sluice::control::vici {

// What the user asked for. Empty names and 0 ids are "not given".
struct CtlRequest {
    std::string uri = "unix:///run/sluice/sluice.vici";
    std::string command;  // "list-sas", "list-conns", "initiate", "rekey", "terminate", "stats" or "version"
    bool json = false;
    std::string child;
    std::string ike;
    std::uint32_t child_id = 0;
    std::uint32_t ike_id = 0;
    bool reauth = false;                      // rekey: authenticate anew
    std::optional<unsigned> timeout_seconds;  // none: wait for good
};

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

// Why a request makes no sense as it stands; nothing where it does.
std::optional<std::string> usage_error(const CtlRequest& request);

// Carries it out: results on out, what went wrong and the progress of initiate and terminate on err. Returns the exit
// code.
int run_ctl(const CtlRequest& request, std::ostream& out, std::ostream& err);

// Human forms, modelled on swanctl's for those who know it. Each takes what one event or answer holds and copes with
// any key missing.
std::string format_sa(const Message& event);
std::string format_conn(const Message& event);
std::string format_stats(const Message& answer);
std::string format_version(const Message& answer);

}  // namespace sluice::control::vici
