// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "apps/bench/machine.hpp"
#include "apps/bench/measure.hpp"

namespace sluice::bench {

// `sluice-bench esp`: every combination of the lists is a row.
struct EspOptions {
    std::vector<std::string> aeads = {"aes128gcm16"};
    std::vector<std::uint32_t> sizes = {64, 512, 1400};
    std::vector<Direction> directions = {Direction::out, Direction::in};
    std::vector<std::uint32_t> sas = {1, 1024};
    std::vector<unsigned> bursts = {64};
    std::vector<unsigned> workers = {1};
    std::vector<net::Family> outers = {net::Family::v4};
    std::vector<bool> udp = {false};
    std::uint32_t window = 64;
    unsigned repeat = 30;
    int cpu = -1;             // the first CPU that workers run on; -1: the last ones that the process may use
    bool hugepages = true;    // where there are enough of them
    std::string description;  // of the options, for the reader
};

struct EspReport {
    Facts facts;
    std::vector<Row> rows;
};
// Starts EAL, measures, and prints the table line by line. invalid: an option that makes no sense, said before anything
// is measured.
Result<EspReport> run_esp(const EspOptions& options, const std::string& version);

}  // namespace sluice::bench
