// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/session.hpp"

#include <rte_cycles.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "apps/bench/scene.hpp"
#include "dataplane/eal.hpp"
#include "dataplane/packet.hpp"

namespace sluice::bench {

namespace {

constexpr unsigned kSparePackets = 2048;  // caches of lcores, packets that the gateway makes itself
constexpr unsigned kMegabyte = 1024 * 1024;

// Free hugepages of the default size, in megabytes.
std::uint64_t free_hugepages() {
    std::ifstream file("/proc/meminfo");
    std::uint64_t pages = 0;
    std::uint64_t kilobytes = 0;
    for (std::string line; std::getline(file, line);) {
        std::sscanf(line.c_str(), "HugePages_Free: %lu", &pages);
        std::sscanf(line.c_str(), "Hugepagesize: %lu", &kilobytes);
    }
    return pages * kilobytes / 1024;
}

}  // namespace

Result<Session> Session::start(const Options& options) {
    auto config = make_config(1, static_cast<unsigned>(options.cpus.size()), options.mtu);
    for (std::size_t w = 0; w < options.cpus.size(); ++w) config.workers[w].cpus = {options.cpus[w]};
    const auto room = dataplane::packet_pool_shape(config, dataplane::kPrivateBytes).data_room;
    const dataplane::PacketPoolShape shape{.mbufs = options.packets + kSparePackets, .data_room = room};
    const std::uint64_t bytes = std::uint64_t{shape.mbufs} * (room + dataplane::kPrivateBytes + 256U);
    config.memory_mb = static_cast<unsigned>(bytes / kMegabyte + 64);
    config.hugepages = options.hugepages && free_hugepages() >= config.memory_mb;
    config.file_prefix = "sluice-bench-" + std::to_string(getpid());
    Session session{options.cpus};
    if (const auto started = dataplane::start_eal(config); !started) return started.error();
    if (const auto pinned = pin_this_thread(options.cpus.front()); !pinned) return pinned.error();
    auto pool = dataplane::make_packet_pool(shape, dataplane::kPrivateBytes);
    if (!pool) return pool.error();
    session.pool_ = std::move(*pool);
    session.hugepages_ = config.hugepages;
    return session;
}

Session::~Session() {
    if (!running_) return;
    pool_.reset();
    dataplane::stop_eal();
}

Circumstances circumstances(const Session& session, const std::string& version, const std::string& options) {
    return {version, options, session.cpus(), session.hugepages(), static_cast<double>(rte_get_tsc_hz())};
}

Result<std::vector<unsigned>> choose_cpus(int first, unsigned workers) {
    const std::vector<unsigned> allowed = dataplane::allowed_cpus();
    if (workers > allowed.size()) {
        return fail(ErrorCode::invalid, std::to_string(workers) + " workers need as many CPUs; there are " +
                                            std::to_string(allowed.size()));
    }
    if (first < 0) return std::vector<unsigned>(allowed.end() - workers, allowed.end());
    const auto found = std::ranges::find(allowed, static_cast<unsigned>(first));
    if (found == allowed.end() || allowed.end() - found < static_cast<std::ptrdiff_t>(workers)) {
        return fail(ErrorCode::invalid, "CPU " + std::to_string(first) + " and those behind it are not all there");
    }
    return std::vector<unsigned>(found, found + workers);
}

Result<void> pin_this_thread(unsigned cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) == 0) return {};
    return fail(ErrorCode::io, "CPU " + std::to_string(cpu) + ": " + std::strerror(errno));
}

void show_progress(const std::string& what, double done) {
    using Clock = std::chrono::steady_clock;
    static Clock::time_point last{};
    const bool terminal = isatty(STDERR_FILENO) == 1;
    const auto now = Clock::now();
    if (now - last < std::chrono::milliseconds(terminal ? 100 : 1000)) return;
    last = now;
    std::fprintf(stderr, "%s%s: %.0f %%%s", terminal ? "\r\033[K" : "", what.c_str(), done * 100,
                 terminal ? (done >= 1 ? "\r\033[K" : "") : "\n");
}

}  // namespace sluice::bench
