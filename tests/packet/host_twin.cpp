// SPDX-License-Identifier: Apache-2.0
// A port and its host interface with nothing between them: what the port receives goes to the kernel, what the kernel
// sends goes out of the port. For tests/packet/host_twin.py, which looks at what crosses.
//   host-twin DRIVER DEVICE HOST_INTERFACE MTU adaptive|poll
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "dataplane/eal.hpp"
#include "dataplane/host_tap.hpp"
#include "dataplane/idle.hpp"
#include "dataplane/port.hpp"
#include "lib/base/log.hpp"

namespace {

using namespace sluice;
using namespace sluice::dataplane;

std::atomic<bool> stop{false};

struct Counts {
    std::uint64_t to_kernel = 0;
    std::uint64_t from_kernel = 0;
    std::uint64_t dropped = 0;
};

unsigned port_to_kernel(const Port& port, HostTap& tap, Counts& counts) {
    std::array<rte_mbuf*, 32> burst;
    const unsigned received = rte_eth_rx_burst(port.ethdev(), 0, burst.data(), burst.size());
    for (unsigned i = 0; i < received; ++i) {
        if (tap.write(*burst[i]))
            ++counts.to_kernel;
        else
            ++counts.dropped;
        rte_pktmbuf_free(burst[i]);
    }
    return received;
}

unsigned kernel_to_port(const Port& port, HostTap& tap, rte_mempool& pool, Counts& counts) {
    std::array<rte_mbuf*, 32> burst;
    const std::uint16_t read = tap.read_burst(pool, burst);
    const std::uint16_t sent = rte_eth_tx_burst(port.ethdev(), 0, burst.data(), read);
    counts.from_kernel += sent;
    counts.dropped += static_cast<unsigned>(read - sent);
    for (std::uint16_t i = sent; i < read; ++i) rte_pktmbuf_free(burst[i]);
    return read;
}

int complain(const Error& error) {
    std::fprintf(stderr, "%s\n", error.text.c_str());
    return 1;
}

int run(const Port& port, HostTap& tap, rte_mempool& pool, Idle mode) {
    IdleSources sources{port.receive_fds(0), port.receive_fds(0).empty()};
    sources.fds.push_back(tap.fd());
    auto idle = IdleWait::make(mode, sources);
    if (!idle) return complain(idle.error());
    std::printf("ready driver=%s mac=%s room=%u fds=%zu\n",
                port.driver() == PortDriver::af_xdp ? "af_xdp" : "af_packet", port.mac().to_string().c_str(),
                rte_pktmbuf_data_room_size(&pool), port.receive_fds(0).size());
    std::fflush(stdout);
    Counts counts;
    while (!stop.load(std::memory_order_relaxed)) {
        const unsigned work = port_to_kernel(port, tap, counts) + kernel_to_port(port, tap, pool, counts);
        const auto nothing = [] {};
        if ((*idle)->due(work)) (*idle)->sleep([] { return false; }, nothing, nothing);
    }
    std::printf("done to_kernel=%llu from_kernel=%llu dropped=%llu sleeps=%llu in_use=%u\n",
                static_cast<unsigned long long>(counts.to_kernel), static_cast<unsigned long long>(counts.from_kernel),
                static_cast<unsigned long long>(counts.dropped), static_cast<unsigned long long>((*idle)->sleeps()),
                rte_mempool_in_use_count(&pool));
    return 0;
}

int open_and_run(const DataplaneConfig& config) {
    auto pool = make_packet_pool(packet_pool_shape(config));
    if (!pool) return complain(pool.error());
    auto port = Port::open(PortId(0), config.ports[0], **pool);
    if (!port) return complain(port.error());
    auto tap = HostTap::open({config.ports[0].host_interface, port->mac(), port->mtu()});
    if (!tap) return complain(tap.error());
    return run(*port, *tap, **pool, config.workers[0].idle);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) return 2;
    std::signal(SIGTERM, [](int) { stop.store(true); });
    set_log_level(std::getenv("HOST_TWIN_DEBUG") != nullptr ? LogLevel::debug : LogLevel::warning);
    set_log_sink([](LogLevel, std::string_view area, std::string_view text) {
        std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(area.size()), area.data(), static_cast<int>(text.size()),
                     text.data());
    });
    DataplaneConfig config;
    config.file_prefix = "host-twin-" + std::string(argv[2]);
    PortConfig port;
    port.name = argv[3];
    port.driver = std::string_view(argv[1]) == "af_xdp" ? PortDriver::af_xdp : PortDriver::af_packet;
    port.device = argv[2];
    port.host_interface = argv[3];
    port.mtu = static_cast<std::uint16_t>(std::atoi(argv[4]));
    config.ports.push_back(port);
    config.workers.push_back({{}, std::string_view(argv[5]) == "poll" ? Idle::poll : Idle::adaptive});
    if (auto started = start_eal(config); !started) return complain(started.error());
    const int code = open_and_run(config);
    stop_eal();
    return code;
}
