// SPDX-License-Identifier: Apache-2.0
#include "lib/base/log.hpp"

#include <atomic>

namespace sluice {
namespace {

LogSink& sink() {
    static LogSink instance;
    return instance;
}
std::atomic<LogLevel> threshold{LogLevel::info};

}  // namespace

void set_log_sink(LogSink new_sink) { sink() = std::move(new_sink); }
void set_log_level(LogLevel level) { threshold = level; }
bool log_enabled(LogLevel level) { return sink() && level <= threshold.load(std::memory_order_relaxed); }

void log(LogLevel level, std::string_view area, std::string_view text) {
    if (log_enabled(level)) sink()(level, area, text);
}

}  // namespace sluice
