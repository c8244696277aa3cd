// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/key_log.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/control/temporary_directory.hpp"

using namespace sluice;
using namespace sluice::control;

namespace {

using Directory = test::TemporaryDirectory;

}  // namespace

TEST_CASE("TRAPS 51: keys are written only where the configuration says so") {
    Config config;
    const auto refused = allow_key_log(config);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text.find("debug.allow_key_log") != std::string::npos);
    config.allow_key_log = true;
    CHECK(allow_key_log(config));
}

TEST_CASE("TRAPS 51: the key log is its owner's alone, and no link leads it elsewhere") {
    const Directory directory;
    const std::string path = directory.path() + "/keys";
    {
        auto log = KeyLog::open(path);
        REQUIRE(log);
        (*log)->write("a line");
    }
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    std::string line;
    std::getline(std::ifstream(path), line);
    CHECK(line == "a line");
    std::filesystem::create_symlink(path, directory.path() + "/link");
    CHECK_FALSE(KeyLog::open(directory.path() + "/link"));
}
