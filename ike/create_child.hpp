// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/child.hpp"

namespace sluice::ike {

// CREATE_CHILD_SA (RFC 7296 1.3, 2.8, 2.25).

// Initiator of a new child, or of one that replaces another.
void begin_create_child(EngineState& engine, IkeSa& sa);
void create_child_response(EngineState& engine, IkeSa& sa, const Message& message);
void create_child_dh_done(EngineState& engine, IkeSa& sa, DhOutcome outcome);
// Whether the active task is to rekey a child that the peer has rekeyed or that is on its way out.
bool rekeying_is_void(IkeSa& sa);
// An offer failed: another try where the peer's answer allows one, otherwise the end of it.
void offer_refused(EngineState& engine, IkeSa& sa, ChildOffer offer, const AnswerFailure& failure,
                   const Message& message);

// Responder: new children and the peer's rekeying of a child or of the IKE SA. outcome is the arithmetic's, once it is
// done; where it is needed and not there yet, it is asked for and the request is kept.
struct PeerRequest {
    const Message& message;
    Bytes bytes;
    const Path& path;
    const DhOutcome* outcome = nullptr;
    AuthOutcome* auth = nullptr;  // of IKE_AUTH
};
void create_child_request(EngineState& engine, IkeSa& sa, const PeerRequest& request);

// Refuses a request.
void refuse(EngineState& engine, IkeSa& sa, const PeerRequest& request, NotifyPayload why);
enum class Ready { yes, no };
// Whether the answer can be made now; no: a refusal was sent, or the arithmetic was started.
Ready ke_ready(EngineState& engine, IkeSa& sa, const PeerRequest& request, crypto::Group wanted);

// Installs what was chosen and gives the payloads of the answer: SA, TSi, TSr, or the refusal.
struct AnswerParts {
    Nonces nonces;
    SecretBytes shared;
    Spi replaces;  // our inbound SPI of the child that the peer rekeys
};
std::vector<Payload> answer_offer(EngineState& engine, IkeSa& sa, const ChildChoice& choice, const AnswerParts& parts);

}  // namespace sluice::ike
