// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/vici/codec.hpp"
#include "control/vici/socket.hpp"

namespace sluice::control::vici {

// A VICI client that blocks, for command line tools and tests: sluicectl's end of the protocol.
class Client {
  public:
    static Result<Client> connect(const std::string& uri);

    using EventSink = std::function<void(const Message&)>;
    // Registers for event (empty: for none), sends the request, passes events to sink as they come and returns the
    // response. unsupported where the server does not know the command or event; io where the connection ends.
    Result<Message> call(const std::string& command, const Message& request, const std::string& event = {},
                         const EventSink& sink = {});

  private:
    explicit Client(Fd fd) : fd_(std::move(fd)) {}
    Result<void> send(const Packet& packet);
    Result<Packet> receive();
    Result<void> change_event(PacketType type, const std::string& event, const EventSink& sink);
    // The next packet that is no event; events go to sink.
    Result<Packet> answer(const EventSink& sink);

    Fd fd_;
    Deframer input_;
};

}  // namespace sluice::control::vici
