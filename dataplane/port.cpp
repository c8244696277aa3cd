// SPDX-License-Identifier: Apache-2.0
#include "dataplane/port.hpp"

#include <linux/if_packet.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "dataplane/eal.hpp"
#include "dataplane/port_device.hpp"
#include "lib/base/log.hpp"

namespace sluice::dataplane {

struct Port::State {
    PortId id;
    std::string name;
    PortDriver driver = PortDriver::vdev;
    std::uint16_t ethdev = RTE_MAX_ETHPORTS;
    std::string bus;
    std::string device;  // DPDK's name of it
    net::MacAddress mac;
    std::uint16_t mtu = 0;
    std::uint16_t queues = 0;
    bool started = false;
    std::vector<std::vector<int>> fds;  // by queue

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        if (started) rte_eth_promiscuous_disable(ethdev);
        if (started) rte_eth_dev_stop(ethdev);
        if (ethdev != RTE_MAX_ETHPORTS) rte_eth_dev_close(ethdev);
        if (!device.empty()) rte_eal_hotplug_remove(bus.c_str(), device.c_str());
        (void)take_eal_errors();  // some drivers complain about being gone already
    }
};

namespace {

constexpr std::uint16_t kDescriptors = 2048;  // wanted per queue; a driver's limits round it

Error failed(const std::string& port, const std::string& step, int code) {
    const std::string said = take_eal_errors();
    std::string text = "port " + port + ": " + step + ": " + rte_strerror(std::abs(code));
    return fail(ErrorCode::io, said.empty() ? text : text + " (" + said + ")");
}

Result<void> plug(const DeviceString& device, const std::string& bus, const std::string& port) {
    (void)take_eal_errors();
    if (bus == "pci") return {};  // allow-listed and probed when EAL started
    const int code = rte_eal_hotplug_add(bus.c_str(), device.name.c_str(), device.arguments.c_str());
    if (code != 0) return failed(port, "device " + device.name, code);
    return {};
}

// net_af_packet claims 1,518 bytes to be its largest frame, but carries what its ring's frames hold (device_string()).
constexpr std::uint32_t kPacketDriverMtu = 1500;

// What a device with several queues spreads packets by, as far as it can: the flow, and of ESP the SPI.
constexpr std::uint64_t kSpreadBy = RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_ESP;

rte_eth_conf device_configuration(const rte_eth_dev_info& info, PortDriver driver, const PortConfig& config) {
    rte_eth_conf conf{};
    conf.rxmode.mtu = config.mtu;
    if (driver == PortDriver::af_packet) conf.rxmode.mtu = std::min(conf.rxmode.mtu, kPacketDriverMtu);
    const bool spread = config.queues > 1 && info.flow_type_rss_offloads != 0;
    conf.rxmode.mq_mode = spread ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE;
    if (spread) conf.rx_adv_conf.rss_conf.rss_hf = kSpreadBy & info.flow_type_rss_offloads;
    conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    return conf;
}

// AF_XDP opens a socket as each receive queue is set up, AF_PACKET all of its sockets when it is probed, in the order
// of the queues. Where their number does not fit, every queue waits for every socket.
void share_out(std::vector<std::vector<int>>& by_queue, const std::vector<int>& sockets) {
    for (std::size_t i = 0; i < by_queue.size(); ++i)
        by_queue[i] = sockets.size() == by_queue.size() ? std::vector<int>{sockets[i]} : sockets;
}

// A packet socket also sees what others send through the interface: none of a gateway's business.
void ignore_outgoing(const std::vector<int>& sockets) {
    const int on = 1;
    for (const int fd : sockets) (void)::setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
}

Result<void> set_up_queues(std::uint16_t ethdev, const PortConfig& config, rte_mempool& pool) {
    std::uint16_t rx = kDescriptors;
    std::uint16_t tx = kDescriptors;
    int code = rte_eth_dev_adjust_nb_rx_tx_desc(ethdev, &rx, &tx);
    if (code != 0) return failed(config.name, "descriptors", code);
    const auto socket = static_cast<unsigned>(SOCKET_ID_ANY);
    for (std::uint16_t queue = 0; queue < config.queues; ++queue) {
        code = rte_eth_rx_queue_setup(ethdev, queue, rx, socket, nullptr, &pool);
        if (code != 0) return failed(config.name, "receive queue " + std::to_string(queue), code);
        code = rte_eth_tx_queue_setup(ethdev, queue, tx, socket, nullptr);
        if (code != 0) return failed(config.name, "transmit queue " + std::to_string(queue), code);
    }
    return {};
}

// The cluster's MAC is a multicast address, so all multicast is wanted; a driver that cannot, takes everything.
void receive_multicast(std::uint16_t ethdev, const std::string& port) {
    if (rte_eth_allmulticast_enable(ethdev) == 0 || rte_eth_promiscuous_enable(ethdev) == 0) return;
    log_info("net", "port " + port + ": the driver has no switch for multicast");
}

bool has_interface(PortDriver driver) { return driver == PortDriver::af_xdp || driver == PortDriver::af_packet; }

Result<void> set_interface_mtu(const PortConfig& config) {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return failed(config.name, "socket", errno);
    ifreq request{};
    config.device.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_mtu = config.mtu;
    const int code = ::ioctl(socket, SIOCSIFMTU, &request) == 0 ? 0 : errno;
    ::close(socket);
    if (code != 0) return failed(config.name, "MTU " + std::to_string(config.mtu), code);
    return {};
}

Result<void> set_mtu(std::uint16_t ethdev, PortDriver driver, const PortConfig& config) {
    if (has_interface(driver)) return set_interface_mtu(config);
    const int code = rte_eth_dev_set_mtu(ethdev, config.mtu);
    if (code != 0 && code != -ENOTSUP) return failed(config.name, "MTU " + std::to_string(config.mtu), code);
    return {};
}

}  // namespace

