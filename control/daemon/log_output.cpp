// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/log_output.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

namespace sluice::control {
namespace {

constexpr std::array<std::string_view, 4> kNames{"error", "warning", "info", "debug"};
constexpr std::array<std::string_view, 4> kJournalPrefix{"<3>", "<4>", "<6>", "<7>"};

std::string timestamp() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm utc{};
    ::gmtime_r(&now.tv_sec, &utc);
    std::array<char, 32> text{};
    const std::size_t n = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    std::array<char, 8> fraction{};
    std::snprintf(fraction.data(), fraction.size(), ".%03dZ ", static_cast<int>(now.tv_nsec / 1'000'000 % 1000));
    return std::string(text.data(), n) + fraction.data();
}

void write_line(LogLevel level, std::string_view area, std::string_view text) {
    static const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
    const auto index = static_cast<std::size_t>(level);
    std::string line = journal ? std::string(kJournalPrefix[index]) : timestamp() + std::string(kNames[index]) + " ";
    line.append(area).append(": ").append(text).append("\n");
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

void log_to_stderr(LogLevel level) {
    set_log_level(level);
    set_log_sink(write_line);
}

}  // namespace sluice::control
