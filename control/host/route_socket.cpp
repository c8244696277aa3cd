// SPDX-License-Identifier: Apache-2.0
#include "control/host/route_socket.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace sluice::control {
namespace {

constexpr int kReceiveBuffer = 4 * 1024 * 1024;  // bytes; a burst of route changes must fit
constexpr std::size_t kDatagram = 64 * 1024;
constexpr int kAnswerMilliseconds = 2000;

Error failed(const char* step) {
    return fail(ErrorCode::io, std::string("rtnetlink: ") + step + ": " + std::strerror(errno));
}

}  // namespace

Result<RouteSocket> RouteSocket::open(std::uint32_t groups) {
    const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0) return failed("socket");
    RouteSocket socket(fd, 0);
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer) != 0)
        (void)::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBuffer, sizeof kReceiveBuffer);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = groups;
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return failed("bind");
    socklen_t size = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return failed("getsockname");
    socket.port_id_ = address.nl_pid;
    return socket;
}

RouteSocket::RouteSocket(RouteSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), port_id_(other.port_id_), sequence_(other.sequence_) {}

RouteSocket& RouteSocket::operator=(RouteSocket&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(port_id_, other.port_id_);
    std::swap(sequence_, other.sequence_);
    return *this;
}

RouteSocket::~RouteSocket() {
    if (fd_ >= 0) ::close(fd_);
}

Result<void> RouteSocket::send(Bytes message) {
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    const ssize_t sent =
        ::sendto(fd_, message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
    if (sent != static_cast<ssize_t>(message.size())) return failed("send");
    return {};
}

bool RouteSocket::wait_readable() const {
    pollfd polled{fd_, POLLIN, 0};
    return ::poll(&polled, 1, kAnswerMilliseconds) == 1;
}

Result<int> RouteSocket::request(Bytes message) {
    if (auto sent = send(message); !sent) return sent.error();
    std::optional<int> code;
    while (!code) {
        if (!wait_readable()) return fail(ErrorCode::io, "rtnetlink: no answer");
        receive([&](const MessageContext& context, const RouteNetlink& answer) {
            const auto* error = std::get_if<ErrorMessage>(&answer);
            if (error != nullptr && context.sequence == sequence_) code = error->code;
        });
    }
    return *code;
}

Result<void> RouteSocket::dump(Bytes message, const std::function<void(const RouteNetlink&)>& visit) {
    if (auto sent = send(message); !sent) return sent.error();
    bool done = false;
    int code = 0;
    while (!done) {
        if (!wait_readable()) return fail(ErrorCode::io, "rtnetlink: no answer");
        const Received got = receive([&](const MessageContext& context, const RouteNetlink& answer) {
            if (context.sequence != sequence_) return;
            const auto* error = std::get_if<ErrorMessage>(&answer);
            if (error != nullptr) code = error->code;
            done = done || error != nullptr || std::holds_alternative<DoneMessage>(answer);
            visit(answer);
        });
        if (got == Received::overrun) return fail(ErrorCode::io, "rtnetlink: answers were lost");
    }
    if (code != 0) return fail(ErrorCode::io, std::string("rtnetlink: ") + std::strerror(code));
    return {};
}

RouteSocket::Received RouteSocket::receive(
    const std::function<void(const MessageContext&, const RouteNetlink&)>& visit) {
    // Not thread_local: that would take its size from every thread's stack, and HTTP threads have 100 KiB in all.
    std::vector<Byte> buffer(kDatagram);
    sockaddr_nl from{};
    socklen_t size = sizeof from;
    const ssize_t got = ::recvfrom(fd_, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 0) return errno == ENOBUFS ? Received::overrun : Received::nothing;
    // Only the kernel is listened to (its netlink port is 0).
    if (from.nl_pid == 0) decode_datagram({buffer.data(), static_cast<std::size_t>(got)}, visit);
    return Received::datagram;
}

}  // namespace sluice::control
