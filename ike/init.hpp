// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/exchange.hpp"

namespace sluice::ike {

// IKE_SA_INIT (RFC 7296 1.2, 2.6, 2.7, 2.23).

// Initiator: a new IKE SA that will carry the offered child; its key pair is asked for, the request follows. The
// connection has a KE group (its proposals were checked at load).
IkeSa& initiate_ike_sa(EngineState& engine, const Connection& connection, const Path& path, ChildOffer first);
void init_response(EngineState& engine, IkeSa& sa, const Datagram& datagram);
void init_dh_done(EngineState& engine, IkeSa& sa, DhOutcome outcome);

// Responder. Nothing is kept before the limits and the cookie are passed (TRAPS 6, 23).
void init_request(EngineState& engine, const Datagram& datagram);
void init_served(EngineState& engine, IkeSa& sa, const Served& served, const DhOutcome& outcome);

// The path after IKE_SA_INIT with a NAT in the way: port 4500 at both ends (RFC 7296 2.23).
Path floated(const EngineState& engine, const Path& path);
// NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP of a message that goes along path. With encap forced the
// source hash is of no address, so that the peer sees a NAT.
std::vector<Payload> nat_detection(const IkeSa& sa, const Header& header, const Path& path);

// Whether fragments may be sent and taken: the connection allows them and the peer's message announces them.
bool takes_fragments(const IkeSa& sa, const Message& message);

// The proposals of a connection as they go into an SA payload.
ipsec::Proposals ike_proposals(const ConnectionConfig& connection);
// Chooses from a peer's offer, with the group of its KE payload where that is possible: it saves a round.
std::optional<ipsec::Selection> select_with_group(const ipsec::Proposals& configured, const ipsec::Proposals& offered,
                                                  crypto::Group group);
// The first group that is known, none where there is none.
crypto::Group first_group(const ipsec::Proposals& proposals);
// Whether INVALID_KE_PAYLOAD may make us try this group: one that we offered, know and have not tried (TRAPS 5).
bool may_use_group(const ipsec::Proposals& proposals, const KeyExchange& ke, crypto::Group group);
ByteVec group_bytes(crypto::Group group);
crypto::Group group_of(const NotifyPayload& invalid_ke);

}  // namespace sluice::ike
