// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::control {

// Where something stands in its file; line 0 where it comes from no file.
struct SourcePosition {
    unsigned line = 0;    // from 1
    unsigned column = 0;  // from 1
};

// A configuration before it is understood: what a TOML file and a VICI message have in common. Scalars are text in
// swanctl's forms ("30s", "yes", "64"), whatever type the source gave them; the schema alone says what they mean.
struct ConfigNode {
    enum class Kind : std::uint8_t { scalar, list, section };
    std::string key;  // empty for list items
    Kind kind = Kind::section;
    std::string text;                  // scalar
    std::vector<ConfigNode> children;  // list: its items; section: its members in the order of the source
    SourcePosition at;

    static ConfigNode scalar(std::string key, std::string text, SourcePosition at = {});
    static ConfigNode list(std::string key, std::vector<std::string> items, SourcePosition at = {});
    static ConfigNode section(std::string key, std::vector<ConfigNode> members, SourcePosition at = {});

    // The first member of that name, or null.
    const ConfigNode* find(std::string_view name) const;
};

// Overwrites all text in the tree: it may hold secrets.
void wipe(ConfigNode& node);

// One scalar of a list that was given as a list or as a comma-separated text: "a, b".
struct ListItem {
    std::string text;
    const ConfigNode* node;  // for its position
};
std::vector<ListItem> list_items(const ConfigNode& node);

}  // namespace sluice::control
