// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ike/create_child.hpp"
#include "ike/duplicates.hpp"
#include "ike/init.hpp"
#include "ike/rekey_ike.hpp"

namespace sluice::ike {
namespace {

// The answer waits for a key pair and the shared secret.
void keep(EngineState& engine, IkeSa& sa, const PeerRequest& request, const KePayload& ke) {
    sa.served =
        Served{.bytes = to_vec(request.bytes), .path = request.path, .dh = {.group = ke.group, .peer_public = ke.data}};
    start_dh(engine, sa, sa.served->dh);
}

// The child that a REKEY_SA names by the sender's inbound SPI (TRAPS 17). Null where it was answered with a refusal.
Child* rekeyed_child(EngineState& engine, IkeSa& sa, const PeerRequest& request, const NotifyPayload& rekey) {
    const Spi spi(rekey.spi.size() == 4 ? ByteReader(rekey.spi).u32().value_or(0) : 0);
    Child* child = find_child_by_outbound(sa, spi);
    // It may be the one that the peer has made for us, in an answer that is still on its way.
    const bool awaited = sa.active && sa.active->kind == TaskKind::create_child && sa.request;
    if (!child && awaited) {
        refuse(engine, sa, request, make_notify(NotifyType::temporary_failure));
        return nullptr;
    }
    if (!child || child->state == ChildState::rekeyed) {
        NotifyPayload missing = make_notify(NotifyType::child_sa_not_found);
        missing.protocol = ipsec::Protocol::esp;
        missing.spi = spi_bytes(spi);
        refuse(engine, sa, request, std::move(missing));
        return nullptr;
    }
    if (child->state == ChildState::deleting) {
        refuse(engine, sa, request, make_notify(NotifyType::temporary_failure));
        return nullptr;
    }
    return child;
}

// The peer deletes it next. A rekeying of our own that has not been sent is not wanted any more; one that has been sent
// is settled by the nonces when its answer comes (RFC 7296 2.8.1).
void supersede(EngineState& engine, IkeSa& sa, Child& old) {
    old.state = ChildState::rekeyed;
    old.rekey_at = {};
    const bool sent = sa.request.has_value();
    if (!sa.active || sent || sa.active->kind != TaskKind::create_child || !rekeying_is_void(sa)) return;
    const Spi offered = sa.active->offer.spi;
    end_task(engine, sa);
    release_spi(engine, offered);
}

void answer_child(EngineState& engine, IkeSa& sa, const PeerRequest& request, PeerOffer offer) {
    const auto* nonce = request.message.find<NoncePayload>();
    const auto* ke = request.message.find<KePayload>();
    const crypto::Group group = ke ? ke->group : crypto::Group::none;
    SaPayload preferred = *offer.sa;
    ChildChoice choice;
    if (ke) {  // with the group of the KE payload where that is possible: it saves a round
        for (ipsec::Proposal& proposal : preferred.proposals)
            std::erase_if(proposal.transforms, [&](const ipsec::Transform& t) {
                return t.type == ipsec::TransformType::ke && crypto::Group(t.id) != group;
            });
        PeerOffer narrowed = offer;
        narrowed.sa = &preferred;
        choice = choose_child(sa, narrowed);
    }
    if (!ke || !choice.config || choice.selection.suite.group != group) choice = choose_child(sa, offer);
    if (choice.config && ke_ready(engine, sa, request, choice.selection.suite.group) == Ready::no) return;

    const bool with_secret = choice.config && choice.selection.suite.group != crypto::Group::none;
    const ByteVec own_nonce = random_bytes(engine, kNonceSize);
    AnswerParts parts{.nonces = {nonce->data, own_nonce}};
    if (with_secret) parts.shared = request.outcome->shared;
    if (offer.rekeyed) parts.replaces = offer.rekeyed->sa.inbound.spi;
    std::vector<Payload> payloads = answer_offer(engine, sa, choice, parts);
    if (choice.config) {
        payloads.insert(payloads.begin() + 1, NoncePayload{own_nonce});
        if (with_secret) payloads.insert(payloads.begin() + 2, KePayload{group, request.outcome->pair.public_value});
        if (Child* old = offer.rekeyed ? find_child_by_inbound(sa, parts.replaces) : nullptr)
            supersede(engine, sa, *old);
    }
    respond(engine, sa, request.path, request.message.header, payloads);
    close_duplicates(engine, sa);
}

}  // namespace

void refuse(EngineState& engine, IkeSa& sa, const PeerRequest& request, NotifyPayload why) {
    const std::vector<Payload> payloads{std::move(why)};
    respond(engine, sa, request.path, request.message.header, payloads);
}

Ready ke_ready(EngineState& engine, IkeSa& sa, const PeerRequest& request, crypto::Group wanted) {
    if (wanted == crypto::Group::none) return Ready::yes;
    const auto* ke = request.message.find<KePayload>();
    if (!ke || ke->group != wanted) {
        refuse(engine, sa, request, make_notify(NotifyType::invalid_ke_payload, group_bytes(wanted)));
        return Ready::no;
    }
    if (!request.outcome) {
        keep(engine, sa, request, *ke);
        return Ready::no;
    }
    if (!request.outcome->error) return Ready::yes;
    ++engine.counters.bad_public_values;
    refuse(engine, sa, request, make_notify(NotifyType::invalid_syntax));
    return Ready::no;
}

std::vector<Payload> answer_offer(EngineState& engine, IkeSa& sa, const ChildChoice& choice, const AnswerParts& parts) {
    if (!choice.config) {
        const bool selectors = choice.refusal == NotifyType::ts_unacceptable;
        ++(selectors ? engine.counters.selectors_refused : engine.counters.proposals_refused);
        notice(engine, sa, selectors ? NoticeKind::ts_unacceptable : NoticeKind::no_proposal, choice.text);
        return {make_notify(choice.refusal)};
    }
    const Spi inbound = reserve_spi(engine);
    install_child(engine, sa,
                  {.config = choice.config,
                   .suite = choice.selection.suite,
                   .inbound = inbound,
                   .outbound = choice.peer_spi,
                   .local_ts = choice.local_ts,
                   .remote_ts = choice.remote_ts,
                   .nonces = parts.nonces,
                   .shared = parts.shared,
                   .replaces = parts.replaces,
                   .outbound_ready = parts.replaces == Spi{}});
    ipsec::Proposal chosen = choice.selection.chosen;
    chosen.spi = spi_bytes(inbound);
    return {SaPayload{{chosen}}, TsI{choice.remote_ts}, TsR{choice.local_ts}};
}

void create_child_request(EngineState& engine, IkeSa& sa, const PeerRequest& request) {
    const Message& message = request.message;
    const auto* offered = message.find<SaPayload>();
    if (!offered || !message.find<NoncePayload>())
        return refuse(engine, sa, request, make_notify(NotifyType::invalid_syntax));
    // RFC 7296 2.25.2: what is on its way out carries nothing new.
    if (!sa.usable() || sa.superseded || closing(sa))
        return refuse(engine, sa, request, make_notify(NotifyType::temporary_failure));
    PeerOffer offer{.sa = offered, .ts_i = message.find<TsI>(), .ts_r = message.find<TsR>()};
    if (!offer.ts_i && !offer.ts_r) return rekey_ike_request(engine, sa, request);
    if (!offer.ts_i || !offer.ts_r) return refuse(engine, sa, request, make_notify(NotifyType::invalid_syntax));
    claim_children(engine, sa);
    if (rekeying_ike(sa)) return refuse(engine, sa, request, make_notify(NotifyType::temporary_failure));
    offer.with_ke = WithKe::yes;
    if (const auto* rekey = message.notify(NotifyType::rekey_sa)) {
        offer.rekeyed = rekeyed_child(engine, sa, request, *rekey);
        if (!offer.rekeyed) return;
    }
    answer_child(engine, sa, request, offer);
}

}  // namespace sluice::ike
