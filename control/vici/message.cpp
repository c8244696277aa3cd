// SPDX-License-Identifier: Apache-2.0
#include "control/vici/message.hpp"

#include <algorithm>
#include <cstdint>
#include <map>

namespace sluice::control::vici {
namespace {

template <class T>
const T* find_as(const std::vector<Element>& elements, std::string_view name) {
    for (const Element& e : elements) {
        if (e.name == name) return std::get_if<T>(&e.value);
    }
    return nullptr;
}

// Length of the UTF-8 sequence that starts at text[i], or 0 where there is none (overlong forms and surrogates too).
std::size_t utf8_length(std::string_view text, std::size_t i) {
    const auto at = [&](std::size_t k) { return static_cast<unsigned char>(k < text.size() ? text[k] : 0); };
    const auto tail = [&](std::size_t k) { return (at(k) & 0xc0) == 0x80; };
    const unsigned lead = at(i);
    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf && tail(i + 1)) return 2;
    if ((lead & 0xf0) == 0xe0 && tail(i + 1) && tail(i + 2)) {
        const unsigned code = (lead & 0x0fU) << 12 | (at(i + 1) & 0x3fU) << 6;
        return code >= 0x800 && (code < 0xd800 || code > 0xdfff) ? 3 : 0;
    }
    if (lead >= 0xf0 && lead <= 0xf4 && tail(i + 1) && tail(i + 2) && tail(i + 3)) {
        const unsigned code = (lead & 0x07U) << 18 | (at(i + 1) & 0x3fU) << 12;
        return code >= 0x10000 && code <= 0x10ffff ? 4 : 0;
    }
    return 0;
}

void quote(std::string& out, std::string_view text) {
    static constexpr char kHex[] = "0123456789abcdef";
    out += '"';
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t n = utf8_length(text, i);
        const auto c = static_cast<unsigned char>(text[i]);
        if (n == 0) {
            out += "\xef\xbf\xbd";
        } else if (c == '"' || c == '\\') {
            out += {'\\', text[i]};
        } else if (c < 0x20 || c == 0x7f) {
            out += {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
        } else {
            out += text.substr(i, n);
        }
        i += std::max<std::size_t>(n, 1);
    }
    out += '"';
}

void write_json(std::string& out, const Message& message);

void write_json_value(std::string& out, const Element& element) {
    if (const auto* text = std::get_if<std::string>(&element.value)) return quote(out, *text);
    if (const auto* section = std::get_if<Message>(&element.value)) return write_json(out, *section);
    out += '[';
    const char* separator = "";
    for (const std::string& item : std::get<List>(element.value)) {
        out += separator;
        quote(out, item);
        separator = ",";
    }
    out += ']';
}

void write_json(std::string& out, const Message& message) {
    std::map<std::string_view, unsigned> seen;
    const char* separator = "";
    out += '{';
    for (const Element& e : message.elements()) {
        const unsigned n = ++seen[e.name];
        out += separator;
        quote(out, n == 1 ? e.name : e.name + "#" + std::to_string(n));
        out += ':';
        write_json_value(out, e);
        separator = ",";
    }
    out += '}';
}

void write_text(std::string& out, const Message& message, std::size_t indent) {
    const std::string margin(indent, ' ');
    for (const Element& e : message.elements()) {
        out += margin + e.name;
        if (const auto* text = std::get_if<std::string>(&e.value)) {
            out += " = " + *text + "\n";
        } else if (const auto* section = std::get_if<Message>(&e.value)) {
            out += " {\n";
            write_text(out, *section, indent + 2);
            out += margin + "}\n";
        } else {
            out += " = [";
            const char* separator = " ";
            for (const std::string& item : std::get<List>(e.value)) {
                out += separator + item;
                separator = ", ";
            }
            out += " ]\n";
        }
    }
}

}  // namespace

Message& Message::add(std::string key, std::string value) {
    elements_.push_back({std::move(key), std::move(value)});
    return *this;
}

Message& Message::add_list(std::string key, List items) {
    elements_.push_back({std::move(key), std::move(items)});
    return *this;
}

Message& Message::add_section(std::string name) { return add_section(std::move(name), Message{}); }

Message& Message::add_section(std::string name, Message content) {
    elements_.push_back({std::move(name), std::move(content)});
    return std::get<Message>(elements_.back().value);
}

std::string_view Message::get(std::string_view key, std::string_view fallback) const {
    const std::string* value = find(key);
    return value ? std::string_view(*value) : fallback;
}

const std::string* Message::find(std::string_view key) const { return find_as<std::string>(elements_, key); }
const List* Message::find_list(std::string_view key) const { return find_as<List>(elements_, key); }
const Message* Message::find_section(std::string_view name) const { return find_as<Message>(elements_, name); }

std::string to_text(const Message& message) {
    std::string out;
    write_text(out, message, 0);
    return out;
}

std::string to_json(const Message& message) {
    std::string out;
    write_json(out, message);
    return out;
}

}  // namespace sluice::control::vici
