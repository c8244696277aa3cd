// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/pcap_run.hpp"

#include <rte_cycles.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

namespace sluice::bench {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kSettle{300};  // until SAs and routes are in use
constexpr milliseconds kShort{30};    // of frames that are looked at

dataplane::DataplaneConfig config_of(const PcapOptions& o, unsigned cpu, const std::string& received,
                                     const std::string& sent) {
    auto config = make_config(o.gateway.sas, 1, 1500);
    const std::string in = "net_pcap0,rx_pcap=" + received + ",infinite_rx=1";
    const std::string out = sent.empty() ? "net_null1,no-rx=1" : "net_pcap1,tx_pcap=" + sent;
    const std::string id = std::to_string(getpid());
    dataplane::PortConfig& lan = config.ports[kLan.value];
    dataplane::PortConfig& wan = config.ports[kWan.value];
    lan.device = o.direction == Direction::out ? in : out;
    wan.device = o.direction == Direction::out ? out : in;
    lan.host_interface = "sbl" + id;
    wan.host_interface = "sbw" + id;
    config.workers[0] = {.cpus = {cpu}, .idle = dataplane::Idle::poll};
    config.memory_mb = 512;
    config.file_prefix = "sluice-bench-" + id;
    return config;
}

struct Counts {
    double sent = 0;
    double dropped = 0;
};
Counts counts(const dataplane::Dataplane& plane) {
    Counts c;
    for (const dataplane::Counter& counter : plane.counters()) {
        if (counter.name == "worker_tx_packets") c.sent += counter.value;
        if (counter.name == "worker_drops") c.dropped += counter.value;
    }
    return c;
}

Result<PcapRun> run_gateway(const PcapOptions& o, unsigned cpu, const std::string& received, const std::string& sent) {
    const auto suite = parse_aead(o.gateway.aead);
    if (!suite) return suite.error();
    auto plane = dataplane::Dataplane::start(config_of(o, cpu, received, sent));
    if (!plane) return plane.error();
    for (std::uint32_t sa = 0; sa < o.gateway.sas; ++sa) {
        const auto installed = (*plane)->ipsec().install(make_child(o.gateway, *suite, sa, pcap_spis(sa)));
        if (!installed) return installed.error();
        (*plane)->maintain();
    }
    (*plane)->set_host_view(host_view());
    std::this_thread::sleep_for(kSettle);
    const Counts before = counts(**plane);
    const auto start = Clock::now();
    std::this_thread::sleep_for(sent.empty() ? milliseconds(1000 * o.seconds) : kShort);
    const Counts after = counts(**plane);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (after.dropped != before.dropped) {
        return fail(ErrorCode::io, std::to_string(after.dropped - before.dropped) + " packets were dropped");
    }
    PcapRun run;
    run.pps = (after.sent - before.sent) / seconds;
    run.tsc_hz = static_cast<double>(rte_get_tsc_hz());
    return run;
}

PcapRun error_run(const std::string& text) {
    PcapRun run;
    std::snprintf(run.error, sizeof(run.error), "%s", text.c_str());
    return run;
}

}  // namespace

SaSpis pcap_spis(std::uint32_t sa) { return {Spi{0x10000000 + sa}, Spi{0x80000000 + sa}}; }

PcapRun run_gateway_process(const PcapOptions& options, unsigned cpu, const std::string& received,
                            const std::string& sent) {
    int ends[2];
    if (pipe(ends) != 0) return error_run(std::string("pipe: ") + std::strerror(errno));
    const pid_t child = fork();
    if (child < 0) return error_run(std::string("fork: ") + std::strerror(errno));
    if (child == 0) {
        close(ends[0]);
        const auto done = run_gateway(options, cpu, received, sent);
        const PcapRun run = done ? *done : error_run(done.error().text);
        const ssize_t written = write(ends[1], &run, sizeof(run));
        _exit(written == sizeof(run) ? 0 : 1);
    }
    close(ends[1]);
    PcapRun run;
    const ssize_t got = read(ends[0], &run, sizeof(run));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (got != sizeof(run)) return error_run("the gateway's process ended without a word");
    return run;
}

}  // namespace sluice::bench
