// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "control/daemon/reactor.hpp"
#include "ike/engine.hpp"

namespace sluice::control {

// The kernel's UDP sockets for IKE, IPv4 and IPv6, on the IKE port and the NAT-traversal port. The workers leave IKE to
// the kernel behind the host interface, so these are the same in DPDK mode and in kernel mode.
class IkeSockets {
  public:
    struct Ports {
        std::uint16_t ike = 500;
        std::uint16_t nat = 4500;
    };
    struct Counters {
        std::uint64_t received = 0;
        std::uint64_t sent = 0;
        std::uint64_t send_failed = 0;  // retransmission makes up for it
        std::uint64_t not_ike = 0;      // ESP or a keepalive that reached the kernel, or too short to be IKE
    };
    using Receive = std::function<void(const ike::Datagram&)>;

    // Opens all four; where the machine has no IPv6, the two for IPv4 alone. receive runs on the reactor's thread; the
    // bytes it is given live until it returns.
    static Result<std::unique_ptr<IkeSockets>> open(Reactor& reactor, const Ports& ports, Receive receive);
    ~IkeSockets();
    IkeSockets(const IkeSockets&) = delete;
    IkeSockets& operator=(const IkeSockets&) = delete;

    // From exactly this local address and port, with the non-ESP marker in front where it is asked for (RFC 3948 2.2).
    // Never waits: what the socket does not take is counted.
    void send(const ike::Send& message);
    const Counters& counters() const { return counters_; }

  private:
    struct Socket {
        int fd = -1;
        std::uint16_t port = 0;
        net::Family family = net::Family::none;
    };
    IkeSockets(Reactor& reactor, const Ports& ports, Receive receive)
        : reactor_(reactor), ports_(ports), receive_(std::move(receive)) {}
    Result<void> add(net::Family family, std::uint16_t port);
    void drain(const Socket& socket);
    void deliver(const net::Endpoint& local, const net::Endpoint& remote, Bytes bytes);

    Reactor& reactor_;
    Ports ports_;
    Receive receive_;
    std::vector<Socket> sockets_;
    Counters counters_;
    std::array<Byte, 65536> buffer_{};
};

}  // namespace sluice::control
