// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "ike/exchange.hpp"
#include "ike/message.hpp"

namespace sluice::ike {

// What is common to children of IKE_AUTH and of CREATE_CHILD_SA: offering, choosing, narrowing, installing (RFC 7296
// 1.3, 2.7, 2.9, 2.17).

enum class WithKe { no, yes };

// Fills in the offer (SPI, proposals, selectors; the trigger packet's come first) and gives SA, TSi and TSr.
std::vector<Payload> make_offer(EngineState& engine, IkeSa& sa, ChildOffer& offer, WithKe with_ke);

// The group that a CREATE_CHILD_SA for this child begins with; none without PFS.
crypto::Group offer_group(const ChildConfig& child);

// What the peer answered to an offer, checked against it. notify is the error that stands in the answer, if one does.
struct AnswerFailure {
    NotifyType type = NotifyType::none;
    std::string text;
};
std::optional<AnswerFailure> read_answer(const Message& message, ChildOffer& offer);

// The peer's offer as a responder sees it.
struct PeerOffer {
    const SaPayload* sa = nullptr;
    const TsI* ts_i = nullptr;
    const TsR* ts_r = nullptr;
    WithKe with_ke = WithKe::no;
    const Child* rekeyed = nullptr;  // its selectors stay (RFC 7296 2.9.2)
};
struct ChildChoice {
    const ChildConfig* config = nullptr;
    ipsec::Selection selection;
    Spi peer_spi;
    ipsec::TrafficSelectors local_ts;
    ipsec::TrafficSelectors remote_ts;
    NotifyType refusal = NotifyType::none;  // set: why none was chosen; and the text for a person
    std::string text;
};
ChildChoice choose_child(const IkeSa& sa, const PeerOffer& offer);

// Makes the SA pair from what both agreed on and hands it to the backend.
struct NewChild {
    const ChildConfig* config = nullptr;
    ipsec::Suite suite;
    Spi inbound;
    Spi outbound;
    ipsec::TrafficSelectors local_ts;
    ipsec::TrafficSelectors remote_ts;
    Nonces nonces;  // of the exchange
    SecretBytes shared;
    bool initiated = false;
    Spi replaces;                // our inbound SPI of the child that it rekeys
    bool outbound_ready = true;  // whether it may carry what we send
};
Child& install_child(EngineState& engine, IkeSa& sa, const NewChild& made);
// Tells the backend and whoever waits; the SPI is free again.
void remove_child(EngineState& engine, IkeSa& sa, ChildSaId id, const std::string& text);

Child* find_child_by_outbound(IkeSa& sa, Spi spi);
Child* find_child_by_inbound(IkeSa& sa, Spi spi);
Child* find_child_by_id(IkeSa& sa, ChildSaId id);

// Queues our DELETE of a child. What it carries goes on until the answer is here.
void delete_child(EngineState& engine, IkeSa& sa, Child& child);
// Removes a child that both ends have deleted: at once, or, where another one took over, after kRekeyedLinger, for what
// is still in flight (TRAPS 17).
void drop_child(EngineState& engine, IkeSa& sa, Child& child, const std::string& text);
// The children that replace one may carry outbound traffic at the latest now (TRAPS 17).
void promote(EngineState& engine, IkeSa& sa, Spi old);

bool all_inside(const ipsec::TrafficSelectors& inner, const ipsec::TrafficSelectors& outer);

ByteVec spi_bytes(Spi spi);
// The SPI in a proposal, or 0.
Spi spi_of(const ipsec::Proposal& proposal);

}  // namespace sluice::ike
