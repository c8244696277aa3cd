// SPDX-License-Identifier: Apache-2.0
#include "control/vici/socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace sluice::control::vici {
namespace {

constexpr std::string_view kUnix = "unix://";
constexpr std::string_view kTcp = "tcp://";

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Error refused(const std::string& what, int error) { return fail(ErrorCode::io, what + ": " + std::strerror(error)); }

bool is_loopback(const std::string& address) {
    in_addr v4{};
    if (::inet_pton(AF_INET, address.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    in6_addr v6{};
    return ::inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

Result<Uri> parse_tcp(std::string_view rest) {
    const auto bad = [&](const char* why) {
        return fail(ErrorCode::invalid, "\"tcp://" + std::string(rest) + "\" " + why);
    };
    const std::size_t colon = rest.rfind(':');
    if (colon == std::string_view::npos) return bad("has no port");
    std::string_view host = rest.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    Uri uri;
    uri.scheme = Uri::Scheme::tcp;
    uri.address = host == "localhost" ? "127.0.0.1" : std::string(host);
    const std::string_view digits = rest.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), uri.port);
    if (error != std::errc{} || end != digits.data() + digits.size() || uri.port == 0) return bad("has no port");
    if (!is_loopback(uri.address)) return bad("is not a loopback address");
    return uri;
}

SocketAddress socket_address(const Uri& uri) {
    SocketAddress out;
    if (uri.scheme == Uri::Scheme::unix_socket) {
        sockaddr_un un{};
        un.sun_family = AF_UNIX;
        std::memcpy(un.sun_path, uri.path.c_str(), uri.path.size() + 1);  // parse() keeps it shorter
        std::memcpy(&out.storage, &un, sizeof un);
        out.length = sizeof un;
        return out;
    }
    sockaddr_in v4{};
    if (::inet_pton(AF_INET, uri.address.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(uri.port);
        std::memcpy(&out.storage, &v4, sizeof v4);
        out.length = sizeof v4;
        return out;
    }
    sockaddr_in6 v6{};
    ::inet_pton(AF_INET6, uri.address.c_str(), &v6.sin6_addr);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(uri.port);
    std::memcpy(&out.storage, &v6, sizeof v6);
    out.length = sizeof v6;
    return out;
}

Result<Fd> open_socket(const SocketAddress& address, int flags) {
    Fd fd(::socket(address.get()->sa_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
    if (!fd.valid()) return refused("socket", errno);
    return fd;
}

// Removes what a dead daemon left behind, and nothing else.
Result<void> remove_stale(const Uri& uri) {
    struct stat status {};
    if (::lstat(uri.path.c_str(), &status) != 0) return {};
    if (!S_ISSOCK(status.st_mode)) return fail(ErrorCode::conflict, uri.path + " exists and is not a socket");
    if (connect_to(uri)) return fail(ErrorCode::conflict, uri.path + ": another daemon listens there");
    if (::unlink(uri.path.c_str()) != 0) return refused("removing the old socket " + uri.path, errno);
    return {};
}

}  // namespace

Result<Uri> Uri::parse(std::string_view text) {
    const auto bad = [&](const char* why) { return fail(ErrorCode::invalid, "\"" + std::string(text) + "\" " + why); };
    if (text.substr(0, kTcp.size()) == kTcp) return parse_tcp(text.substr(kTcp.size()));
    if (text.substr(0, kUnix.size()) != kUnix) return bad("is no unix:// or tcp:// URI");
    Uri uri;
    uri.path = text.substr(kUnix.size());
    if (uri.path.empty() || uri.path.front() != '/') return bad("has no absolute path");
    if (uri.path.size() >= sizeof(sockaddr_un::sun_path)) return bad("has a path of more than 107 bytes");
    if (uri.path.find('\0') != std::string::npos) return bad("has a NUL in its path");
    return uri;
}

std::string Uri::to_string() const {
    if (scheme == Scheme::unix_socket) return std::string(kUnix) + path;
    const bool v6 = address.find(':') != std::string::npos;
    return std::string(kTcp) + (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

Fd& Fd::operator=(Fd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = other.release();
    }
    return *this;
}

int Fd::release() { return std::exchange(fd_, -1); }

void Fd::reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

Result<Fd> listen_on(const Uri& uri) {
    const bool local = uri.scheme == Uri::Scheme::unix_socket;
    if (local) {
        if (auto removed = remove_stale(uri); !removed) return removed.error();
    }
    const SocketAddress address = socket_address(uri);
    auto fd = open_socket(address, SOCK_NONBLOCK);
    if (!fd) return fd.error();
    const int on = 1;
    if (!local) ::setsockopt(fd->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const mode_t mask = ::umask(0117);  // 0660 from the first moment on
    const int bound = ::bind(fd->get(), address.get(), address.length);
    const int error = errno;
    ::umask(mask);
    if (bound != 0) return refused("binding " + uri.to_string(), error);
    if (::listen(fd->get(), 16) != 0) return refused("listening on " + uri.to_string(), errno);
    return fd;
}

Result<Fd> connect_to(const Uri& uri) {
    const SocketAddress address = socket_address(uri);
    auto fd = open_socket(address, 0);
    if (!fd) return fd.error();
    if (::connect(fd->get(), address.get(), address.length) == 0) return fd;
    const int error = errno;
    const std::string name = uri.to_string();
    if (error == ENOENT) return fail(ErrorCode::not_found, name + ": no such socket; is sluiced running?");
    if (error == ECONNREFUSED) return fail(ErrorCode::not_found, name + ": nobody listens; is sluiced running?");
    if (error == EACCES || error == EPERM) {
        return fail(ErrorCode::io, name + ": permission denied; run as root or as a member of the socket's group");
    }
    return refused("connecting to " + name, error);
}

}  // namespace sluice::control::vici
