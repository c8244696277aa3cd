// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ike/create_child.hpp"
#include "ike/duplicates.hpp"
#include "ike/init.hpp"
#include "ike/lifetime.hpp"

namespace sluice::ike {
namespace {

void send_offer(EngineState& engine, IkeSa& sa) {
    ChildOffer& offer = sa.active->offer;
    const bool with_ke = offer.ke.group != crypto::Group::none;
    std::vector<Payload> payloads = make_offer(engine, sa, offer, with_ke ? WithKe::yes : WithKe::no);
    payloads.insert(payloads.begin() + 1, NoncePayload{offer.nonce});
    if (with_ke) payloads.insert(payloads.begin() + 2, KePayload{offer.ke.group, offer.ke.public_value});
    if (offer.rekeys.value != 0)  // names what the sender receives on (RFC 7296 1.3.3)
        payloads.insert(payloads.begin(),
                        NotifyPayload{NotifyType::rekey_sa, ipsec::Protocol::esp, spi_bytes(offer.rekeys), {}});
    begin_request(engine, sa, ExchangeType::create_child_sa, payloads);
}

// The child that an offer is to replace; null where there is none any more.
Child* replaced_by(IkeSa& sa, const ChildOffer& offer) {
    Child* child = offer.rekeys.value != 0 ? find_child_by_inbound(sa, offer.rekeys) : nullptr;
    return child && child->state != ChildState::deleted ? child : nullptr;
}

// Whether both ends rekeyed the same child at once and the lowest of the four nonces is one of ours: what we made is
// redundant then, and ours to delete (RFC 7296 2.8.1, TRAPS 18).
bool loses(const IkeSa& sa, const ChildOffer& offer) {
    return offer.rekeys.value != 0 && std::any_of(sa.children.begin(), sa.children.end(), [&](const Child& other) {
               return other.replaces == offer.rekeys && !other.initiated && other.state == ChildState::installed &&
                      std::min(offer.nonce, offer.peer_nonce) < other.low_nonce;
           });
}

// The peer deleted it before its answer was here: nothing is installed that has one side only (TRAPS 20).
void forget_offer(EngineState& engine, IkeSa& sa) {
    const Spi spi = sa.active->offer.spi;
    end_task(engine, sa);
    release_spi(engine, spi);
}

void install_offer(EngineState& engine, IkeSa& sa, const ChildOffer& offer, SecretBytes shared) {
    if (std::find(offer.gone.begin(), offer.gone.end(), offer.peer_spi) != offer.gone.end())
        return forget_offer(engine, sa);
    const Child* old = replaced_by(sa, offer);
    const bool unwanted = loses(sa, offer) || (old && old->state == ChildState::deleting);
    Child& fresh = install_child(engine, sa,
                                 {.config = find_child(*sa.connection, offer.child),
                                  .suite = offer.suite,
                                  .inbound = offer.spi,
                                  .outbound = offer.peer_spi,
                                  .local_ts = offer.answer_local_ts,
                                  .remote_ts = offer.answer_remote_ts,
                                  .nonces = {offer.nonce, offer.peer_nonce},
                                  .shared = std::move(shared),
                                  .initiated = true,
                                  .replaces = offer.rekeys,
                                  .outbound_ready = !unwanted});
    end_task(engine, sa);
    if (unwanted) {
        delete_child(engine, sa, fresh);
    } else if (Child* replaced = replaced_by(sa, offer)) {
        delete_child(engine, sa, *replaced);
    }
    if (!unwanted && offer.rekeys.value != 0) ++engine.counters.child_rekeys;
    close_duplicates(engine, sa);
}

// The peer has installed what we cannot use: it is told to drop it. Its outbound SPI is our inbound one.
void give_back(EngineState& engine, IkeSa& sa, const ChildOffer& offer) {
    enqueue(engine, sa, {.kind = TaskKind::delete_child, .spis = {offer.spi}});
}

// An answer to a rekeying has to serve all that is in use (RFC 7296 2.9.2, TRAPS 16).
std::optional<AnswerFailure> narrower_than_in_use(IkeSa& sa, const ChildOffer& offer) {
    const Child* old = replaced_by(sa, offer);
    if (!old ||
        (all_inside(old->sa.local_ts, offer.answer_local_ts) && all_inside(old->sa.remote_ts, offer.answer_remote_ts)))
        return std::nullopt;
    return AnswerFailure{NotifyType::ts_unacceptable,
                         "the peer allows less than is in use: " + ipsec::to_string(offer.answer_local_ts) +
                             " === " + ipsec::to_string(offer.answer_remote_ts)};
}

// Waits a little, with the same SPI and selectors, a new nonce, and the group that ke names (none: the first).
void try_again(EngineState& engine, IkeSa& sa, ChildOffer offer, Duration delay) {
    ++offer.retries;
    offer.nonce.clear();
    Task task{.kind = TaskKind::create_child, .offer = std::move(offer)};
    if (delay.count() != 0) task.not_before = engine.now + jittered(engine, delay, 50);
    enqueue(engine, sa, std::move(task));
}

// Where the peer leaves the trigger packet out and gives what there is already, another child serves nobody, and the
// next packet would ask again: acquires rest for a while.
std::optional<AnswerFailure> narrowed_again(EngineState& engine, IkeSa& sa, const ChildOffer& offer) {
    if (!offer.packet || ipsec::matches(offer.answer_local_ts, offer.answer_remote_ts, *offer.packet))
        return std::nullopt;
    for (Child& child : sa.children) {
        const bool same = child.sa.name == offer.child && child.sa.local_ts == offer.answer_local_ts &&
                          child.sa.remote_ts == offer.answer_remote_ts;
        if (!same || child.state != ChildState::installed) continue;
        child.pause = engine.now + kNarrowPause;
        return AnswerFailure{NotifyType::ts_unacceptable,
                             "the peer allows " + ipsec::to_string(offer.answer_local_ts) +
                                 " === " + ipsec::to_string(offer.answer_remote_ts) + " and not the packet from " +
                                 offer.packet->source.to_string() + " to " + offer.packet->destination.to_string()};
    }
    return std::nullopt;
}

// The peer has lost the child: it goes here too, and another is made from scratch (RFC 7296 2.25).
void make_anew(EngineState& engine, IkeSa& sa, const Child& old, const ChildOffer& offer) {
    release_spi(engine, offer.spi);
    ++engine.counters.rekeys_refused;
    remove_child(engine, sa, old.sa.id,
                 "child '" + old.sa.name + "' of connection '" + sa.connection->name + "' is unknown to " +
                     describe_peer(sa) + ", it is made anew");
    enqueue(engine, sa, {.kind = TaskKind::create_child, .offer = {.child = offer.child}});
}

NoticeKind kind_of(NotifyType type) {
    if (type == NotifyType::no_proposal_chosen) return NoticeKind::no_proposal;
    if (type == NotifyType::ts_unacceptable) return NoticeKind::ts_unacceptable;
    return NoticeKind::protocol_error;
}

}  // namespace

bool rekeying_is_void(IkeSa& sa) {
    const ChildOffer& offer = sa.active->offer;
    if (offer.rekeys.value == 0) return false;
    const Child* old = replaced_by(sa, offer);
    return !old || old->state != ChildState::installed;
}

void begin_create_child(EngineState& engine, IkeSa& sa) {
    ChildOffer& offer = sa.active->offer;
    const ChildConfig* child = find_child(*sa.connection, offer.child);
    if (!child || rekeying_is_void(sa)) return forget_offer(engine, sa);
    if (offer.nonce.empty()) offer.nonce = random_bytes(engine, kNonceSize);
    if (offer.ke.group == crypto::Group::none) offer.ke.group = offer_group(*child);
    if (offer.ke.group == crypto::Group::none) return send_offer(engine, sa);
    offer.ke.tried.push_back(offer.ke.group);
    offer.ke.public_value.clear();
    sa.dh = DhWait{.group = offer.ke.group};
    start_dh(engine, sa, *sa.dh);
}

void create_child_dh_done(EngineState& engine, IkeSa& sa, DhOutcome outcome) {
    ChildOffer& offer = sa.active->offer;
    sa.dh.reset();
    if (!offer.ke.public_value.empty()) {
        if (!outcome.error) return install_offer(engine, sa, ChildOffer(offer), std::move(outcome.shared));
        ++engine.counters.bad_public_values;
        const ChildOffer failed = std::move(offer);
        end_task(engine, sa);
        give_back(engine, sa, failed);
        return offer_refused(engine, sa, failed,
                             {NotifyType::invalid_syntax, "its public value is refused: " + outcome.error->text}, {});
    }
    if (outcome.error) {
        const ChildOffer failed = std::move(offer);
        end_task(engine, sa);
        return offer_refused(engine, sa, failed,
                             {NotifyType::none, "no key pair could be made: " + outcome.error->text}, {});
    }
    if (rekeying_is_void(sa)) return forget_offer(engine, sa);
    offer.ke.private_key = std::move(outcome.pair.private_key);
    offer.ke.public_value = std::move(outcome.pair.public_value);
    send_offer(engine, sa);
}

void create_child_response(EngineState& engine, IkeSa& sa, const Message& message) {
    ChildOffer& offer = sa.active->offer;
    const auto* nonce = message.find<NoncePayload>();
    const auto* ke = message.find<KePayload>();
    std::optional<AnswerFailure> failure = read_answer(message, offer);
    if (!failure && !nonce) failure = AnswerFailure{NotifyType::invalid_syntax, "the peer's answer lacks a nonce"};
    const bool ke_fits = offer.suite.group == crypto::Group::none
                             ? true
                             : ke && ke->group == offer.ke.group && ke->group == offer.suite.group;
    if (!failure && !ke_fits)
        failure = AnswerFailure{NotifyType::invalid_syntax, "the peer's key exchange is not of the group it chose"};
    if (!failure) failure = narrowed_again(engine, sa, offer);
    if (!failure) failure = narrower_than_in_use(sa, offer);
    if (failure) {
        const ChildOffer failed = std::move(offer);
        end_task(engine, sa);
        if (message.find<SaPayload>()) give_back(engine, sa, failed);
        return offer_refused(engine, sa, failed, *failure, message);
    }
    offer.peer_nonce = nonce->data;
    if (offer.suite.group == crypto::Group::none) return install_offer(engine, sa, ChildOffer(offer), {});
    sa.request->answered = true;
    offer.ke.peer_public = ke->data;
    sa.dh = DhWait{.group = ke->group, .private_key = offer.ke.private_key, .peer_public = ke->data};
    start_dh(engine, sa, *sa.dh);
}

void offer_refused(EngineState& engine, IkeSa& sa, ChildOffer offer, const AnswerFailure& failure,
                   const Message& message) {
    const ChildConfig* child = find_child(*sa.connection, offer.child);
    const bool again = child && offer.retries < kMaxRetries && sa.phase == Phase::established;
    Child* const old = replaced_by(sa, offer);
    // The peer has rekeyed or deleted it meanwhile (RFC 7296 2.25.1).
    if (offer.rekeys.value != 0 && (!old || old->state != ChildState::installed)) return release_spi(engine, offer.spi);
    if (old && failure.type == NotifyType::child_sa_not_found) return make_anew(engine, sa, *old, offer);
    if (again && failure.type == NotifyType::temporary_failure)
        return try_again(engine, sa, std::move(offer), kRetryDelay);
    if (again && failure.type == NotifyType::single_pair_required && offer.packet && !offer.single_pair) {
        offer.single_pair = true;
        return try_again(engine, sa, std::move(offer), {});
    }
    const auto* invalid_ke = message.notify(NotifyType::invalid_ke_payload);
    if (again && invalid_ke && may_use_group(child->esp_proposals, offer.ke, group_of(*invalid_ke))) {
        offer.ke.group = group_of(*invalid_ke);
        return try_again(engine, sa, std::move(offer), {});
    }
    release_spi(engine, offer.spi);
    if (old) {
        ++engine.counters.rekeys_refused;
        old->rekey_at = engine.now + jittered(engine, kRekeyRetry, 20);
    }
    if (failure.type == NotifyType::no_proposal_chosen) ++engine.counters.proposals_refused;
    if (failure.type == NotifyType::ts_unacceptable) ++engine.counters.selectors_refused;
    engine.out.push_back(Notice{kind_of(failure.type),
                                sa.id,
                                {},
                                sa.connection->name,
                                offer.child,
                                (old ? "rekeying child '" : "child '") + offer.child + "' of connection '" +
                                    sa.connection->name + "' with " + describe_peer(sa) + " failed: " + failure.text});
}

}  // namespace sluice::ike
