// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>

namespace sluice::bench {

// printf into a string, 1023 bytes at most.
[[gnu::format(printf, 1, 2)]] inline std::string format(const char* form, ...) {
    char buffer[1024];
    va_list arguments;
    va_start(arguments, form);
    std::vsnprintf(buffer, sizeof(buffer), form, arguments);
    va_end(arguments);
    return buffer;
}

}  // namespace sluice::bench
