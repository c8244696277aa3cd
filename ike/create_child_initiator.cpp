// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ike/create_child.hpp"
#include "ike/duplicates.hpp"
#include "ike/init.hpp"

namespace sluice::ike {
namespace {

void send_offer(EngineState& engine, IkeSa& sa) {
    ChildOffer& offer = sa.active->offer;
    const bool with_ke = offer.ke.group != crypto::Group::none;
    std::vector<Payload> payloads = make_offer(engine, sa, offer, with_ke ? WithKe::yes : WithKe::no);
    payloads.insert(payloads.begin() + 1, NoncePayload{offer.nonce});
    if (with_ke) payloads.insert(payloads.begin() + 2, KePayload{offer.ke.group, offer.ke.public_value});
    begin_request(engine, sa, ExchangeType::create_child_sa, payloads);
}

void install_offer(EngineState& engine, IkeSa& sa, const ChildOffer& offer, SecretBytes shared) {
    install_child(engine, sa,
                  {.config = find_child(*sa.connection, offer.child),
                   .suite = offer.suite,
                   .inbound = offer.spi,
                   .outbound = offer.peer_spi,
                   .local_ts = offer.answer_local_ts,
                   .remote_ts = offer.answer_remote_ts,
                   .nonces = {offer.nonce, offer.peer_nonce},
                   .shared = std::move(shared),
                   .initiated = true});
    end_task(engine, sa);
    close_duplicates(engine, sa);
}

// The peer has installed what we cannot use: it is told to drop it. Its outbound SPI is our inbound one.
void give_back(EngineState& engine, IkeSa& sa, const ChildOffer& offer) {
    enqueue(engine, sa, {.kind = TaskKind::delete_child, .spis = {offer.spi}});
}

// Waits a little, with the same SPI and selectors, a new nonce, and the group that ke names (none: the first).
void try_again(EngineState& engine, IkeSa& sa, ChildOffer offer, Duration delay) {
    ++offer.retries;
    offer.nonce.clear();
    Task task{.kind = TaskKind::create_child, .offer = std::move(offer)};
    if (delay.count() != 0) task.not_before = engine.now + jittered(engine, delay, 50);
    enqueue(engine, sa, std::move(task));
}

bool may_use_group(const ChildConfig& child, const KeyExchange& ke, crypto::Group group) {
    if (!crypto::find_group(group) || std::find(ke.tried.begin(), ke.tried.end(), group) != ke.tried.end())
        return false;
    return std::any_of(child.esp_proposals.begin(), child.esp_proposals.end(), [&](const ipsec::Proposal& proposal) {
        return std::any_of(proposal.transforms.begin(), proposal.transforms.end(), [&](const ipsec::Transform& t) {
            return t.type == ipsec::TransformType::ke && crypto::Group(t.id) == group;
        });
    });
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

NoticeKind kind_of(NotifyType type) {
    if (type == NotifyType::no_proposal_chosen) return NoticeKind::no_proposal;
    if (type == NotifyType::ts_unacceptable) return NoticeKind::ts_unacceptable;
    return NoticeKind::protocol_error;
}

}  // namespace

void begin_create_child(EngineState& engine, IkeSa& sa) {
    ChildOffer& offer = sa.active->offer;
    const ChildConfig* child = find_child(*sa.connection, offer.child);
    if (!child) return end_task(engine, sa);
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
    if (again && failure.type == NotifyType::temporary_failure)
        return try_again(engine, sa, std::move(offer), kRetryDelay);
    if (again && failure.type == NotifyType::single_pair_required && offer.packet && !offer.single_pair) {
        offer.single_pair = true;
        return try_again(engine, sa, std::move(offer), {});
    }
    const auto* invalid_ke = message.notify(NotifyType::invalid_ke_payload);
    if (again && invalid_ke && may_use_group(*child, offer.ke, group_of(*invalid_ke))) {
        offer.ke.group = group_of(*invalid_ke);
        return try_again(engine, sa, std::move(offer), {});
    }
    release_spi(engine, offer.spi);
    if (failure.type == NotifyType::no_proposal_chosen) ++engine.counters.proposals_refused;
    if (failure.type == NotifyType::ts_unacceptable) ++engine.counters.selectors_refused;
    engine.out.push_back(Notice{kind_of(failure.type),
                                sa.id,
                                {},
                                sa.connection->name,
                                offer.child,
                                "child '" + offer.child + "' of connection '" + sa.connection->name + "' with " +
                                    describe_peer(sa) + " failed: " + failure.text});
}

}  // namespace sluice::ike
