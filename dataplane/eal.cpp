// SPDX-License-Identifier: Apache-2.0
#include "dataplane/eal.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string_view>

#include "lib/base/log.hpp"

namespace sluice::dataplane {
namespace {

enum class EalState { fresh, running, over };
EalState eal_state = EalState::fresh;  // control thread only

// What DPDK logs, cut into lines. Its own threads log too, hence the lock; no worker does.
class LogLines {
  public:
    void add(std::string_view text) {
        const std::lock_guard lock(mutex_);
        for (const char c : text) {
            if (c != '\n')
                line_ += c;
            else
                flush();
        }
    }
    // What was said at level error since the last call.
    std::string take_errors() {
        const std::lock_guard lock(mutex_);
        return std::exchange(errors_, {});
    }

  private:
    static constexpr std::size_t kMaxErrors = 2000;

    void flush() {
        if (line_.empty()) return;
        const int level = rte_log_cur_msg_loglevel();
        const bool bad = level > 0 && level <= static_cast<int>(RTE_LOG_ERR);
        if (bad && errors_.size() < kMaxErrors) errors_ += (errors_.empty() ? "" : "; ") + line_;
        log(bad                                          ? LogLevel::warning
            : level == static_cast<int>(RTE_LOG_WARNING) ? LogLevel::info
                                                         : LogLevel::debug,
            "dpdk", line_);
        line_.clear();
    }
    std::mutex mutex_;
    std::string line_;
    std::string errors_;
};

LogLines& log_lines() {
    static LogLines* lines = new LogLines;  // outlives every thread of DPDK
    return *lines;
}

ssize_t write_log(void*, const char* text, std::size_t size) {
    log_lines().add({text, size});
    return static_cast<ssize_t>(size);
}

void capture_log() {
    cookie_io_functions_t functions{};
    functions.write = write_log;
    std::FILE* stream = fopencookie(nullptr, "w", functions);
    if (stream == nullptr) return;
    std::setvbuf(stream, nullptr, _IOLBF, 0);
    rte_openlog_stream(stream);
}

std::string cpu_list(const std::vector<unsigned>& cpus) {
    std::string text;
    for (const unsigned cpu : cpus) text += (text.empty() ? "" : ",") + std::to_string(cpu);
    return "(" + text + ")";
}

Result<std::string> lcore_map(const DataplaneConfig& config, const std::vector<unsigned>& allowed) {
    if (config.workers.empty()) return fail(ErrorCode::invalid, "dataplane: no worker is configured");
    if (config.workers.size() >= RTE_MAX_LCORE)
        return fail(ErrorCode::invalid,
                    "dataplane: more than " + std::to_string(RTE_MAX_LCORE - 1) + " workers are configured");
    std::string map = std::to_string(kMainLcore) + "@" + cpu_list(allowed);
    for (std::size_t i = 0; i < config.workers.size(); ++i) {
        const auto& cpus = config.workers[i].cpus;
        for (const unsigned cpu : cpus)
            if (std::find(allowed.begin(), allowed.end(), cpu) == allowed.end())
                return fail(ErrorCode::invalid, "dataplane: worker " + std::to_string(i) + ": CPU " +
                                                    std::to_string(cpu) + " is not one that this process may use");
        const unsigned lcore = worker_lcore(WorkerId(static_cast<std::uint16_t>(i)));
        map += "," + std::to_string(lcore) + "@" + cpu_list(cpus.empty() ? allowed : cpus);
    }
    return map;
}

bool has_pci(const DataplaneConfig& config) {
    return std::any_of(config.ports.begin(), config.ports.end(),
                       [](const PortConfig& port) { return port.driver == PortDriver::pci; });
}

}  // namespace

std::vector<unsigned> allowed_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<unsigned> cpus;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    return cpus;
}

Result<std::vector<std::string>> eal_arguments(const DataplaneConfig& config, const std::vector<unsigned>& allowed) {
    const auto lcores = lcore_map(config, allowed);
    if (!lcores) return lcores.error();
    std::vector<std::string> arguments{"sluiced", "--no-telemetry", "--file-prefix", config.file_prefix};
    arguments.insert(arguments.end(), {"-m", std::to_string(config.memory_mb), "--lcores", *lcores});
    // Neither leaves files that a next start would find; --in-memory is for hugepages only.
    if (config.hugepages)
        arguments.emplace_back("--in-memory");
    else
        arguments.insert(arguments.end(), {"--no-huge", "--no-shconf"});
    if (!has_pci(config)) {
        arguments.emplace_back("--no-pci");
        arguments.emplace_back("--iova-mode=va");
    }
    for (const PortConfig& port : config.ports)
        if (port.driver == PortDriver::pci) arguments.insert(arguments.end(), {"-a", port.device});
    return arguments;
}

Result<void> start_eal(const DataplaneConfig& config) {
    if (eal_state != EalState::fresh) return fail(ErrorCode::conflict, "EAL starts once in a process");
    auto arguments = eal_arguments(config, allowed_cpus());
    if (!arguments) return arguments.error();
    if (setenv("LIBXDP_SKIP_DISPATCHER", "1", 1) != 0) return fail(ErrorCode::io, "setenv failed");
    capture_log();
    std::vector<char*> argv;
    argv.reserve(arguments->size() + 1);
    for (std::string& argument : *arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    if (rte_eal_init(static_cast<int>(arguments->size()), argv.data()) < 0) {
        const std::string reason = rte_strerror(rte_errno);
        const std::string said = log_lines().take_errors();
        eal_state = EalState::over;  // a failed init cannot be repeated
        return fail(ErrorCode::io, "EAL does not start: " + (said.empty() ? reason : said));
    }
    eal_state = EalState::running;
    return {};
}

bool eal_running() { return eal_state == EalState::running; }

std::string take_eal_errors() { return log_lines().take_errors(); }

void stop_eal() {
    if (eal_state != EalState::running) return;
    eal_state = EalState::over;
    rte_eal_cleanup();
}

}  // namespace sluice::dataplane
