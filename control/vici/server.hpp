// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "control/daemon/reactor.hpp"
#include "control/vici/commands.hpp"
#include "control/vici/session.hpp"
#include "control/vici/socket.hpp"

namespace sluice::control::vici {

// Listens for VICI clients and serves each with a ServerSession, on the reactor's thread and without blocking. The
// destructor closes all clients and removes the socket file. Reactor and Commands outlive it.
class Server {
  public:
    static constexpr std::size_t kMaxClients = 64;  // more are closed at once

    static Result<std::unique_ptr<Server>> listen(const std::string& uri, Reactor& reactor, Commands& commands);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Passes what the engine tells to the clients whose command is about it.
    void tell(const ike::Notice& notice);
    std::size_t clients() const { return clients_.size(); }

  private:
    using ClientId = std::uint64_t;
    struct Client {
        Fd fd;
        std::unique_ptr<ServerSession> session;
        bool pump_posted = false;
    };
    Server(Uri uri, Fd fd, Reactor& reactor, Commands& commands);
    void accept_all();
    void add_client(Fd fd);
    void on_events(ClientId id, Reactor::Events events);
    void post_pump(ClientId id);
    void pump(ClientId id);
    bool read_some(Client& client);
    bool write_some(Client& client);
    void watch(ClientId id);
    void drop(ClientId id, const std::string& why);

    Uri uri_;
    Fd listener_;
    Reactor& reactor_;
    Commands& commands_;
    std::map<ClientId, Client> clients_;
    ClientId next_client_ = 1;
    std::shared_ptr<const int> alive_ = std::make_shared<const int>(0);  // timers that outlive the server see it gone
};

}  // namespace sluice::control::vici
