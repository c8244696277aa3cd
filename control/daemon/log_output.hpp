// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/log.hpp"

namespace sluice::control {

// Sends every log line to standard error: "2026-01-02T03:04:05.678Z info ike: text", one write a line, so that lines of
// several threads do not mix. Under systemd (JOURNAL_STREAM is set) the time is left out and the level comes as the
// "<6>" prefix that journald reads.
void log_to_stderr(LogLevel level);

}  // namespace sluice::control
