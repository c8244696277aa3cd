// SPDX-License-Identifier: Apache-2.0
#include "dataplane/eal.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::dataplane;

namespace {

DataplaneConfig with_workers(std::vector<WorkerConfig> workers) {
    DataplaneConfig config;
    config.workers = std::move(workers);
    return config;
}

bool has(const std::vector<std::string>& arguments, const std::string& one) {
    return std::find(arguments.begin(), arguments.end(), one) != arguments.end();
}

std::string after(const std::vector<std::string>& arguments, const std::string& option) {
    const auto at = std::find(arguments.begin(), arguments.end(), option);
    return at == arguments.end() || at + 1 == arguments.end() ? "" : *(at + 1);
}

}  // namespace

TEST_CASE("EAL without hugepages and PCI is what no configuration asks for") {
    const auto arguments = eal_arguments(with_workers({{}}), {0, 1});
    REQUIRE(arguments);
    CHECK(has(*arguments, "--no-huge"));
    CHECK(has(*arguments, "--no-shconf"));
    CHECK(has(*arguments, "--no-pci"));
    CHECK(has(*arguments, "--no-telemetry"));
    CHECK_FALSE(has(*arguments, "--in-memory"));  // EAL refuses it together with --no-huge
    CHECK(after(*arguments, "-m") == "256");
    CHECK(after(*arguments, "--file-prefix") == "sluice");
}

TEST_CASE("workers float over the CPUs of the process or stay where they are told") {
    const auto arguments = eal_arguments(with_workers({{}, {{3}, Idle::poll}, {{2, 3}, Idle::adaptive}}), {1, 2, 3});
    REQUIRE(arguments);
    CHECK(after(*arguments, "--lcores") == "0@(1,2,3),1@(1,2,3),2@(3),3@(2,3)");
    CHECK(worker_lcore(WorkerId(2)) == 3);
}

TEST_CASE("hugepages and PCI devices where they are configured, and those devices only") {
    DataplaneConfig config = with_workers({{}});
    config.hugepages = true;
    config.memory_mb = 1024;
    PortConfig port;
    port.driver = PortDriver::pci;
    port.device = "0000:03:00.1";
    config.ports.push_back(port);
    const auto arguments = eal_arguments(config, {0});
    REQUIRE(arguments);
    CHECK(has(*arguments, "--in-memory"));
    CHECK_FALSE(has(*arguments, "--no-huge"));
    CHECK_FALSE(has(*arguments, "--no-pci"));
    CHECK(after(*arguments, "-a") == "0000:03:00.1");
    CHECK(after(*arguments, "-m") == "1024");
}

TEST_CASE("EAL refuses no worker, too many, and a CPU that the process may not use") {
    CHECK(eal_arguments(with_workers({}), {0}).error().code == ErrorCode::invalid);
    CHECK(eal_arguments(with_workers(std::vector<WorkerConfig>(1000)), {0}).error().code == ErrorCode::invalid);
    const auto foreign = eal_arguments(with_workers({{{7}, Idle::poll}}), {0, 1});
    REQUIRE_FALSE(foreign);
    CHECK(foreign.error().text == "dataplane: worker 0: CPU 7 is not one that this process may use");
}
