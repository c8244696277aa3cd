// SPDX-License-Identifier: Apache-2.0
#include "dataplane/host_tap.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <rte_mbuf.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "lib/base/log.hpp"

namespace sluice::dataplane {
namespace {

constexpr std::size_t kEthernetHeader = 14;

ifreq request_for(const std::string& name) {
    ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    return request;
}

Error failed(const std::string& name, const char* step) {
    return fail(ErrorCode::io, "host interface " + name + ": " + step + ": " + std::strerror(errno));
}

bool is_interface_name(const std::string& name) {
    const auto bad = [](char c) { return c <= ' ' || c == '/' || c == ':' || c == '%' || c == 127; };
    return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
           std::none_of(name.begin(), name.end(), bad);
}

// The address, MTU and state of the interface, by any socket of the namespace.
Result<void> configure_link(int socket, const HostTapConfig& config) {
    ifreq request = request_for(config.name);
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    std::copy(config.mac.bytes.begin(), config.mac.bytes.end(), request.ifr_hwaddr.sa_data);
    if (::ioctl(socket, SIOCSIFHWADDR, &request) != 0) return failed(config.name, "MAC address");
    request = request_for(config.name);
    request.ifr_mtu = config.mtu;
    if (::ioctl(socket, SIOCSIFMTU, &request) != 0) return failed(config.name, "MTU");
    request = request_for(config.name);
    if (::ioctl(socket, SIOCGIFFLAGS, &request) != 0) return failed(config.name, "flags");
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    if (::ioctl(socket, SIOCSIFFLAGS, &request) != 0) return failed(config.name, "up");
    return {};
}

// Without duplicate address detection an address serves at once; with it the kernel could resolve no IPv6 neighbour in
// its first seconds, for want of a link-local source. A kernel without IPv6 has no such file.
void skip_duplicate_detection(const std::string& name) {
    std::ofstream("/proc/sys/net/ipv6/conf/" + name + "/accept_dad") << "0" << std::flush;
}

// rp_filter: the larger of conf.all and the interface's counts. 0 is no filter, 1 strict, 2 loose.
void relax_reverse_path_filter(const std::string& name) {
    const std::string base = "/proc/sys/net/ipv4/conf/";
    int all = 0;
    std::ifstream(base + "all/rp_filter") >> all;
    std::ofstream file(base + name + "/rp_filter");
    file << (all == 0 ? "0" : "2") << std::flush;
    if (!file) log_warning("net", "host interface " + name + ": rp_filter stays as it is");
}

}  // namespace

Result<HostTap> HostTap::open(const HostTapConfig& config) {
    if (!is_interface_name(config.name))
        return fail(ErrorCode::invalid, "host interface \"" + config.name + "\": not a name for an interface");
    if (if_nametoindex(config.name.c_str()) != 0)
        return fail(ErrorCode::conflict, "host interface " + config.name + ": an interface of that name exists");
    const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return failed(config.name, "/dev/net/tun");
    HostTap tap(fd, config.name, 0);  // closes on every way out
    ifreq request = request_for(config.name);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (::ioctl(fd, TUNSETIFF, &request) != 0) return failed(config.name, "TUNSETIFF");
    if (::ioctl(fd, TUNSETOFFLOAD, 0UL) != 0) return failed(config.name, "offloads");
    skip_duplicate_detection(config.name);  // before it is up
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return failed(config.name, "socket");
    const auto configured = configure_link(socket, config);
    ::close(socket);
    if (!configured) return configured.error();
    relax_reverse_path_filter(config.name);
    tap.index_ = static_cast<int>(if_nametoindex(config.name.c_str()));
    return tap;
}

HostTap::HostTap(HostTap&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      index_(other.index_),
      spare_(std::exchange(other.spare_, nullptr)),
      name_(std::move(other.name_)) {}

HostTap& HostTap::operator=(HostTap&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(index_, other.index_);
    std::swap(spare_, other.spare_);
    std::swap(name_, other.name_);
    return *this;
}

HostTap::~HostTap() {
    rte_pktmbuf_free(spare_);
    if (fd_ >= 0) ::close(fd_);
}

std::uint16_t HostTap::read_burst(rte_mempool& pool, std::span<rte_mbuf*> out) {
    std::uint16_t count = 0;
    while (count < out.size()) {
        if (spare_ == nullptr) spare_ = rte_pktmbuf_alloc(&pool);
        if (spare_ == nullptr) break;
        const ssize_t size = ::read(fd_, rte_pktmbuf_mtod(spare_, void*), rte_pktmbuf_tailroom(spare_));
        if (size <= 0) break;
        spare_->data_len = static_cast<std::uint16_t>(size);
        spare_->pkt_len = static_cast<std::uint32_t>(size);
        out[count++] = std::exchange(spare_, nullptr);
    }
    return count;
}

bool HostTap::write(const rte_mbuf& frame) {
    if (frame.pkt_len < kEthernetHeader || frame.nb_segs > kMaxSegments) return false;
    std::array<iovec, kMaxSegments> parts;
    unsigned count = 0;
    for (const rte_mbuf* segment = &frame; segment != nullptr; segment = segment->next)
        parts[count++] = {rte_pktmbuf_mtod(segment, void*), segment->data_len};
    return ::writev(fd_, parts.data(), static_cast<int>(count)) == static_cast<ssize_t>(frame.pkt_len);
}

}  // namespace sluice::dataplane
