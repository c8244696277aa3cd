// SPDX-License-Identifier: Apache-2.0
#include "control/config/node.hpp"

#include <algorithm>

#include "lib/base/secret.hpp"

namespace sluice::control {
namespace {

std::string_view trimmed(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

}  // namespace

ConfigNode ConfigNode::scalar(std::string key, std::string text, SourcePosition at) {
    return {std::move(key), Kind::scalar, std::move(text), {}, at};
}

ConfigNode ConfigNode::list(std::string key, std::vector<std::string> items, SourcePosition at) {
    ConfigNode node{std::move(key), Kind::list, {}, {}, at};
    for (std::string& item : items) node.children.push_back(scalar({}, std::move(item), at));
    return node;
}

ConfigNode ConfigNode::section(std::string key, std::vector<ConfigNode> members, SourcePosition at) {
    return {std::move(key), Kind::section, {}, std::move(members), at};
}

const ConfigNode* ConfigNode::find(std::string_view name) const {
    const auto found =
        std::find_if(children.begin(), children.end(), [&](const ConfigNode& child) { return child.key == name; });
    return found == children.end() ? nullptr : &*found;
}

void wipe(ConfigNode& node) {
    sluice::wipe({reinterpret_cast<Byte*>(node.text.data()), node.text.size()});
    for (ConfigNode& child : node.children) wipe(child);
}

std::vector<ListItem> list_items(const ConfigNode& node) {
    std::vector<ListItem> out;
    if (node.kind == ConfigNode::Kind::list) {
        for (const ConfigNode& item : node.children) out.push_back({item.text, &item});
        return out;
    }
    std::string_view rest = trimmed(node.text);
    while (!rest.empty()) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        out.push_back({std::string(trimmed(rest.substr(0, comma))), &node});
        if (comma == rest.size()) break;
        rest.remove_prefix(comma + 1);
        if (rest.empty()) out.push_back({{}, &node});  // "a," has an empty second item
    }
    return out;
}

}  // namespace sluice::control
