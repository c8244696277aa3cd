// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "ike/auth_exchange.hpp"
#include "ike/create_child.hpp"
#include "ike/duplicates.hpp"
#include "ike/init.hpp"
#include "ike/key_log.hpp"

namespace sluice::ike {
namespace {

ByteVec spi_bytes(Spi spi) {
    ByteWriter out;
    out.u32(spi.value);
    return std::move(out).take();
}

void refuse(EngineState& engine, IkeSa& sa, const PeerRequest& request, NotifyPayload why) {
    const std::vector<Payload> payloads{std::move(why)};
    respond(engine, sa, request.path, request.message.header, payloads);
}

// The answer waits for a key pair and the shared secret.
void keep(EngineState& engine, IkeSa& sa, const PeerRequest& request, const KePayload& ke) {
    sa.served =
        Served{.bytes = to_vec(request.bytes), .path = request.path, .dh = {.group = ke.group, .peer_public = ke.data}};
    start_dh(engine, sa, sa.served->dh);
}

// RFC 7296 2.25: what is being created, changed or closed here makes the peer wait.
bool child_work_under_way(const IkeSa& sa) {
    return sa.active && (sa.active->kind == TaskKind::create_child || sa.active->kind == TaskKind::delete_child);
}

enum class Ready { yes, no };
// Whether the answer can be made now; no: a refusal was sent, or the arithmetic was started.
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

// The child that a REKEY_SA names by the sender's inbound SPI (TRAPS 17). Null where it was answered with a refusal.
Child* rekeyed_child(EngineState& engine, IkeSa& sa, const PeerRequest& request, const NotifyPayload& rekey) {
    const Spi spi(rekey.spi.size() == 4 ? ByteReader(rekey.spi).u32().value_or(0) : 0);
    Child* child = find_child_by_outbound(sa, spi);
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
    if (offer.rekeyed) parts.replaces = offer.rekeyed->sa.id;
    std::vector<Payload> payloads = answer_offer(engine, sa, choice, parts);
    if (choice.config) {
        payloads.insert(payloads.begin() + 1, NoncePayload{own_nonce});
        if (with_secret) payloads.insert(payloads.begin() + 2, KePayload{group, request.outcome->pair.public_value});
        if (Child* old = find_child_by_id(sa, parts.replaces)) old->state = ChildState::rekeyed;
    }
    respond(engine, sa, request.path, request.message.header, payloads);
    close_duplicates(engine, sa);
}

// The IKE SA that the peer's rekeying makes; it takes over everything but the exchanges under way (RFC 7296 2.18).
IkeSa successor(EngineState& engine, const IkeSa& old, const PeerRequest& request, std::uint64_t peer_spi) {
    IkeSa fresh{.connection = old.connection, .phase = Phase::established, .path = request.path};
    fresh.id = IkeSaId(engine.next_ike_id++);
    fresh.local_spi = new_ike_spi(engine);
    fresh.remote_spi = peer_spi;
    fresh.nat_local = old.nat_local;
    fresh.nat_remote = old.nat_remote;
    fresh.fragments = old.fragments;
    fresh.local_id = old.local_id;
    fresh.remote_id = old.remote_id;
    fresh.created = engine.now;
    return fresh;
}

void move_children(EngineState& engine, IkeSa& from, IkeSa& to) {
    to.children = std::move(from.children);
    from.children.clear();
    for (Child& child : to.children) {
        child.sa.ike = to.id;
        engine.child_owners[child.sa.id] = to.id;
    }
    to.queue = std::move(from.queue);
    from.queue.clear();
}

}  // namespace

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
                   .replaces = parts.replaces});
    ipsec::Proposal chosen = choice.selection.chosen;
    chosen.spi = spi_bytes(inbound);
    return {SaPayload{{chosen}}, TsI{choice.remote_ts}, TsR{choice.local_ts}};
}

void create_child_request(EngineState& engine, IkeSa& sa, const PeerRequest& request) {
    const Message& message = request.message;
    const auto* offered = message.find<SaPayload>();
    if (!offered || !message.find<NoncePayload>())
        return refuse(engine, sa, request, make_notify(NotifyType::invalid_syntax));
    if (!sa.usable() || sa.superseded) return refuse(engine, sa, request, make_notify(NotifyType::temporary_failure));
    PeerOffer offer{.sa = offered, .ts_i = message.find<TsI>(), .ts_r = message.find<TsR>()};
    if (!offer.ts_i && !offer.ts_r) return rekey_ike_request(engine, sa, request);
    if (!offer.ts_i || !offer.ts_r) return refuse(engine, sa, request, make_notify(NotifyType::invalid_syntax));
    offer.with_ke = WithKe::yes;
    if (const auto* rekey = message.notify(NotifyType::rekey_sa)) {
        offer.rekeyed = rekeyed_child(engine, sa, request, *rekey);
        if (!offer.rekeyed) return;
    }
    answer_child(engine, sa, request, offer);
}

void rekey_ike_request(EngineState& engine, IkeSa& sa, const PeerRequest& request) {
    if (child_work_under_way(sa)) return refuse(engine, sa, request, make_notify(NotifyType::temporary_failure));
    const auto* ke = request.message.find<KePayload>();
    const auto* nonce = request.message.find<NoncePayload>();
    const auto& offered = request.message.find<SaPayload>()->proposals;
    const auto selection = select_with_group(sa.connection->proposals, offered, ke ? ke->group : crypto::Group::none);
    const std::uint64_t peer_spi =
        selection && selection->chosen.spi.size() == 8 ? ByteReader(selection->chosen.spi).u64().value_or(0) : 0;
    if (!selection || peer_spi == 0) {
        ++engine.counters.proposals_refused;
        return refuse(engine, sa, request, make_notify(NotifyType::no_proposal_chosen));
    }
    if (ke_ready(engine, sa, request, selection->suite.group) == Ready::no) return;

    IkeSa fresh = successor(engine, sa, request, peer_spi);
    const ByteVec own_nonce = random_bytes(engine, kNonceSize);
    const Nonces nonces{nonce->data, own_nonce};
    fresh.suite = selection->suite;
    fresh.low_nonce = std::min(nonce->data, own_nonce);
    const SecretBytes seed = rekey_skeyseed(sa.suite.prf, sa.keys.sk_d, nonces, request.outcome->shared);
    fresh.keys = derive_ike_keys(fresh.suite, seed, nonces, {peer_spi, fresh.local_spi});
    IkeSa& next = engine.table.insert(std::move(fresh));
    set_established(engine, next);
    if (engine.config.key_log) log_ike_keys(engine, next);

    ipsec::Proposal chosen = selection->chosen;
    ByteWriter spi;
    spi.u64(next.local_spi);
    chosen.spi = std::move(spi).take();
    const std::vector<Payload> payloads{SaPayload{{chosen}}, NoncePayload{own_nonce},
                                        KePayload{ke->group, request.outcome->pair.public_value}};
    respond(engine, sa, request.path, request.message.header, payloads);
    move_children(engine, sa, next);
    sa.superseded = true;
    sa.expires = engine.now + kLinger;  // the peer deletes it; if that is lost it goes by itself
    sa.next_check = {};
    touch(engine, next);
}

}  // namespace sluice::ike
