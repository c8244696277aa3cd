// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/machine.hpp"

#include <rte_version.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "apps/bench/format.hpp"
#include "dataplane/crypto_engine.hpp"
#include "lib/crypto/version.hpp"

namespace sluice::bench {

namespace {

std::string cpu_model() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const auto colon = line.find(": ");
        if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
    }
    return "unknown";
}

std::string kernel() {
    utsname name{};
    if (uname(&name) != 0) return "unknown";
    return std::string(name.sysname) + " " + name.release;
}

std::string cpu_list(const std::vector<unsigned>& cpus) {
    std::string text;
    for (const unsigned cpu : cpus) text += (text.empty() ? "" : ",") + std::to_string(cpu);
    return text;
}

std::string code_path() {
    const auto manager = dataplane::make_mb_manager();
    return manager ? dataplane::mb_code_path(**manager) : manager.error().text;
}

#ifdef __OPTIMIZE__
constexpr const char* kBuild = "optimised";
#else
constexpr const char* kBuild = "not optimised";
#endif

}  // namespace

Facts machine_facts(const Circumstances& c) {
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return {{"cpu", cpu_model()},
            {"cores", std::to_string(cores)},
            {"worker_cpus", cpu_list(c.worker_cpus)},
            {"tsc_hz", format("%.0f", c.tsc_hz)},
            {"memory", c.hugepages ? "hugepages" : "ordinary pages"},
            {"kernel", kernel()},
            {"sluice", c.version},
            {"dpdk", rte_version()},
            {"ipsec_mb", imb_get_version_str()},
            {"openssl", crypto::library_version()},
            {"compiler", __VERSION__ + std::string(", ") + kBuild},
            {"code_path", code_path()},
            {"options", c.options}};
}

}  // namespace sluice::bench
