// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/ike_sockets.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "control/daemon/socket_address.hpp"
#include "lib/base/log.hpp"

namespace sluice::control {
namespace {

constexpr std::size_t kIkeHeader = 28;
constexpr std::array<Byte, 4> kNonEspMarker{};
constexpr int kBurst = 64;  // datagrams taken before the loop turns to others

net::IpAddress destination_of(msghdr& message) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            in_pktinfo info{};
            std::memcpy(&info, CMSG_DATA(c), sizeof info);
            return address_v4(info.ipi_addr);
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            in6_pktinfo info{};
            std::memcpy(&info, CMSG_DATA(c), sizeof info);
            return address_v6(info.ipi6_addr);
        }
    }
    return {};
}

// Makes the datagram leave from this very address, whatever the route prefers.
void set_source(msghdr& message, const net::IpAddress& source) {
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    if (source.is_v4()) {
        in_pktinfo info{};
        std::memcpy(&info.ipi_spec_dst, source.bytes().data(), 4);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        std::memcpy(CMSG_DATA(c), &info, sizeof info);
        message.msg_controllen = CMSG_SPACE(sizeof info);
    } else {
        in6_pktinfo info{};
        std::memcpy(&info.ipi6_addr, source.bytes().data(), 16);
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        std::memcpy(CMSG_DATA(c), &info, sizeof info);
        message.msg_controllen = CMSG_SPACE(sizeof info);
    }
}

bool set_option(int fd, int level, int option, int value) {
    return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

bool set_options(int fd, net::Family family) {
    // IKE may be larger than the path: let the kernel fragment (RFC 7296 2).
    if (family == net::Family::v4) {
        return set_option(fd, IPPROTO_IP, IP_PKTINFO, 1) &&
               set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
    }
    return set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1) && set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) &&
           set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

}  // namespace

Result<std::unique_ptr<IkeSockets>> IkeSockets::open(Reactor& reactor, const Ports& ports, Receive receive) {
    std::unique_ptr<IkeSockets> sockets(new IkeSockets(reactor, ports, std::move(receive)));
    for (const auto family : {net::Family::v4, net::Family::v6}) {
        for (const auto port : {ports.ike, ports.nat}) {
            const auto added = sockets->add(family, port);
            if (added) continue;
            if (family == net::Family::v4) return added.error();
            log_warning("ike", added.error().text + "; IKE runs over IPv4 only");
        }
    }
    return sockets;
}

Result<void> IkeSockets::add(net::Family family, std::uint16_t port) {
    const int domain = family == net::Family::v4 ? AF_INET : AF_INET6;
    const int fd = ::socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const std::string what = "UDP port " + std::to_string(port) + (domain == AF_INET ? " for IPv4" : " for IPv6");
    if (fd < 0) return fail(ErrorCode::io, "no socket for " + what + ": " + std::strerror(errno));
    SocketAddress any{};
    const auto wildcard = domain == AF_INET ? net::IpAddress::v4(0U) : address_v6(in6addr_any);
    const socklen_t size = fill(any, {wildcard, port});
    if (!set_options(fd, family) || ::bind(fd, &any.any, size) != 0) {
        const Error error = fail(ErrorCode::io, "cannot use " + what + ": " + std::strerror(errno));
        ::close(fd);
        return error;
    }
    const Socket socket{fd, port, family};
    sockets_.push_back(socket);
    reactor_.watch(fd, EPOLLIN, [this, socket](Reactor::Events) { drain(socket); });
    return {};
}

IkeSockets::~IkeSockets() {
    for (const auto& socket : sockets_) {
        reactor_.unwatch(socket.fd);
        ::close(socket.fd);
    }
}

void IkeSockets::drain(const Socket& socket) {
    for (int i = 0; i < kBurst; ++i) {
        SocketAddress from{};
        alignas(cmsghdr) std::array<char, 256> control{};
        iovec part{buffer_.data(), buffer_.size()};
        msghdr message{};
        message.msg_name = &from;
        message.msg_namelen = sizeof from;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        const auto size = ::recvmsg(socket.fd, &message, 0);
        if (size < 0) return;  // EAGAIN, or an ICMP error that the next call is past
        const auto destination = destination_of(message);
        if (!destination) continue;
        deliver({destination, socket.port}, endpoint_of(from), Bytes(buffer_).first(static_cast<std::size_t>(size)));
    }
}

void IkeSockets::deliver(const net::Endpoint& local, const net::Endpoint& remote, Bytes bytes) {
    const bool marker = local.port == ports_.nat;
    if (marker) {
        if (bytes.size() < kNonEspMarker.size() || !equal(bytes.first(kNonEspMarker.size()), kNonEspMarker)) {
            ++counters_.not_ike;
            return;
        }
        bytes = bytes.subspan(kNonEspMarker.size());
    }
    if (bytes.size() < kIkeHeader) {
        ++counters_.not_ike;
        return;
    }
    ++counters_.received;
    receive_({.local = local, .remote = remote, .bytes = bytes, .marker = marker});
}

void IkeSockets::send(const ike::Send& message) {
    const auto family = message.remote.address.family();
    int fd = -1;
    for (const auto& socket : sockets_) {
        if (socket.family == family && socket.port == message.local.port) fd = socket.fd;
    }
    SocketAddress to{};
    alignas(cmsghdr) std::array<char, 64> control{};
    std::array<iovec, 2> parts{};
    parts[0] = {const_cast<Byte*>(kNonEspMarker.data()), message.marker ? kNonEspMarker.size() : 0};
    parts[1] = {const_cast<Byte*>(message.bytes.data()), message.bytes.size()};
    msghdr header{};
    header.msg_name = &to;
    header.msg_namelen = fill(to, message.remote);
    header.msg_iov = parts.data();
    header.msg_iovlen = parts.size();
    if (message.local.address) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        set_source(header, message.local.address);
    }
    if (fd >= 0 && ::sendmsg(fd, &header, MSG_DONTWAIT) >= 0) {
        ++counters_.sent;
        return;
    }
    ++counters_.send_failed;
    if (log_enabled(LogLevel::debug)) {
        log_debug("ike", "sending to " + message.remote.to_string() +
                             " failed: " + (fd < 0 ? std::string("no socket for that port") : std::strerror(errno)));
    }
}

}  // namespace sluice::control
