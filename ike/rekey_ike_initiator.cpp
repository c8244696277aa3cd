// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ike/init.hpp"
#include "ike/rekey_ike.hpp"

namespace sluice::ike {
namespace {

ipsec::Proposals offered_proposals(const IkeSa& sa, const IkeOffer& offer) {
    ipsec::Proposals list = ike_proposals(*sa.connection);
    for (ipsec::Proposal& proposal : list) proposal.spi = ike_spi_bytes(offer.spi);
    return list;
}

void send_offer(EngineState& engine, IkeSa& sa) {
    const IkeOffer& offer = sa.active->ike;
    const std::vector<Payload> payloads{SaPayload{offered_proposals(sa, offer)}, NoncePayload{offer.nonce},
                                        KePayload{offer.ke.group, offer.ke.public_value}};
    begin_request(engine, sa, ExchangeType::create_child_sa, payloads);
}

// The delete of what is on its way out goes after it has moved everything, on either IKE SA.
void retire(EngineState& engine, IkeSa& sa, Duration delay) {
    sa.superseded = true;
    sa.next_check = {};
    sa.expires = engine.now + kLinger;
    enqueue(engine, sa, {.kind = TaskKind::delete_ike, .not_before = delay.count() ? engine.now + delay : Instant{}});
}

// RFC 7296 2.8.2. Ours is redundant where the lowest of the four nonces is one of its own.
void settle(EngineState& engine, IkeSa& old, IkeSa& ours) {
    IkeSa* rival = old.rival != 0 ? engine.table.by_local_spi(old.rival) : nullptr;
    if (rival && !rival->usable()) rival = nullptr;  // the peer has lost and deleted it already
    if (rival && ours.low_nonce < rival->low_nonce) {
        yield_to_rival(engine, old);
        return retire(engine, ours, {});
    }
    old.rival = 0;
    move_children(engine, old, ours);
    if (rival) {
        move_children(engine, *rival, ours);
        retire(engine, *rival, kDuplicateGrace);  // the peer's to delete
    }
    ++engine.counters.ike_rekeys;
    retire(engine, old, {});
}

void conclude(EngineState& engine, IkeSa& sa, SecretBytes shared) {
    const IkeOffer offer = std::move(sa.active->ike);
    end_task(engine, sa);
    IkeSa& ours = make_successor(engine, sa,
                                 {.suite = offer.suite,
                                  .local_spi = offer.spi,
                                  .remote_spi = offer.peer_spi,
                                  .nonces = {offer.nonce, offer.peer_nonce},
                                  .shared = std::move(shared),
                                  .role = Role::initiator});
    settle(engine, sa, ours);
}

std::string refusal_text(const IkeSa& sa, const AnswerFailure& failure) {
    return "rekeying the IKE SA of connection '" + sa.connection->name + "' with " + describe_peer(sa) +
           " failed: " + failure.text;
}

// Tries again where the peer's answer allows it. After the peer's own rekeying there is nothing left to try.
void offer_refused(EngineState& engine, IkeSa& sa, const AnswerFailure& failure, const Message& message) {
    IkeOffer offer = std::move(sa.active->ike);
    end_task(engine, sa);
    yield_to_rival(engine, sa);
    if (sa.superseded || sa.phase != Phase::established) return;
    if (failure.type == NotifyType::invalid_syntax) {  // the peer has moved on to what cannot be used here
        notice(engine, sa, NoticeKind::protocol_error, refusal_text(sa, failure));
        return enqueue(engine, sa, {.kind = TaskKind::delete_ike});
    }
    const bool again = offer.retries++ < kMaxRetries;
    offer.nonce.clear();
    offer.ke.public_value.clear();
    if (again && failure.type == NotifyType::temporary_failure) {
        offer.ke = {};
        Task task{.kind = TaskKind::rekey_ike, .ike = std::move(offer)};
        task.not_before = engine.now + jittered(engine, kRetryDelay, 50);
        return enqueue(engine, sa, std::move(task));
    }
    const auto* invalid_ke = message.notify(NotifyType::invalid_ke_payload);
    if (again && invalid_ke && may_use_group(sa.connection->proposals, offer.ke, group_of(*invalid_ke))) {
        offer.ke.group = group_of(*invalid_ke);
        return enqueue(engine, sa, {.kind = TaskKind::rekey_ike, .ike = std::move(offer)});
    }
    ++engine.counters.rekeys_refused;
    sa.rekey_at = engine.now + jittered(engine, kRekeyRetry, 20);
    notice(engine, sa,
           failure.type == NotifyType::no_proposal_chosen ? NoticeKind::no_proposal : NoticeKind::protocol_error,
           refusal_text(sa, failure));
}

std::optional<AnswerFailure> read_answer(const IkeSa& sa, const Message& message, IkeOffer& offer) {
    const auto* answer = message.find<SaPayload>();
    const auto* nonce = message.find<NoncePayload>();
    const auto* ke = message.find<KePayload>();
    if (const NotifyPayload* error = message.error_notify(); error && !answer)
        return AnswerFailure{error->type, "the peer refused it with " + to_string(error->type)};
    if (!answer || !nonce || !ke || answer->proposals.size() != 1)
        return AnswerFailure{NotifyType::invalid_syntax, "the peer's answer lacks an SA, a nonce or a key exchange"};
    const ipsec::Proposal& chosen = answer->proposals.front();
    Result<ipsec::Suite> suite = check_answer(offered_proposals(sa, offer), chosen);
    const std::uint64_t spi = ike_spi_of(chosen);
    if (!suite || spi == 0)
        return AnswerFailure{NotifyType::invalid_syntax, "the peer chose what was not offered: " + to_string(chosen)};
    if (suite->group != ke->group || ke->group != offer.ke.group)
        return AnswerFailure{NotifyType::invalid_syntax, "the peer's key exchange is not of the group it chose"};
    offer.suite = *suite;
    offer.peer_spi = spi;
    offer.peer_nonce = nonce->data;
    offer.ke.peer_public = ke->data;
    return std::nullopt;
}

}  // namespace

bool rekeying_ike(const IkeSa& sa) { return sa.active && sa.active->kind == TaskKind::rekey_ike && sa.request; }

void begin_rekey_ike(EngineState& engine, IkeSa& sa) {
    if (sa.superseded) return end_task(engine, sa);
    IkeOffer& offer = sa.active->ike;
    if (offer.spi == 0) offer.spi = new_ike_spi(engine);
    if (offer.nonce.empty()) offer.nonce = random_bytes(engine, kNonceSize);
    if (offer.ke.group == crypto::Group::none) offer.ke.group = first_group(sa.connection->proposals);
    offer.ke.tried.push_back(offer.ke.group);
    sa.dh = DhWait{.group = offer.ke.group};
    start_dh(engine, sa, *sa.dh);
}

void rekey_ike_response(EngineState& engine, IkeSa& sa, const Message& message) {
    IkeOffer& offer = sa.active->ike;
    if (const auto failure = read_answer(sa, message, offer)) return offer_refused(engine, sa, *failure, message);
    sa.request->answered = true;
    sa.dh = DhWait{.group = offer.ke.group, .private_key = offer.ke.private_key, .peer_public = offer.ke.peer_public};
    start_dh(engine, sa, *sa.dh);
}

void rekey_ike_dh_done(EngineState& engine, IkeSa& sa, DhOutcome outcome) {
    IkeOffer& offer = sa.active->ike;
    sa.dh.reset();
    if (outcome.error) {
        const bool of_peer = !offer.peer_nonce.empty();
        if (of_peer) ++engine.counters.bad_public_values;
        return offer_refused(engine, sa, {of_peer ? NotifyType::invalid_syntax : NotifyType::none, outcome.error->text},
                             {});
    }
    if (!offer.ke.public_value.empty()) return conclude(engine, sa, std::move(outcome.shared));
    offer.ke.private_key = std::move(outcome.pair.private_key);
    offer.ke.public_value = std::move(outcome.pair.public_value);
    send_offer(engine, sa);
}

}  // namespace sluice::ike
