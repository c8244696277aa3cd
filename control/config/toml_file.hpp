// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "control/config/node.hpp"

namespace sluice::control {

// What the TOML parser stopped at.
struct TomlError {
    std::string text;
    SourcePosition at;
};

// A TOML document as a tree; tables in arrays are sections without a key in a list. Members stand in the order of the
// file, which TOML itself does not keep. The one place that knows toml++.
std::variant<ConfigNode, TomlError> parse_toml(std::string_view text);

}  // namespace sluice::control
