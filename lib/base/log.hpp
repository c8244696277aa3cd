// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace sluice {

enum class LogLevel { error, warning, info, debug };

// Where log lines go. Set once at start, before any other thread runs; the default writes nothing, so a library under
// test is silent. The sink may be called by any control thread; workers never log.
using LogSink = std::function<void(LogLevel level, std::string_view area, std::string_view text)>;
void set_log_sink(LogSink sink);
// Lines above this level are not made. Default info.
void set_log_level(LogLevel level);
bool log_enabled(LogLevel level);

// area is the folder's noun: "ike", "cfg", "net", "esp", "vici", "app".
void log(LogLevel level, std::string_view area, std::string_view text);
inline void log_error(std::string_view area, std::string_view text) { log(LogLevel::error, area, text); }
inline void log_warning(std::string_view area, std::string_view text) { log(LogLevel::warning, area, text); }
inline void log_info(std::string_view area, std::string_view text) { log(LogLevel::info, area, text); }
inline void log_debug(std::string_view area, std::string_view text) { log(LogLevel::debug, area, text); }

}  // namespace sluice
