// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "apps/bench/machine.hpp"
#include "apps/bench/measure.hpp"

namespace sluice::bench {

// One page that needs nothing from elsewhere: the machine, curves over size, SAs, bursts and workers where those were
// measured, every row beside its limit, and the table.
std::string to_html(const Facts& facts, const std::vector<Row>& rows);

}  // namespace sluice::bench
