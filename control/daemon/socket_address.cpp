// SPDX-License-Identifier: Apache-2.0
#include "control/daemon/socket_address.hpp"

#include <array>
#include <cstring>

namespace sluice::control {

socklen_t fill(SocketAddress& out, const net::Endpoint& endpoint) {
    std::memset(&out, 0, sizeof out);
    const Bytes bytes = endpoint.address.bytes();
    if (endpoint.address.is_v4()) {
        out.v4.sin_family = AF_INET;
        out.v4.sin_port = htons(endpoint.port);
        std::memcpy(&out.v4.sin_addr, bytes.data(), bytes.size());
        return sizeof out.v4;
    }
    out.v6.sin6_family = AF_INET6;
    out.v6.sin6_port = htons(endpoint.port);
    std::memcpy(&out.v6.sin6_addr, bytes.data(), bytes.size());
    return sizeof out.v6;
}

net::IpAddress address_v4(const in_addr& a) {
    std::array<Byte, 4> bytes{};
    std::memcpy(bytes.data(), &a, bytes.size());
    return net::IpAddress::v4(bytes);
}

net::IpAddress address_v6(const in6_addr& a) {
    std::array<Byte, 16> bytes{};
    std::memcpy(bytes.data(), &a, bytes.size());
    return net::IpAddress::v6(bytes);
}

net::Endpoint endpoint_of(const SocketAddress& from) {
    if (from.any.sa_family == AF_INET) return {address_v4(from.v4.sin_addr), ntohs(from.v4.sin_port)};
    return {address_v6(from.v6.sin6_addr), ntohs(from.v6.sin6_port)};
}

}  // namespace sluice::control
