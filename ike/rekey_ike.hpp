// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/create_child.hpp"

namespace sluice::ike {

// CREATE_CHILD_SA for an IKE SA in the place of the one that carries it (RFC 7296 1.3.2, 2.8.2, 2.18, 2.25.2). Children
// and what waits in the queue move to the new one, whose message IDs begin at 0 (TRAPS 2, 19).
//
// Where both ends begin at once there are two new ones, and the one with the lowest of the four nonces is redundant:
// its initiator deletes it. Until our answer says which, what the peer's made is the rival: it is there, the children
// are still with the old one, and whatever ends the old one or our rekeying hands them to the rival.

// Initiator.
void begin_rekey_ike(EngineState& engine, IkeSa& sa);
void rekey_ike_response(EngineState& engine, IkeSa& sa, const Message& message);
void rekey_ike_dh_done(EngineState& engine, IkeSa& sa, DhOutcome outcome);
// Whether our request is out.
bool rekeying_ike(const IkeSa& sa);

// Responder.
void rekey_ike_request(EngineState& engine, IkeSa& sa, const PeerRequest& request);

// What only both make together. role: whether this end began the exchange.
enum class Role { initiator, responder };
struct Successor {
    ipsec::Suite suite;
    std::uint64_t local_spi = 0;
    std::uint64_t remote_spi = 0;
    Nonces nonces;
    SecretBytes shared;
    Role role = Role::responder;
};
// An established IKE SA without children, in the place of old, which is superseded from then on.
IkeSa& make_successor(EngineState& engine, IkeSa& old, const Successor& made);
// Children, tasks and what follows an IKE SA.
void move_children(EngineState& engine, IkeSa& from, IkeSa& to);
// A request about children over what the peer made: for the peer they are there already, so they move, whatever the
// nonces will say of the other one.
void claim_children(EngineState& engine, IkeSa& rival);
// The peer's rekeying is the one that counts: ours is forgotten. Nothing where there is no rival.
void yield_to_rival(EngineState& engine, IkeSa& sa);
// The SPI field of a proposal for an IKE SA, and what stands in one; 0 where it is none.
ByteVec ike_spi_bytes(std::uint64_t spi);
std::uint64_t ike_spi_of(const ipsec::Proposal& proposal);

}  // namespace sluice::ike
