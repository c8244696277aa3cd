// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/engine_state.hpp"

namespace sluice::ike {

// What begins without a message: an operator, a packet without an SA, an action of the configuration, the backend.

struct Trigger {
    net::IpAddress local;  // none: the first host of local_addrs
    std::optional<ipsec::PacketSelector> packet;
    bool persistent = false;  // tries for as long as it takes
};
// Over the IKE SA that is there, or a new one. Nothing is begun twice: a child that is up or under way is left alone.
// invalid where no address to speak from or to is known.
Result<void> initiate_child(EngineState& engine, const ChildRef& ref, const Trigger& trigger);
// A closed IKE SA's children that are to come back, once their time has come.
void restart_children(EngineState& engine, IkeSa& sa);

// What an operator names.
struct Termination {
    std::string ike;
    std::string child;
    IkeSaId ike_id;
    ChildSaId child_id;
};
// How many IKE SAs or children matched.
std::size_t terminate_matching(EngineState& engine, const Termination& wanted);
// The same of what is replaced: children where one is named, otherwise IKE SAs.
std::size_t rekey_matching(EngineState& engine, const Termination& wanted, Engine::Replacement how);
// One DELETE for each IKE SA, and all are gone.
void say_goodbye(EngineState& engine);

void on_event(EngineState& engine, const ipsec::Acquire& event);
void on_event(EngineState& engine, const ipsec::Expire& event);
void on_event(EngineState& engine, const ipsec::EndpointChanged& event);
void on_child_heard(EngineState& engine, ChildSaId child);

}  // namespace sluice::ike
