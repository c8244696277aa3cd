// SPDX-License-Identifier: Apache-2.0

// The half of IkeDriver that serves people: initiate and terminate.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "control/daemon/ike_driver.hpp"

namespace sluice::control {
namespace {

bool fits(const std::string& wanted, const std::string& name) { return wanted.empty() || wanted == name; }

bool is_host(const net::Prefix& prefix) { return prefix.length == prefix.address.size() * 8; }

net::IpAddress first_host(const std::vector<net::Prefix>& prefixes) {
    const auto it = std::find_if(prefixes.begin(), prefixes.end(), is_host);
    return it == prefixes.end() ? net::IpAddress{} : it->address;
}

}  // namespace

net::IpAddress source_address_towards(const net::IpAddress& remote) {
    const int domain = remote.is_v4() ? AF_INET : AF_INET6;
    const int fd = ::socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return {};
    sockaddr_storage to{};
    socklen_t size = 0;
    if (remote.is_v4()) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(to);
        v4.sin_family = AF_INET;
        v4.sin_port = htons(500);
        std::memcpy(&v4.sin_addr, remote.bytes().data(), 4);
        size = sizeof v4;
    } else {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(to);
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(500);
        std::memcpy(&v6.sin6_addr, remote.bytes().data(), 16);
        size = sizeof v6;
    }
    net::IpAddress source;
    sockaddr_storage own{};
    socklen_t own_size = sizeof own;
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), size) == 0 &&
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) == 0) {
        std::array<Byte, 16> bytes{};
        if (own.ss_family == AF_INET) {
            std::memcpy(bytes.data(), &reinterpret_cast<sockaddr_in&>(own).sin_addr, 4);
            source = net::IpAddress::v4(std::span<const Byte, 4>(bytes.data(), 4));
        } else {
            std::memcpy(bytes.data(), &reinterpret_cast<sockaddr_in6&>(own).sin6_addr, 16);
            source = net::IpAddress::v6(bytes);
        }
    }
    ::close(fd);
    return source;
}

net::IpAddress IkeDriver::source_towards(const ike::ConnectionConfig& connection) {
    if (first_host(connection.local_addrs)) return {};  // the engine takes it from the configuration
    const auto remote = first_host(connection.remote_addrs);
    return remote ? source_address_towards(remote) : net::IpAddress{};
}

const ike::ConnectionConfig* IkeDriver::find_connection(const ike::Engine::InitiateRequest& request) const {
    for (const auto& connection : connections_) {
        if (!fits(request.connection, connection.name)) continue;
        const bool has_child = std::any_of(connection.children.begin(), connection.children.end(),
                                           [&](const auto& child) { return child.name == request.child; });
        if (request.child.empty() || has_child) return &connection;
    }
    return nullptr;
}

// An acquire of a connection without a fixed local address: only the kernel's route knows where to speak from.
bool IkeDriver::acquire_from_route(const ipsec::Acquire& acquire) {
    for (const auto& connection : connections_) {
        for (const auto& child : connection.children) {
            if (child.policy != acquire.policy) continue;
            ike::Engine::InitiateRequest request;
            request.local = source_towards(connection);
            if (!request.local) return false;
            request.connection = connection.name;
            request.child = child.name;
            request.packet = acquire.packet;
            return initiate(std::move(request)).ok();
        }
    }
    return false;
}

Result<void> IkeDriver::initiate(ike::Engine::InitiateRequest request) {
    const auto* connection = find_connection(request);
    if (!request.local && connection != nullptr) request.local = source_towards(*connection);
    auto actions = engine_.initiate(request, parts_.reactor.now());
    if (!actions) return actions.error();
    carry_out(std::move(*actions));
    return {};
}

Result<void> IkeDriver::terminate(const ike::Engine::TerminateRequest& request) {
    auto actions = engine_.terminate(request, parts_.reactor.now());
    if (!actions) return actions.error();
    carry_out(std::move(*actions));
    return {};
}

}  // namespace sluice::control
