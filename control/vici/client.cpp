// SPDX-License-Identifier: Apache-2.0
#include "control/vici/client.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace sluice::control::vici {
namespace {

Error unexpected(PacketType type) {
    return fail(ErrorCode::invalid, "the server answered with packet type " +
                                        std::to_string(static_cast<unsigned>(type)) + ", which is out of turn");
}

}  // namespace

Result<Client> Client::connect(const std::string& uri) {
    const auto parsed = Uri::parse(uri);
    if (!parsed) return parsed.error();
    auto fd = connect_to(*parsed);
    if (!fd) return fd.error();
    return Client(std::move(*fd));
}

Result<void> Client::send(const Packet& packet) {
    const auto bytes = encode_packet(packet);
    if (!bytes) return bytes.error();
    Bytes rest = *bytes;
    while (!rest.empty()) {
        const ssize_t n = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(ErrorCode::io, std::string("sending to the server: ") + std::strerror(errno));
        rest = rest.subspan(static_cast<std::size_t>(n));
    }
    return {};
}

Result<Packet> Client::receive() {
    while (true) {
        auto bytes = input_.next();
        if (!bytes) return bytes.error();
        if (*bytes) return decode_packet(**bytes);
        std::array<Byte, 16384> buffer;
        const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(ErrorCode::io, std::string("reading from the server: ") + std::strerror(errno));
        if (n == 0) return fail(ErrorCode::io, "the server closed the connection");
        input_.feed(Bytes(buffer).first(static_cast<std::size_t>(n)));
    }
}

Result<Packet> Client::answer(const EventSink& sink) {
    while (true) {
        auto packet = receive();
        if (!packet || packet->type != PacketType::event) return packet;
        if (sink) sink(packet->message);
    }
}

Result<void> Client::change_event(PacketType type, const std::string& event, const EventSink& sink) {
    if (auto sent = send({type, event, {}}); !sent) return sent;
    const auto packet = answer(sink);
    if (!packet) return packet.error();
    if (packet->type == PacketType::event_confirm) return {};
    if (packet->type != PacketType::event_unknown) return unexpected(packet->type);
    return fail(ErrorCode::unsupported, "the server has no event \"" + event + "\"");
}

Result<Message> Client::call(const std::string& command, const Message& request, const std::string& event,
                             const EventSink& sink) {
    if (!event.empty()) {
        if (auto done = change_event(PacketType::event_register, event, {}); !done) return done.error();
    }
    if (auto sent = send({PacketType::cmd_request, command, request}); !sent) return sent.error();
    auto packet = answer(sink);
    if (!packet) return packet.error();
    if (packet->type == PacketType::cmd_unknown) {
        return fail(ErrorCode::unsupported, "the server has no command \"" + command + "\"");
    }
    if (packet->type != PacketType::cmd_response) return unexpected(packet->type);
    if (!event.empty()) {
        if (auto done = change_event(PacketType::event_unregister, event, sink); !done) return done.error();
    }
    return std::move(packet->message);
}

}  // namespace sluice::control::vici
