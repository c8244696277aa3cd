// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "control/host/route_messages.hpp"
#include "lib/base/result.hpp"

namespace sluice::control {

// An rtnetlink socket, non-blocking. What is asked of the kernel here is answered within the call that sends it, so
// request() and dump() do not wait for anybody else.
class RouteSocket {
  public:
    // groups: RTMGRP_* bits to follow; 0 for a socket that only asks.
    static Result<RouteSocket> open(std::uint32_t groups);
    RouteSocket(RouteSocket&& other) noexcept;
    RouteSocket& operator=(RouteSocket&& other) noexcept;
    ~RouteSocket();

    int fd() const { return fd_; }
    std::uint32_t port_id() const { return port_id_; }
    std::uint32_t next_sequence() { return ++sequence_; }

    Result<void> send(Bytes message);
    // Sends a message made with NLM_F_ACK and reads the kernel's answer: its errno, 0 for success. io where the socket
    // fails.
    Result<int> request(Bytes message);
    // Sends a dump request and visits the answers; for link preparation and tests, not while the mirror runs.
    Result<void> dump(Bytes message, const std::function<void(const RouteNetlink&)>& visit);

    enum class Received { datagram, nothing, overrun };
    // One datagram, if any waits. overrun (ENOBUFS): messages were lost, start over.
    Received receive(const std::function<void(const MessageContext&, const RouteNetlink&)>& visit);

  private:
    RouteSocket(int fd, std::uint32_t port_id) : fd_(fd), port_id_(port_id) {}
    bool wait_readable() const;
    int fd_ = -1;
    std::uint32_t port_id_ = 0;
    std::uint32_t sequence_ = 0;
};

}  // namespace sluice::control
