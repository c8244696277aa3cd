// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "control/vici/codec.hpp"
#include "control/vici/commands.hpp"

namespace sluice::control::vici {

// Called on the control thread when output() got something outside of receive(), from deep inside what ends a command:
// note it and return, do not call the session from it.
using OutputReady = std::function<void()>;

struct SessionState;

// One VICI client's connection: bytes in, bytes out. Sans-I/O. A client has one command at a time (the protocol has no
// sequence numbers): what it sends behind one that is under way waits, unread. Whoever destroys the session forgets
// the client; commands under way go on.
class ServerSession {
  public:
    ServerSession(Commands& commands, OutputReady output_ready);
    ~ServerSession();
    ServerSession(const ServerSession&) = delete;
    ServerSession& operator=(const ServerSession&) = delete;

    // An error ends the connection: the stream is not VICI.
    Result<void> receive(Bytes bytes);
    // What the engine tells, as a control-log event where the client's command under way is about that connection.
    void tell(const ike::Notice& notice);
    // Bytes for the client, in order. The caller takes from the front what it has sent.
    const ByteVec& output() const;
    void sent(std::size_t bytes);
    // Whether to read from the client: not while a command is under way or much is unsent, so that it cannot make us
    // hold what it sends. When this becomes true again, receive({}) goes on with what was held.
    bool wants_input() const;

  private:
    std::shared_ptr<SessionState> state_;
};

// Names of the commands that are served and of the events that can be registered for.
const std::set<std::string, std::less<>>& served_commands();
const std::set<std::string, std::less<>>& served_events();

}  // namespace sluice::control::vici
