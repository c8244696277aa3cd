// SPDX-License-Identifier: Apache-2.0
#include "dataplane/port_device.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>

namespace sluice::dataplane {
namespace {

constexpr int kDomainPacket = 17;  // AF_PACKET
constexpr int kDomainXdp = 44;     // AF_XDP
constexpr unsigned kPage = 4096;
constexpr unsigned kSmallestFrame = 2048;
constexpr unsigned kFrameUnit = 128;

bool is_packet_socket(int fd) {
    int domain = 0;
    socklen_t size = sizeof domain;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return false;
    return domain == kDomainPacket || domain == kDomainXdp;
}

// The driver walks the ring as if it had no gaps, so a block, a number of whole pages, must be filled by its frames.
std::string packet_ring(std::uint16_t mtu) {
    const unsigned frame = packet_ring_frame(mtu);
    const bool half_page = frame == kSmallestFrame;
    const unsigned block = half_page ? kPage : frame * (kPage / kFrameUnit);
    return ",framesz=" + std::to_string(frame) + ",blocksz=" + std::to_string(block) +
           ",framecnt=" + (half_page ? "2048" : "1024");
}

}  // namespace

unsigned packet_ring_frame(std::uint16_t mtu) {
    constexpr unsigned kHeaders = 128;  // tpacket2_hdr, sockaddr_ll, Ethernet, VLAN, alignment: 98 at most
    return std::max(kSmallestFrame, (mtu + kHeaders + kFrameUnit - 1) / kFrameUnit * kFrameUnit);
}

DeviceString device_string(PortDriver driver, const PortConfig& config, PortId id) {
    const std::string index = std::to_string(id.value);
    const std::string queues = std::to_string(config.queues);
    switch (driver) {
        case PortDriver::af_xdp:
            return {"net_af_xdp" + index, "iface=" + config.device + ",force_copy=1,queue_count=" + queues};
        case PortDriver::af_packet:
            return {"net_af_packet" + index, "iface=" + config.device + ",qpairs=" + queues + packet_ring(config.mtu)};
        case PortDriver::pci:
            return {config.device, ""};
        case PortDriver::vdev:
            break;
    }
    const std::size_t comma = config.device.find(',');
    if (comma == std::string::npos) return {config.device, ""};
    return {config.device.substr(0, comma), config.device.substr(comma + 1)};
}

std::vector<int> packet_sockets() {
    std::vector<int> sockets;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
        const std::string name = entry.path().filename().string();
        int fd = -1;
        std::from_chars(name.data(), name.data() + name.size(), fd);
        if (fd >= 0 && is_packet_socket(fd)) sockets.push_back(fd);
    }
    std::sort(sockets.begin(), sockets.end());
    return sockets;
}

std::vector<int> added(const std::vector<int>& before, const std::vector<int>& now) {
    std::vector<int> fresh;
    std::set_difference(now.begin(), now.end(), before.begin(), before.end(), std::back_inserter(fresh));
    return fresh;
}

}  // namespace sluice::dataplane
