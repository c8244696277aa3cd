// SPDX-License-Identifier: Apache-2.0
#include "control/vici/server.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "lib/base/log.hpp"

namespace sluice::control::vici {

Result<std::unique_ptr<Server>> Server::listen(const std::string& uri, Reactor& reactor, Commands& commands) {
    auto parsed = Uri::parse(uri);
    if (!parsed) return parsed.error();
    auto fd = listen_on(*parsed);
    if (!fd) return fd.error();
    return std::unique_ptr<Server>(new Server(std::move(*parsed), std::move(*fd), reactor, commands));
}

Server::Server(Uri uri, Fd fd, Reactor& reactor, Commands& commands)
    : uri_(std::move(uri)), listener_(std::move(fd)), reactor_(reactor), commands_(commands) {
    reactor_.watch(listener_.get(), EPOLLIN, [this](Reactor::Events) { accept_all(); });
}

Server::~Server() {
    reactor_.unwatch(listener_.get());
    for (const auto& [id, client] : clients_) reactor_.unwatch(client.fd.get());
    if (uri_.scheme == Uri::Scheme::unix_socket) ::unlink(uri_.path.c_str());
}

void Server::accept_all() {
    while (true) {
        Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd.valid()) return;
        if (clients_.size() < kMaxClients) {
            add_client(std::move(fd));
        } else {
            log_warning("vici", "client refused: " + std::to_string(kMaxClients) + " are connected already");
        }
    }
}

void Server::add_client(Fd fd) {
    const ClientId id = next_client_++;
    Client& client = clients_[id];
    client.fd = std::move(fd);
    client.session = std::make_unique<ServerSession>(commands_, [this, id] { post_pump(id); });
    watch(id);
}

void Server::tell(const ike::Notice& notice) {
    for (auto& [id, client] : clients_) client.session->tell(notice);
}

// Output may come from deep inside a command's completion: it is sent from the loop, not from there.
void Server::post_pump(ClientId id) {
    const auto found = clients_.find(id);
    if (found == clients_.end() || found->second.pump_posted) return;
    found->second.pump_posted = true;
    reactor_.post_after(Duration{}, [this, id, alive = std::weak_ptr<const int>(alive_)] {
        if (alive.expired()) return;
        const auto client = clients_.find(id);
        if (client == clients_.end()) return;
        client->second.pump_posted = false;
        pump(id);
    });
}

void Server::on_events(ClientId id, Reactor::Events events) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    Client& client = found->second;
    const bool gone = (events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR)) != 0;
    if (client.session->wants_input()) {
        // What a client sent before it closed is still done; then reading tells that it is gone.
        if ((gone || (events & EPOLLIN) != 0) && !read_some(client)) return drop(id, {});
    } else if (gone) {
        return drop(id, {});
    }
    pump(id);
}

// Sends what there is and goes on with what the session held back meanwhile.
void Server::pump(ClientId id) {
    Client& client = clients_.at(id);
    const auto taken = client.session->receive({});
    if (!write_some(client)) return drop(id, {});
    if (!taken) return drop(id, taken.error().text);
    watch(id);
}

// False where the client is gone or does not speak VICI.
bool Server::read_some(Client& client) {
    std::array<Byte, 16384> buffer;
    const ssize_t n = ::recv(client.fd.get(), buffer.data(), buffer.size(), 0);
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (n == 0) return false;
    const auto taken = client.session->receive(Bytes(buffer).first(static_cast<std::size_t>(n)));
    if (!taken) log_warning("vici", "client closed: " + taken.error().text);
    return taken.ok();
}

bool Server::write_some(Client& client) {
    while (!client.session->output().empty()) {
        const ByteVec& output = client.session->output();
        const ssize_t n = ::send(client.fd.get(), output.data(), output.size(), MSG_NOSIGNAL);
        if (n < 0) return errno == EAGAIN || errno == EINTR;
        client.session->sent(static_cast<std::size_t>(n));
    }
    return true;
}

void Server::watch(ClientId id) {
    const Client& client = clients_.at(id);
    Reactor::Events events = EPOLLRDHUP;
    if (client.session->wants_input()) events |= EPOLLIN;
    if (!client.session->output().empty()) events |= EPOLLOUT;
    reactor_.watch(client.fd.get(), events, [this, id](Reactor::Events ready) { on_events(id, ready); });
}

void Server::drop(ClientId id, const std::string& why) {
    if (!why.empty()) log_warning("vici", "client closed: " + why);
    const auto found = clients_.find(id);
    reactor_.unwatch(found->second.fd.get());
    clients_.erase(found);
}

}  // namespace sluice::control::vici
