// SPDX-License-Identifier: Apache-2.0
#include "control/config/toml_file.hpp"

// toml++ 3.3 meets some malformed keys, "[=a]" among them, with an assertion and, under NDEBUG, with undefined
// behaviour. Here its checks throw, as its parse errors do, and neither leaves this file.
#undef NDEBUG
namespace sluice::control {
struct TomlCheckFailed {};
[[noreturn]] inline void toml_check_failed() { throw TomlCheckFailed{}; }
}  // namespace sluice::control
#define TOML_ASSERT(expr) ((expr) ? static_cast<void>(0) : ::sluice::control::toml_check_failed())
#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <optional>

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

// Where the string or comment that begins at start ends: one past its last byte, or past the end where it is open.
std::size_t skip_quoted(std::string_view text, std::size_t start) {
    if (text[start] == '#') return std::min(text.find('\n', start), text.size());
    const char quote = text[start];
    const bool block = text.substr(start, 3) == std::string(3, quote);
    const std::size_t width = block ? 3 : 1;
    for (std::size_t i = start + width; i < text.size(); ++i) {
        if (quote == '"' && text[i] == '\\') {
            ++i;
        } else if (text.substr(i, width) == std::string(width, quote)) {
            return i + width;
        } else if (!block && text[i] == '\n') {
            return i;
        }
    }
    return text.size();
}

SourcePosition position_of(std::string_view text, std::size_t offset) {
    SourcePosition at{1, 1};
    for (const char c : text.substr(0, offset))
        at = c == '\n' ? SourcePosition{at.line + 1, 1} : SourcePosition{at.line, at.column + 1};
    return at;
}

// What TOML allows nowhere, looked for first, since toml++ 3.3 meets some of it with undefined behaviour: control
// characters other than tab and line ends, and anything but ASCII outside strings and comments.
std::optional<TomlError> find_stray_character(std::string_view text) {
    const auto control = [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte < 0x20 ? c != '\t' && c != '\n' && c != '\r' : byte == 0x7f;
    };
    const auto stray = std::find_if(text.begin(), text.end(), control);
    if (stray != text.end()) {
        return TomlError{"a control character", position_of(text, static_cast<std::size_t>(stray - text.begin()))};
    }
    char before = '\n';         // the last character that is no blank
    bool after_equals = false;  // a value, where a quote behind a dot begins nothing
    for (std::size_t i = 0; i < text.size();) {
        const char c = text[i];
        const bool quote = c == '"' || c == '\'';
        const bool begins = std::string_view("\n=[,{").find(before) != std::string_view::npos;
        if (quote && !begins && (before != '.' || after_equals)) {
            return TomlError{"a quote in the middle of a value", position_of(text, i)};
        }
        if (static_cast<unsigned char>(c) >= 0x80) {
            return TomlError{"a character that is not ASCII stands outside strings and comments", position_of(text, i)};
        }
        if (c != ' ' && c != '\t' && c != '\r') before = c;
        if (c == '=' || c == '\n' || c == '{') after_equals = c == '=';
        i = quote || c == '#' ? skip_quoted(text, i) : i + 1;
    }
    return std::nullopt;
}

// A failed check does not say where: it is in the last line of the shortest beginning of the text that fails so. Parse
// errors before that are those of cut-off values.
unsigned line_of_failed_check(std::string_view text) {
    unsigned line = 0;
    for (std::size_t end = 0; end < text.size();) {
        end = std::min(text.find('\n', end), text.size() - 1) + 1;
        ++line;
        try {
            (void)toml::parse(text.substr(0, end));
        } catch (const toml::parse_error&) {
            continue;
        } catch (const TomlCheckFailed&) {
            return line;
        }
    }
    return 0;
}

}  // namespace

std::variant<ConfigNode, TomlError> parse_toml(std::string_view text) {
    if (auto error = find_stray_character(text)) return std::move(*error);
    try {
        toml::table table = toml::parse(text);
        ConfigNode root = convert_table({}, table, {});
        wipe_strings(table);
        return root;
    } catch (const toml::parse_error& error) {
        return TomlError{std::string(error.description()), position(error.source())};
    } catch (const TomlCheckFailed&) {
        return TomlError{"a malformed key", {line_of_failed_check(text), 1}};
    }
}

}  // namespace sluice::control
