// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "lib/net/address.hpp"

namespace sluice::control {

// The kernel's form of an endpoint, IPv4 or IPv6.
union SocketAddress {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
};

// Writes the endpoint and returns how many bytes of the union count. The address is set: IPv4, otherwise IPv6.
socklen_t fill(SocketAddress& out, const net::Endpoint& endpoint);

net::IpAddress address_v4(const in_addr& a);
net::IpAddress address_v6(const in6_addr& a);
// What fill() wrote, or the kernel.
net::Endpoint endpoint_of(const SocketAddress& address);

}  // namespace sluice::control
