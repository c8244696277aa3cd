// SPDX-License-Identifier: Apache-2.0
#include "lib/base/log.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace sluice;

TEST_CASE("Lines go to the sink up to the level, with their area; without a sink nowhere") {
    log_error("ike", "before there is a sink");
    CHECK_FALSE(log_enabled(LogLevel::error));

    std::vector<std::string> lines;
    set_log_sink([&](LogLevel level, std::string_view area, std::string_view text) {
        lines.push_back(std::to_string(static_cast<int>(level)) + " " + std::string(area) + " " + std::string(text));
    });
    log_error("ike", "a");
    log_warning("net", "b");
    log_info("cfg", "c");
    log_debug("esp", "not at the default level");
    CHECK(lines == std::vector<std::string>{"0 ike a", "1 net b", "2 cfg c"});

    set_log_level(LogLevel::error);
    log_warning("net", "d");
    CHECK(lines.size() == 3);
    set_log_level(LogLevel::debug);
    log_debug("net", "e");
    CHECK(lines.back() == "3 net e");

    set_log_level(LogLevel::info);
    set_log_sink(nullptr);
    log_error("ike", "f");
    CHECK(lines.size() == 4);
}
