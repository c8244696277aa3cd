// SPDX-License-Identifier: Apache-2.0
#include "control/config/toml_file.hpp"

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>

#include "lib/base/secret.hpp"

namespace sluice::control {
namespace {

SourcePosition position(const toml::source_region& region) { return {region.begin.line, region.begin.column}; }

std::string float_text(double value) {
    char digits[64];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
    return error == std::errc{} ? std::string(digits, end) : std::string("nan");
}

// Dates and times are the only TOML values that no key takes: no validator accepts what stands for them.
std::string scalar_text(const toml::node& node) {
    if (const auto* text = node.as_string()) return text->get();
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* real = node.as_floating_point()) return float_text(real->get());
    if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
    return "a date or time";
}

ConfigNode convert(std::string key, const toml::node& node, SourcePosition at);

ConfigNode convert_table(std::string key, const toml::table& table, SourcePosition at) {
    ConfigNode out = ConfigNode::section(std::move(key), {}, at);
    for (const auto& [name, value] : table) {
        const bool scalar = !value.is_table() && !value.is_array();
        const SourcePosition own = position(scalar ? value.source() : name.source());
        out.children.push_back(convert(std::string(name.str()), value, own));
    }
    std::stable_sort(out.children.begin(), out.children.end(), [](const ConfigNode& a, const ConfigNode& b) {
        return std::pair(a.at.line, a.at.column) < std::pair(b.at.line, b.at.column);
    });
    return out;
}

ConfigNode convert(std::string key, const toml::node& node, SourcePosition at) {
    if (const auto* table = node.as_table()) return convert_table(std::move(key), *table, at);
    const auto* array = node.as_array();
    if (array == nullptr) return ConfigNode::scalar(std::move(key), scalar_text(node), at);
    ConfigNode out = ConfigNode::list(std::move(key), {}, at);
    for (const toml::node& item : *array) out.children.push_back(convert({}, item, position(item.source())));
    return out;
}

void wipe_strings(toml::node& node) {
    if (auto* text = node.as_string()) {
        std::string& value = text->get();
        sluice::wipe(MutBytes(reinterpret_cast<Byte*>(value.data()), value.size()));
    } else if (auto* array = node.as_array()) {
        for (toml::node& item : *array) wipe_strings(item);
    } else if (auto* table = node.as_table()) {
        for (auto&& [name, value] : *table) wipe_strings(value);
    }
}

}  // namespace

std::variant<ConfigNode, TomlError> parse_toml(std::string_view text) {
    toml::parse_result parsed = toml::parse(text);
    if (!parsed) {
        const toml::parse_error& error = parsed.error();
        return TomlError{std::string(error.description()), position(error.source())};
    }
    ConfigNode root = convert_table({}, parsed.table(), {});
    wipe_strings(parsed.table());
    return root;
}

}  // namespace sluice::control
