// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "lib/base/result.hpp"

namespace sluice::control {

// Runs a program of the system to its end with `input` (shorter than a pipe's buffer, 64 KiB) as standard input, and
// returns what it wrote. The program is looked for in PATH and in the sbin folders. Past the limit it is killed.
// io: it does not start, ends with another status than 0 (the text is what it wrote), or takes too long.
Result<std::string> run_program(const std::vector<std::string>& arguments, const std::string& input,
                                std::chrono::milliseconds limit);

}  // namespace sluice::control