// 1. plug the device in; 2. configure it; 3. queues; 4. MTU, multicast; 5. start; 6. what to poll.
Result<Port> Port::open_as(PortDriver driver, PortId id, const PortConfig& config, rte_mempool& pool) {
    auto state = std::make_unique<State>();
    state->id = id;
    state->name = config.name;
    state->driver = driver;
    state->bus = driver == PortDriver::pci ? "pci" : "vdev";
    state->mtu = config.mtu;
    state->queues = config.queues;
    state->fds.resize(config.queues);
    const DeviceString device = device_string(driver, config, id);
    const std::vector<int> before = packet_sockets();
    if (auto plugged = plug(device, state->bus, config.name); !plugged) return plugged.error();
    state->device = device.name;
    int code = rte_eth_dev_get_port_by_name(device.name.c_str(), &state->ethdev);
    if (code != 0) {
        state->ethdev = RTE_MAX_ETHPORTS;
        return failed(config.name, "no DPDK port " + device.name, code);
    }
    const std::uint16_t ethdev = state->ethdev;
    rte_eth_dev_info info{};
    code = rte_eth_dev_info_get(ethdev, &info);
    if (code != 0) return failed(config.name, "information", code);
    const rte_eth_conf conf = device_configuration(info, driver, config);
    code = rte_eth_dev_configure(ethdev, config.queues, config.queues, &conf);
    if (code != 0) return failed(config.name, "configuration (queues, MTU)", code);
    if (auto queues = set_up_queues(ethdev, config, pool); !queues) return queues.error();
    if (auto set = set_mtu(ethdev, driver, config); !set) return set.error();
    receive_multicast(ethdev, config.name);
    code = rte_eth_dev_start(ethdev);
    if (code != 0) return failed(config.name, "start", code);
    state->started = true;
    rte_ether_addr mac{};
    rte_eth_macaddr_get(ethdev, &mac);
    std::copy(std::begin(mac.addr_bytes), std::end(mac.addr_bytes), state->mac.bytes.begin());
    const std::vector<int> sockets = added(before, packet_sockets());
    if (has_interface(driver)) share_out(state->fds, sockets);
    if (driver == PortDriver::af_packet) ignore_outgoing(sockets);
    (void)take_eal_errors();
    return Port(std::move(state));
}

Result<Port> Port::open(PortId id, const PortConfig& config, rte_mempool& pool) {
    if (config.queues == 0) return fail(ErrorCode::invalid, "port " + config.name + ": it needs a queue at least");
    if (has_interface(config.driver) && if_nametoindex(config.device.c_str()) == 0)
        return fail(ErrorCode::not_found, "port " + config.name + ": there is no interface " + config.device);
    auto port = open_as(config.driver, id, config, pool);
    if (port.ok() || config.driver != PortDriver::af_xdp) return port;
    log_warning("net", port.error().text + "; falling back to AF_PACKET");
    return open_as(PortDriver::af_packet, id, config, pool);
}

Port::Port(std::unique_ptr<State> state) : state_(std::move(state)) {}
Port::Port(Port&&) noexcept = default;
Port& Port::operator=(Port&&) noexcept = default;
Port::~Port() = default;

PortId Port::id() const { return state_->id; }
std::uint16_t Port::ethdev() const { return state_->ethdev; }
const std::string& Port::name() const { return state_->name; }
PortDriver Port::driver() const { return state_->driver; }
const net::MacAddress& Port::mac() const { return state_->mac; }
std::uint16_t Port::mtu() const { return state_->mtu; }
std::uint16_t Port::queues() const { return state_->queues; }
const std::vector<int>& Port::receive_fds(std::uint16_t queue) const { return state_->fds.at(queue); }

}  // namespace sluice::dataplane
