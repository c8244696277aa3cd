// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/config/schema.hpp"

// swanctl.conf's connections. The same functions read a file's [connections.NAME] and, with every value as text, what
// a VICI client loads.
namespace sluice::control {

enum class ChildMode : std::uint8_t { tunnel, pass, drop };

// A child as it was read: what the engine takes, and what becomes of it in the SPD.
struct ChildDraft {
    ike::ChildConfig config;
    ChildMode mode = ChildMode::tunnel;
    bool trap = false;
    SourcePosition at;
};
struct ConnectionDraft {
    ike::ConnectionConfig config;  // without children
    std::vector<ChildDraft> children;
    bool authenticates = false;  // has local or remote authentication: otherwise it only holds shunts
    SourcePosition at;
};

// Reads one connection. What is wrong is in findings; the draft then has the rest, for further checks.
ConnectionDraft load_connection(const Place& place, Findings& findings);

std::vector<SectionDoc> connection_reference();

}  // namespace sluice::control
