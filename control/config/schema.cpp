// SPDX-License-Identifier: Apache-2.0
#include "control/config/schema.hpp"

#include <algorithm>

namespace sluice::control {
namespace {

// Edits that turn a into b; swapping two neighbours is one edit.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    const std::size_t width = b.size() + 1;
    std::vector<std::size_t> rows((a.size() + 1) * width);
    const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& { return rows[i * width + j]; };
    for (std::size_t i = 0; i <= a.size(); ++i) at(i, 0) = i;
    for (std::size_t j = 0; j <= b.size(); ++j) at(0, j) = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
            }
        }
    }
    return at(a.size(), b.size());
}

std::string joined(const std::vector<std::string_view>& names) {
    std::string out;
    for (const std::string_view name : names) out += (out.empty() ? "" : ", ") + std::string(name);
    return out;
}

// "no" and "false", "0" and "0s" are the same to whoever turns something off.
bool asks_the_same(std::string_view text, std::string_view off) {
    if (text == off) return true;
    if (parse_bool(text) && parse_bool(text) == parse_bool(off)) return true;
    return parse_duration(text) && parse_duration(text) == parse_duration(off);
}

void report_later(const Place& place, const ConfigNode& member, const LaterKey& later, Findings& findings) {
    const bool off =
        member.kind == ConfigNode::Kind::scalar && !later.off.empty() && asks_the_same(member.text, later.off);
    if (off) return;
    std::string text = "is not supported yet: " + std::string(later.feature);
    if (!later.off.empty()) text += "; expected \"" + std::string(later.off) + "\" or no such key";
    findings.error(member, place.child(member).path, std::move(text));
}

}  // namespace

void Findings::error(const ConfigNode& at, const std::string& path, std::string text) {
    add(Diagnostic::Severity::error, at, path, std::move(text));
    failed_ = true;
}

void Findings::warning(const ConfigNode& at, const std::string& path, std::string text) {
    add(Diagnostic::Severity::warning, at, path, std::move(text));
}

void Findings::add(Diagnostic::Severity severity, const ConfigNode& at, const std::string& path, std::string text) {
    list_.push_back({severity, file_, at.at.line, at.at.column, path, std::move(text)});
}

std::vector<Diagnostic> Findings::take() && {
    std::stable_sort(list_.begin(), list_.end(), [](const Diagnostic& a, const Diagnostic& b) {
        return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    return std::move(list_);
}

bool name_matches(std::string_view pattern, std::string_view name) {
    if (pattern.empty() || pattern.back() != '*') return pattern == name;
    return name.substr(0, pattern.size() - 1) == pattern.substr(0, pattern.size() - 1);
}

std::optional<std::string_view> suggestion(std::string_view name, const std::vector<std::string_view>& candidates) {
    if (name.size() > 64) return std::nullopt;
    std::optional<std::string_view> best;
    std::size_t least = std::min<std::size_t>(3, name.size() / 2 + 1);  // one more than is near enough
    for (const std::string_view candidate : candidates) {
        const std::size_t distance = edit_distance(name, candidate);
        if (distance >= least) continue;
        least = distance;
        best = candidate;
    }
    return best;
}

void report_unknown(const Place& place, const SectionShape& shape, const std::vector<std::string_view>& names,
                    Findings& findings) {
    const auto known = [](const auto& list, const ConfigNode& member, auto name_of) {
        return std::find_if(list.begin(), list.end(),
                            [&](const auto& entry) { return name_matches(name_of(entry), member.key); });
    };
    const auto known_section = [&](const ConfigNode& member) {
        return std::any_of(shape.sections.begin(), shape.sections.end(), [&](std::string_view name) {
            // "local*" names sections: a misspelt "local_adrs = ..." is none
            return name_matches(name, member.key) && (name.back() != '*' || member.kind == ConfigNode::Kind::section);
        });
    };
    const auto itself = [](std::string_view name) { return name; };
    for (const ConfigNode& member : place.node.children) {
        if (known(names, member, itself) != names.end()) continue;
        if (known_section(member)) continue;
        const auto later = known(shape.later, member, [](const LaterKey& key) { return key.name; });
        if (later != shape.later.end()) {
            report_later(place, member, *later, findings);
            continue;
        }
        std::vector<std::string_view> candidates = names;
        candidates.insert(candidates.end(), shape.sections.begin(), shape.sections.end());
        const auto meant = suggestion(member.key, candidates);
        const std::string where = shape.kind.empty() ? "the top level" : "[" + std::string(shape.kind) + "]";
        findings.error(member, place.child(member).path,
                       "is not a key of " + where +
                           (meant ? "; did you mean \"" + std::string(*meant) + "\"?"
                                  : "; expected one of " + joined(candidates)));
    }
}

void report(const Place& place, const ConfigNode& value, const KeyDoc& doc, const Complaint& complaint,
            Findings& findings) {
    std::string text = complaint.text;
    if (!doc.expected.empty()) text += "; expected " + std::string(doc.expected);
    findings.error(complaint.node != nullptr ? *complaint.node : value, place.child(value).path, std::move(text));
}

std::string Diagnostic::to_string() const {
    std::string out = file + ":";
    if (line > 0) out += std::to_string(line) + ":";
    out += severity == Severity::warning ? " warning: " : " ";
    if (!key.empty()) out += key + ": ";
    return out + text;
}

}  // namespace sluice::control
