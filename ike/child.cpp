// SPDX-License-Identifier: Apache-2.0
#include "ike/child.hpp"

#include <algorithm>
#include <cassert>

#include "ike/init.hpp"
#include "ike/key_log.hpp"
#include "ike/lifetime.hpp"

namespace sluice::ike {

ByteVec spi_bytes(Spi spi) {
    ByteWriter out;
    out.u32(spi.value);
    return std::move(out).take();
}

bool all_inside(const ipsec::TrafficSelectors& inner, const ipsec::TrafficSelectors& outer) {
    return std::all_of(inner.begin(), inner.end(), [&](const ipsec::TrafficSelector& one) {
        return std::any_of(outer.begin(), outer.end(),
                           [&](const ipsec::TrafficSelector& other) { return other.contains(one); });
    });
}

namespace {

ipsec::TrafficSelectors resolved(const std::vector<ipsec::ConfiguredSelector>& configured, const net::IpAddress& own) {
    ipsec::TrafficSelectors list;
    for (const ipsec::ConfiguredSelector& selector : configured) list.push_back(selector.resolve(own));
    return list;
}

// One end of a packet as a selector of its own (RFC 7296 2.9).
ipsec::TrafficSelector exactly(const net::IpAddress& address, const ipsec::PacketSelector& packet, std::uint16_t port) {
    ipsec::TrafficSelector selector{.range = {address, address}, .protocol = packet.protocol};
    if (packet.ports_known) selector.start_port = selector.end_port = port;
    return selector;
}

// What goes on the wire: numbered, with our SPI; without a key exchange its transforms are left out (RFC 7296 1.2).
ipsec::Proposals wire_proposals(const ipsec::Proposals& configured, Spi spi, WithKe with_ke) {
    ipsec::Proposals list;
    for (ipsec::Proposal proposal : configured) {
        proposal.protocol = ipsec::Protocol::esp;
        proposal.spi = spi_bytes(spi);
        proposal.number = 0;
        if (with_ke == WithKe::no)
            std::erase_if(proposal.transforms,
                          [](const ipsec::Transform& t) { return t.type == ipsec::TransformType::ke; });
        if (!proposal.has(ipsec::TransformType::esn)) proposal.transforms.push_back({ipsec::TransformType::esn, 0, 0});
        if (std::find(list.begin(), list.end(), proposal) == list.end() && list.size() < 255) list.push_back(proposal);
    }
    for (std::size_t i = 0; i < list.size(); ++i) list[i].number = static_cast<std::uint8_t>(i + 1);
    return list;
}

// Tries one child of the configuration; nullopt where its selectors have nothing in common with the offer.
struct Narrowed {
    ipsec::TrafficSelectors local;
    ipsec::TrafficSelectors remote;
};
std::optional<Narrowed> narrow_to(const IkeSa& sa, const ChildConfig& child, const PeerOffer& offer) {
    if (offer.rekeyed) {
        const ipsec::ChildSa& old = offer.rekeyed->sa;
        Narrowed same{old.local_ts, old.remote_ts};
        if (!all_inside(same.local, offer.ts_r->selectors) || !all_inside(same.remote, offer.ts_i->selectors))
            return std::nullopt;
        return same;
    }
    Narrowed narrowed{
        ipsec::narrow(resolved(child.local_ts, sa.path.local.address), offer.ts_r->selectors),
        ipsec::narrow(resolved(child.remote_ts, sa.path.remote.address), offer.ts_i->selectors),
    };
    if (narrowed.local.empty() || narrowed.remote.empty()) return std::nullopt;
    return narrowed;
}

// The first selector of each side may be the packet that started it all: a child that covers it goes first (TRAPS 16).
bool covers_trigger(const Narrowed& narrowed, const PeerOffer& offer) {
    return all_inside({offer.ts_r->selectors.front()}, narrowed.local) &&
           all_inside({offer.ts_i->selectors.front()}, narrowed.remote);
}

void try_child(const IkeSa& sa, const ChildConfig& child, const PeerOffer& offer, ChildChoice& choice) {
    std::optional<Narrowed> narrowed = narrow_to(sa, child, offer);
    if (!narrowed) return;
    const ipsec::SelectOptions options{.ke_ignored = offer.with_ke == WithKe::no};
    std::optional<ipsec::Selection> selection = select(child.esp_proposals, offer.sa->proposals, options);
    if (!selection || spi_of(selection->chosen).value < 256) {
        choice.refusal = NotifyType::no_proposal_chosen;
        return;
    }
    choice = {.config = &child,
              .selection = *std::move(selection),
              .local_ts = std::move(narrowed->local),
              .remote_ts = std::move(narrowed->remote)};
    choice.peer_spi = spi_of(choice.selection.chosen);
}

std::string offered_text(const ipsec::Proposals& proposals) {
    std::string text;
    for (const ipsec::Proposal& proposal : proposals) text += (text.empty() ? "" : ", ") + to_string(proposal);
    return text.empty() ? "nothing" : text;
}

}  // namespace

Spi spi_of(const ipsec::Proposal& proposal) {
    if (proposal.spi.size() != 4) return {};
    return Spi(ByteReader(proposal.spi).u32().value_or(0));
}

crypto::Group offer_group(const ChildConfig& child) { return first_group(child.esp_proposals); }

std::vector<Payload> make_offer(EngineState& engine, IkeSa& sa, ChildOffer& offer, WithKe with_ke) {
    const ChildConfig* child = find_child(*sa.connection, offer.child);
    assert(child);  // looked up when the task was made, and an SA keeps its connection
    if (offer.spi.value == 0) offer.spi = reserve_spi(engine);
    offer.proposals = wire_proposals(child->esp_proposals, offer.spi, with_ke);
    offer.local_ts.clear();
    offer.remote_ts.clear();
    if (offer.packet) {
        offer.local_ts.push_back(exactly(offer.packet->source, *offer.packet, offer.packet->source_port));
        offer.remote_ts.push_back(exactly(offer.packet->destination, *offer.packet, offer.packet->destination_port));
    }
    if (const Child* old = find_child_by_inbound(sa, offer.rekeys)) {  // not narrower than in use (RFC 7296 2.9.2)
        offer.local_ts = old->sa.local_ts;
        offer.remote_ts = old->sa.remote_ts;
    } else if (!offer.packet || !offer.single_pair) {
        for (auto& ts : resolved(child->local_ts, sa.path.local.address)) offer.local_ts.push_back(ts);
        for (auto& ts : resolved(child->remote_ts, sa.path.remote.address)) offer.remote_ts.push_back(ts);
    }
    return {SaPayload{offer.proposals}, TsI{offer.local_ts}, TsR{offer.remote_ts}};
}

std::optional<AnswerFailure> read_answer(const Message& message, ChildOffer& offer) {
    const auto* sa = message.find<SaPayload>();
    const auto* ts_i = message.find<TsI>();
    const auto* ts_r = message.find<TsR>();
    if (const NotifyPayload* error = message.error_notify(); error && !sa)
        return AnswerFailure{error->type, "the peer refused it with " + to_string(error->type)};
    if (!sa || !ts_i || !ts_r || sa->proposals.size() != 1)
        return AnswerFailure{NotifyType::invalid_syntax, "the peer's answer lacks an SA or traffic selectors"};
    const ipsec::Proposal& answer = sa->proposals.front();
    Result<ipsec::Suite> suite = check_answer(offer.proposals, answer);
    if (!suite || spi_of(answer).value < 256)
        return AnswerFailure{NotifyType::no_proposal_chosen,
                             "the peer chose what was not offered: " + to_string(answer)};
    const bool subset = !ts_i->selectors.empty() && !ts_r->selectors.empty() &&
                        all_inside(ts_i->selectors, offer.local_ts) && all_inside(ts_r->selectors, offer.remote_ts);
    if (!subset)
        return AnswerFailure{NotifyType::ts_unacceptable, "the peer answered with selectors that were not offered: " +
                                                              ipsec::to_string(ts_i->selectors) +
                                                              " === " + ipsec::to_string(ts_r->selectors)};
    offer.suite = *suite;
    offer.peer_spi = spi_of(answer);
    offer.answer_local_ts = ts_i->selectors;
    offer.answer_remote_ts = ts_r->selectors;
    return std::nullopt;
}

ChildChoice choose_child(const IkeSa& sa, const PeerOffer& offer) {
    ChildChoice best{.refusal = NotifyType::ts_unacceptable};
    if (offer.ts_i->selectors.empty() || offer.ts_r->selectors.empty()) return best;
    for (const ChildConfig& child : sa.connection->children) {
        if (child.mode != ipsec::Mode::tunnel) continue;
        if (offer.rekeyed && offer.rekeyed->sa.name != child.name) continue;
        ChildChoice choice{.refusal = best.refusal};
        try_child(sa, child, offer, choice);
        const bool better =
            choice.config && (!best.config || covers_trigger({choice.local_ts, choice.remote_ts}, offer));
        if (!choice.config && !best.config) best.refusal = choice.refusal;
        if (better) best = std::move(choice);
        if (best.config && covers_trigger({best.local_ts, best.remote_ts}, offer)) break;
    }
    if (best.config) return best;
    best.text = best.refusal == NotifyType::no_proposal_chosen
                    ? "no ESP proposal of connection '" + sa.connection->name + "' fits what " + describe_peer(sa) +
                          " offered: " + offered_text(offer.sa->proposals)
                    : "no child of connection '" + sa.connection->name + "' allows " +
                          ipsec::to_string(offer.ts_r->selectors) + " === " + ipsec::to_string(offer.ts_i->selectors) +
                          ", which " + describe_peer(sa) + " asked for";
    return best;
}

Child& install_child(EngineState& engine, IkeSa& sa, const NewChild& made) {
    const ChildConfig& config = *made.config;
    ChildKeys keys = derive_child_keys(sa.suite.prf, sa.keys.sk_d, made.nonces, made.shared, made.suite);
    Child child{
        .initiated = made.initiated, .group = made.suite.group, .replaces = made.replaces, .installed = engine.now};
    child.low_nonce = std::min(to_vec(made.nonces.i), to_vec(made.nonces.r));
    ipsec::ChildSa& pair = child.sa;
    pair.id = ChildSaId(engine.next_child_id++);
    pair.ike = sa.id;
    pair.name = config.name;
    pair.ike_name = sa.connection->name;
    pair.policy = config.policy;
    pair.reqid = config.policy.value != 0 ? config.policy.value : pair.id.value;
    pair.inbound = {made.inbound, made.initiated ? std::move(keys.r_to_i) : keys.i_to_r};
    pair.outbound = {made.outbound, made.initiated ? std::move(keys.i_to_r) : std::move(keys.r_to_i)};
    pair.esn = made.suite.esn;
    pair.replay_window = config.replay_window;
    pair.local = sa.path.local;
    pair.remote = sa.path.remote;
    pair.encap = sa.encapsulated();
    pair.local_ts = made.local_ts;
    pair.remote_ts = made.remote_ts;
    pair.lifetime = draw_lifetime(engine, config);
    pair.df = config.copy_df;
    pair.dscp = config.copy_dscp;
    pair.copy_ecn = config.copy_ecn;
    pair.workers = config.workers;
    pair.rules = config.rules;
    pair.iv_node = engine.config.node;
    pair.iv_incarnation = engine.config.incarnation;
    pair.segment_address = sa.path.remote.address;
    pair.outbound_ready = made.outbound_ready;
    if (pair.lifetime.soft_time.count() != 0) child.rekey_at = engine.now + pair.lifetime.soft_time;
    if (pair.lifetime.hard_time.count() != 0) child.expires = engine.now + pair.lifetime.hard_time;
    engine.child_owners[pair.id] = sa.id;
    sa.children.push_back(std::move(child));

    const Child& installed = sa.children.back();
    engine.out.push_back(InstallChild{installed.sa});
    if (engine.config.key_log) log_child_keys(engine, installed.sa);
    ++engine.counters.child_installed;
    child_notice(engine, sa, installed.sa, NoticeKind::child_up,
                 "child '" + config.name + "' of connection '" + sa.connection->name + "' is up with " +
                     describe_peer(sa) + ": " + ipsec::to_string(made.local_ts) +
                     " === " + ipsec::to_string(made.remote_ts));
    return sa.children.back();
}

void remove_child(EngineState& engine, IkeSa& sa, ChildSaId id, const std::string& text) {
    const auto found =
        std::find_if(sa.children.begin(), sa.children.end(), [&](const Child& child) { return child.sa.id == id; });
    if (found == sa.children.end()) return;
    engine.out.push_back(RemoveChild{id});
    engine.spis.erase(found->sa.inbound.spi);
    engine.child_owners.erase(id);
    ++engine.counters.child_removed;
    child_notice(engine, sa, found->sa, NoticeKind::child_down, text);
    sa.children.erase(found);
}

void delete_child(EngineState& engine, IkeSa& sa, Child& child) {
    child.state = ChildState::deleting;
    enqueue(engine, sa, {.kind = TaskKind::delete_child, .spis = {child.sa.inbound.spi}});
}

void drop_child(EngineState& engine, IkeSa& sa, Child& child, const std::string& text) {
    const bool replaced = std::any_of(sa.children.begin(), sa.children.end(), [&](const Child& other) {
        return other.replaces == child.sa.inbound.spi && other.state == ChildState::installed;
    });
    if (!replaced) return remove_child(engine, sa, child.sa.id, text);
    child.state = ChildState::deleted;
    child.rekey_at = {};
    child.expires = engine.now + kRekeyedLinger;
}

void promote(EngineState& engine, IkeSa& sa, Spi old) {
    for (Child& child : sa.children) {
        if (child.replaces != old || child.state != ChildState::installed || child.sa.outbound_ready) continue;
        child.sa.outbound_ready = true;
        engine.out.push_back(EnableOutbound{child.sa.id});
    }
}

Child* find_child_by_outbound(IkeSa& sa, Spi spi) {
    for (Child& child : sa.children)
        if (child.sa.outbound.spi == spi && child.state != ChildState::deleted) return &child;
    return nullptr;
}

Child* find_child_by_inbound(IkeSa& sa, Spi spi) {
    for (Child& child : sa.children)
        if (child.sa.inbound.spi == spi) return &child;
    return nullptr;
}

Child* find_child_by_id(IkeSa& sa, ChildSaId id) {
    for (Child& child : sa.children)
        if (child.sa.id == id) return &child;
    return nullptr;
}

}  // namespace sluice::ike
