// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.hpp"

// Lists of a command line, separated by commas. An empty list or element is invalid.
namespace sluice::bench {

inline Result<std::vector<std::string>> split_list(std::string_view text) {
    std::vector<std::string> out;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        if (comma == at) return fail(ErrorCode::invalid, "an empty element in \"" + std::string(text) + "\"");
        out.emplace_back(text.substr(at, comma - at));
        at = comma + 1;
    }
    return out;
}

inline Result<std::vector<std::uint32_t>> number_list(std::string_view text) {
    const auto words = split_list(text);
    if (!words) return words.error();
    std::vector<std::uint32_t> out;
    for (const std::string& word : *words) {
        std::uint32_t value = 0;
        const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
        if (error != std::errc{} || end != word.data() + word.size()) {
            return fail(ErrorCode::invalid, "\"" + word + "\" is not a number");
        }
        out.push_back(value);
    }
    return out;
}

// Words that each stand for a value.
template <class T>
Result<std::vector<T>> word_list(std::string_view text, const std::vector<std::pair<std::string, T>>& known) {
    const auto words = split_list(text);
    if (!words) return words.error();
    std::vector<T> out;
    for (const std::string& word : *words) {
        std::string expected;
        bool found = false;
        for (const auto& [name, value] : known) {
            expected += (expected.empty() ? "" : ", ") + name;
            if (name != word) continue;
            out.push_back(value);
            found = true;
        }
        if (!found) return fail(ErrorCode::invalid, "\"" + word + "\" is none of " + expected);
    }
    return out;
}

}  // namespace sluice::bench
