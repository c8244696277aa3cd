// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace sluice::control::vici {

struct Element;
using List = std::vector<std::string>;

// A VICI message, and each section inside one: an ordered tree of key/values, lists and sections. Values are raw text;
// by VICI's convention numbers are decimal and truth is "yes" or "no". The same name may occur more than once on the
// wire; look-ups give the first.
class Message {
  public:
    Message& add(std::string key, std::string value);
    template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>) Message& add(std::string key, T value) {
        return add(std::move(key), std::to_string(value));
    }
    Message& add_list(std::string key, List items);
    // Opens a new section at the end; the reference lives until this message is changed again.
    Message& add_section(std::string name);
    Message& add_section(std::string name, Message content);

    const std::vector<Element>& elements() const { return elements_; }
    bool empty() const { return elements_.empty(); }

    // The value of a key of this section; fallback where there is none, or where it is a list or section.
    std::string_view get(std::string_view key, std::string_view fallback = {}) const;
    const std::string* find(std::string_view key) const;
    const List* find_list(std::string_view key) const;
    const Message* find_section(std::string_view name) const;

    friend bool operator==(const Message&, const Message&);

  private:
    std::vector<Element> elements_;
};

struct Element {
    std::string name;
    std::variant<std::string, List, Message> value;
    friend bool operator==(const Element&, const Element&) = default;
};

inline bool operator==(const Message& a, const Message& b) { return a.elements_ == b.elements_; }

// For people: indented "key = value", "key = [ a, b ]" and "name { ... }".
std::string to_text(const Message& message);
// A JSON object; lists are arrays and every value is a string, as on the wire. A name that occurs again is kept by
// appending "#2", "#3". Bytes that are not UTF-8 become U+FFFD.
std::string to_json(const Message& message);

}  // namespace sluice::control::vici
