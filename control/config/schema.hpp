// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/config/config.hpp"
#include "control/config/node.hpp"
#include "control/config/values.hpp"

// How a section of the configuration is understood: a table with a line for each key. The same tables check files and
// what a VICI client loads, and print the reference. A key is in a table if and only if something acts on it.
namespace sluice::control {

// Collects findings; knows the file and puts paths in front.
class Findings {
  public:
    explicit Findings(std::string file) : file_(std::move(file)) {}
    void error(const ConfigNode& at, const std::string& path, std::string text);
    void warning(const ConfigNode& at, const std::string& path, std::string text);
    bool failed() const { return failed_; }
    // Everything, in the order of the file; errors and warnings as they came where they share a position.
    std::vector<Diagnostic> take() &&;

  private:
    void add(Diagnostic::Severity severity, const ConfigNode& at, const std::string& path, std::string text);
    std::string file_;
    std::vector<Diagnostic> list_;
    bool failed_ = false;
};

// What a validator has against a value; node is the list item that is wrong, or null for the key as a whole.
struct Complaint {
    std::string text;
    const ConfigNode* node = nullptr;
};
using Verdict = std::optional<Complaint>;

// What a key's line says about it to people.
struct KeyDoc {
    std::string_view name;
    std::string_view expected;  // completes "expected ..."; empty where the validator's complaint says it
    std::string_view fallback;  // the default's text; empty: none
    std::string_view help;      // a sentence
};
template <class T>
struct Key {
    KeyDoc doc;
    Verdict (*set)(T& into, const ConfigNode& value);
};

// A key of swanctl.conf (or a prefix of keys, with a * at its end) that Sluice does not act on yet. off is the value,
// if any, that asks for nothing and is therefore taken.
struct LaterKey {
    std::string_view name;
    std::string_view feature;
    std::string_view off = {};
};

// What a section may hold beside scalar keys.
struct SectionShape {
    std::string_view kind;                       // as the reference calls it: "connections.NAME"
    std::span<const std::string_view> sections;  // names that the caller reads itself; a * at the end is any suffix
    std::span<const LaterKey> later;
};

// A section's place in the tree, for messages: "connections.carol".
struct Place {
    const ConfigNode& node;
    std::string path;
    Place child(const ConfigNode& member) const {
        return {member, path.empty() ? member.key : path + "." + member.key};
    }
};

// The untyped half of load_keys(): reports what no table knows. names are those of the section's key table.
void report_unknown(const Place& place, const SectionShape& shape, const std::vector<std::string_view>& names,
                    Findings& findings);
void report(const Place& place, const ConfigNode& value, const KeyDoc& doc, const Complaint& complaint,
            Findings& findings);

// Reads every key of the table that the section has. Wrong values are reported and leave into as it was.
template <class T>
void load_keys(const Place& place, std::span<const Key<T>> keys, const SectionShape& shape, T& into,
               Findings& findings) {
    std::vector<std::string_view> names;
    for (const Key<T>& key : keys) {
        names.push_back(key.doc.name);
        const ConfigNode* value = place.node.find(key.doc.name);
        if (value == nullptr) continue;
        if (const Verdict verdict = key.set(into, *value)) report(place, *value, key.doc, *verdict, findings);
    }
    report_unknown(place, shape, names, findings);
}

// The names that match the pattern of a key or section: "local*" takes "local" and "local-1".
bool name_matches(std::string_view pattern, std::string_view name);
// The nearest of the candidates, if one is near enough to be meant.
std::optional<std::string_view> suggestion(std::string_view name, const std::vector<std::string_view>& candidates);

inline Complaint is_not(const std::string& text, std::string_view what, const ConfigNode* node = nullptr) {
    return {"\"" + text + "\" is not " + std::string(what), node};
}
inline const std::string* scalar_of(const ConfigNode& value) {
    return value.kind == ConfigNode::Kind::scalar ? &value.text : nullptr;
}
inline Complaint no_scalar(const ConfigNode& value) {
    return {value.kind == ConfigNode::Kind::list ? "is a list" : "is a section", nullptr};
}

// Validators for the common types, by pointer to the member that takes the value.
template <auto Member, auto Parse, class T>
Verdict set_parsed(T& into, const ConfigNode& value, std::string_view what) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    auto parsed = Parse(*text);
    if (!parsed) return is_not(*text, what);
    into.*Member = std::move(*parsed);
    return std::nullopt;
}
template <class T, auto Member>
Verdict set_bool(T& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const auto truth = parse_bool(*text);
    if (!truth) return Complaint{"\"" + *text + "\" is neither", nullptr};
    into.*Member = *truth;
    return std::nullopt;
}
template <class T, auto Member>
Verdict set_duration(T& into, const ConfigNode& value) {
    return set_parsed<Member, parse_duration>(into, value, "a duration");
}
template <class T, auto Member>
Verdict set_bytes(T& into, const ConfigNode& value) {
    return set_parsed<Member, parse_byte_count>(into, value, "a number of bytes");
}
template <class T, auto Member, std::uint64_t Low, std::uint64_t High>
Verdict set_number(T& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    const auto number = parse_number(*text);
    if (!number) return is_not(*text, "a whole number");
    if (*number < Low || *number > High) return Complaint{*text + " is out of range", nullptr};
    using Target = std::remove_reference_t<decltype(into.*Member)>;
    into.*Member = static_cast<Target>(*number);
    return std::nullopt;
}
template <class T, auto Member>
Verdict set_text(T& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    if (text->empty()) return Complaint{"is empty", nullptr};
    into.*Member = *text;
    return std::nullopt;
}
template <class E>
struct Choice {
    std::string_view text;
    E value;
};
template <class T, auto Member, const auto& Choices>
Verdict set_choice(T& into, const ConfigNode& value) {
    const std::string* text = scalar_of(value);
    if (text == nullptr) return no_scalar(value);
    for (const auto& choice : Choices) {
        if (choice.text != *text) continue;
        into.*Member = choice.value;
        return std::nullopt;
    }
    return Complaint{"\"" + *text + "\" is unknown", nullptr};
}

// The reference: a row for each key of a section.
struct SectionDoc {
    std::string_view kind;
    std::string_view help;
    std::vector<KeyDoc> keys;
};
template <class T>
SectionDoc document(std::string_view kind, std::string_view help, std::span<const Key<T>> keys) {
    SectionDoc out{kind, help, {}};
    for (const Key<T>& key : keys) out.keys.push_back(key.doc);
    return out;
}

}  // namespace sluice::control
