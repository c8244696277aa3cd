// SPDX-License-Identifier: Apache-2.0
#include "ike/informational.hpp"

#include <algorithm>

#include "ike/child.hpp"
#include "ike/rekey_ike.hpp"

namespace sluice::ike {
namespace {

void send_informational(EngineState& engine, IkeSa& sa, const std::vector<Payload>& payloads) {
    begin_request(engine, sa, ExchangeType::informational, payloads);
}

std::string deleted_text(const IkeSa& sa, const std::string& what) {
    return what + " of connection '" + sa.connection->name + "' was deleted by " + describe_peer(sa);
}

// close_action = start: the child that the peer deleted is made again after a moment.
void bring_back(EngineState& engine, IkeSa& sa, const std::string& name) {
    const ChildConfig* child = find_child(*sa.connection, name);
    if (!child || child->close_action != CloseAction::start || !sa.usable() || sa.superseded) return;
    enqueue(engine, sa,
            {.kind = TaskKind::create_child,
             .offer = {.child = name},
             .not_before = engine.now + jittered(engine, kRetryDelay, 50)});
}

// Of two children that replaced the same one, both ends having begun at once, one is deleted by who made it: nobody
// misses it (RFC 7296 2.8.1).
bool redundant(const IkeSa& sa, const Child& child) {
    if (child.initiated || child.replaces.value == 0) return false;
    if (sa.active && sa.active->kind == TaskKind::create_child && sa.active->offer.rekeys == child.replaces)
        return true;
    return std::any_of(sa.children.begin(), sa.children.end(), [&](const Child& other) {
        return &other != &child && other.replaces == child.replaces && other.state == ChildState::installed;
    });
}

// The peer's DELETE may overtake the answer by which it made the child.
void note_unknown(IkeSa& sa, Spi peer_inbound) {
    if (sa.active && sa.active->kind == TaskKind::create_child && sa.active->offer.gone.size() < kMaxGone)
        sa.active->offer.gone.push_back(peer_inbound);
}

// One of the peer's inbound SPIs. Gives our half of the pair where it is to stand in the answer: not when both ends
// delete at once (RFC 7296 2.25.1), nor for an SPI that we do not know.
std::optional<Spi> delete_pair(EngineState& engine, IkeSa& sa, Spi peer_inbound) {
    Child* child = find_child_by_outbound(sa, peer_inbound);
    if (!child) {
        note_unknown(sa, peer_inbound);
        return std::nullopt;
    }
    const Spi ours = child->sa.inbound.spi;
    const bool crossing = child->state == ChildState::deleting;
    const std::string name = child->sa.name;
    const bool missed = !crossing && child->state != ChildState::rekeyed && !redundant(sa, *child);
    promote(engine, sa, ours);
    drop_child(engine, sa, *child, deleted_text(sa, "child '" + name + "'"));
    if (missed) bring_back(engine, sa, name);
    return crossing ? std::nullopt : std::optional(ours);
}

}  // namespace

void begin_delete_child(EngineState& engine, IkeSa& sa) {
    for (const Spi spi : sa.active->spis)
        if (Child* child = find_child_by_inbound(sa, spi)) child->state = ChildState::deleting;
    send_informational(engine, sa, {DeletePayload{ipsec::Protocol::esp, sa.active->spis}});
}

void begin_delete_ike(EngineState& engine, IkeSa& sa) {
    engine.table.set_phase(sa, Phase::deleting);
    for (Child& child : sa.children) child.state = ChildState::deleting;
    send_informational(engine, sa, {DeletePayload{ipsec::Protocol::ike, {}}});
}

void begin_refuse_auth(EngineState& engine, IkeSa& sa) {
    send_informational(engine, sa, {make_notify(NotifyType::authentication_failed)});
}

void begin_liveness(EngineState& engine, IkeSa& sa) {
    ++engine.counters.liveness_checks;
    send_informational(engine, sa, {});
}

void informational_response(EngineState& engine, IkeSa& sa, const Message&) {
    const Task task = std::move(*sa.active);
    end_task(engine, sa);
    switch (task.kind) {
        case TaskKind::delete_child:
            for (const Spi spi : task.spis)
                if (Child* child = find_child_by_inbound(sa, spi))
                    drop_child(engine, sa, *child,
                               "child '" + child->sa.name + "' of connection '" + sa.connection->name + "' is deleted");
            return;
        case TaskKind::delete_ike:
            return close_sa(
                engine, sa, CloseReason::local,
                "IKE SA of connection '" + sa.connection->name + "' with " + describe_peer(sa) + " is deleted");
        case TaskKind::refuse_auth:
            return close_sa(engine, sa, CloseReason::failed,
                            describe_peer(sa) + " was told that it is not authenticated");
        default:
            return;  // a check of life: the response was all that it wanted
    }
}

void informational_request(EngineState& engine, IkeSa& sa, const Message& message, const Path& path) {
    const std::vector<const DeletePayload*> deletes = message.deletes();
    const bool whole = std::any_of(deletes.begin(), deletes.end(), [](const DeletePayload* payload) {
        return payload->protocol == ipsec::Protocol::ike;
    });
    if (whole) {
        respond(engine, sa, path, message.header, {});
        return close_sa(engine, sa, CloseReason::peer_deleted,
                        deleted_text(sa, sa.superseded ? "the rekeyed IKE SA" : "the IKE SA"));
    }
    if (message.notify(NotifyType::authentication_failed)) {
        respond(engine, sa, path, message.header, {});
        ++engine.counters.authentication_failures;
        const std::string text = describe_peer(sa) + " does not accept our authentication as '" +
                                 sa.local_id.to_string() + "' in connection '" + sa.connection->name +
                                 "' (AUTHENTICATION_FAILED): the shared keys differ";
        notice(engine, sa, NoticeKind::authentication_failed, text);
        return close_sa(engine, sa, CloseReason::failed, text);
    }
    if (!deletes.empty()) claim_children(engine, sa);
    DeletePayload answer{.protocol = ipsec::Protocol::esp};
    for (const DeletePayload* payload : deletes)
        if (payload->protocol == ipsec::Protocol::esp)
            for (const Spi spi : payload->spis)
                if (const auto ours = delete_pair(engine, sa, spi)) answer.spis.push_back(*ours);
    std::vector<Payload> payloads;
    if (!answer.spis.empty()) payloads.push_back(std::move(answer));
    respond(engine, sa, path, message.header, payloads);
}

}  // namespace sluice::ike
