// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "apps/bench/machine.hpp"
#include "apps/bench/measure.hpp"

namespace sluice::bench {

// The table's head and one line of it, newline included.
std::string table_head();
std::string table_line(const Row& row);
// One line a fact.
std::string facts_text(const Facts& facts);
std::string facts_json(const Facts& facts);

// {"machine": {...}, "results": [{...}]}: numbers per packet, the samples of each round in the order in which they
// came.
std::string to_json(const Facts& facts, const std::vector<Row>& rows);
std::string json_string(const std::string& text);

}  // namespace sluice::bench
