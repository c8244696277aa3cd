// SPDX-License-Identifier: Apache-2.0
#include "control/host/link_setup.hpp"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "control/host/route_socket.hpp"
#include "lib/base/log.hpp"

namespace sluice::control {
namespace {

Error failed(const std::string& device, const std::string& step, int code) {
    return fail(ErrorCode::io, "interface " + device + ": " + step + ": " + std::strerror(code));
}

ifreq request_for(const std::string& device) {
    ifreq request{};
    device.copy(request.ifr_name, IFNAMSIZ - 1);
    return request;
}

Result<void> disable_ipv6(const std::string& device) {
    const std::string path = "/proc/sys/net/ipv6/conf/" + device + "/disable_ipv6";
    const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return {};
    const bool written = fd >= 0 && ::write(fd, "1", 1) == 1;
    const int code = errno;
    if (fd >= 0) ::close(fd);
    if (!written) return failed(device, "disable_ipv6", code);
    return {};
}

void offload_off(int socket, const std::string& device, std::uint32_t command) {
    ethtool_value value{command, 0};
    ifreq request = request_for(device);
    request.ifr_data = reinterpret_cast<char*>(&value);
    if (::ioctl(socket, SIOCETHTOOL, &request) != 0)
        log_debug("net",
                  "interface " + device + ": ethtool command " + std::to_string(command) + ": " + std::strerror(errno));
}

// Segmentation first: it depends on the checksum offload.
constexpr std::array<std::uint32_t, 6> kOffloads{ETHTOOL_STSO,    ETHTOOL_SGSO,    ETHTOOL_SGRO,
                                                 ETHTOOL_STXCSUM, ETHTOOL_SRXCSUM, ETHTOOL_SSG};

Result<void> set_flags(int socket, const std::string& device) {
    ifreq request = request_for(device);
    if (::ioctl(socket, SIOCGIFFLAGS, &request) != 0) return failed(device, "flags", errno);
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP | IFF_NOARP);
    if (::ioctl(socket, SIOCSIFFLAGS, &request) != 0) return failed(device, "ARP off, up", errno);
    return {};
}

Result<void> flush_addresses(RouteSocket& socket, const std::string& device, int index) {
    std::vector<AddressMessage> found;
    const auto dumped =
        socket.dump(dump_request(DumpKind::addresses, socket.next_sequence()), [&](const RouteNetlink& message) {
            const auto* address = std::get_if<AddressMessage>(&message);
            if (address != nullptr && address->interface == index) found.push_back(*address);
        });
    if (!dumped) return dumped;
    for (const AddressMessage& address : found) {
        const auto code = socket.request(remove_address_request(address, socket.next_sequence()));
        if (!code) return code.error();
        // A secondary address goes with its primary.
        if (*code != 0 && *code != EADDRNOTAVAIL)
            return failed(device, "address " + address.address.to_string(), *code);
    }
    return {};
}

}  // namespace

Result<void> prepare_link(const std::string& device) {
    const int index = static_cast<int>(if_nametoindex(device.c_str()));
    if (index == 0) return fail(ErrorCode::not_found, "there is no interface " + device);
    if (auto done = disable_ipv6(device); !done) return done;
    auto netlink = RouteSocket::open(0);
    if (!netlink) return netlink.error();
    if (auto done = flush_addresses(*netlink, device, index); !done) return done;
    const auto detached = netlink->request(detach_xdp_request(index, netlink->next_sequence()));
    if (!detached) return detached.error();
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return failed(device, "socket", errno);
    for (const std::uint32_t command : kOffloads) offload_off(socket, device, command);
    auto done = set_flags(socket, device);
    ::close(socket);
    return done;
}

}  // namespace sluice::control
