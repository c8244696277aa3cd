// SPDX-License-Identifier: Apache-2.0
#include "ike/timers.hpp"

#include <algorithm>

#include "ike/auth_exchange.hpp"
#include "ike/child.hpp"
#include "ike/create_child.hpp"
#include "ike/dispatch.hpp"
#include "ike/duplicates.hpp"
#include "ike/informational.hpp"
#include "ike/lifetime.hpp"
#include "ike/rekey_ike.hpp"

namespace sluice::ike {
namespace {

bool urgent(const Task& task) { return task.kind == TaskKind::delete_ike || task.kind == TaskKind::refuse_auth; }

bool may_run(const IkeSa& sa, const Task& task, Instant now) {
    if (task.not_before > now) return false;
    return sa.phase == Phase::established || (sa.phase == Phase::deleting && urgent(task));
}

// The delete of the whole goes before everything else.
std::deque<Task>::iterator next_task(IkeSa& sa, Instant now) {
    const auto first = std::find_if(sa.queue.begin(), sa.queue.end(),
                                    [&](const Task& task) { return urgent(task) && may_run(sa, task, now); });
    if (first != sa.queue.end()) return first;
    return std::find_if(sa.queue.begin(), sa.queue.end(), [&](const Task& task) { return may_run(sa, task, now); });
}

void begin_task(EngineState& engine, IkeSa& sa) {
    switch (sa.active->kind) {
        case TaskKind::create_child:
            return begin_create_child(engine, sa);
        case TaskKind::rekey_ike:
            return begin_rekey_ike(engine, sa);
        case TaskKind::delete_child:
            return begin_delete_child(engine, sa);
        case TaskKind::delete_ike:
            return begin_delete_ike(engine, sa);
        case TaskKind::refuse_auth:
            return begin_refuse_auth(engine, sa);
        case TaskKind::liveness:
            return begin_liveness(engine, sa);
        case TaskKind::settle:
            return settle_duplicates(engine, sa);
        case TaskKind::init:
        case TaskKind::auth:
            return;  // these begin with the IKE SA, never from the queue
    }
}

bool keeps_alive(const EngineState& engine, const IkeSa& sa) {
    return sa.nat_local && sa.phase == Phase::established && engine.config.keepalive.count() != 0;
}

void give_up(EngineState& engine, IkeSa& sa) {
    ++engine.counters.timeouts;
    const std::string waited = describe_peer(sa) + " does not answer, connection '" + sa.connection->name + "'";
    const std::string text = sa.handshake.refusal.empty() ? waited : waited + " otherwise: " + sa.handshake.refusal;
    notice(engine, sa, NoticeKind::peer_unreachable, text);
    const bool deleting = sa.phase == Phase::deleting;
    close_sa(engine, sa, deleting ? CloseReason::local : CloseReason::unreachable, text);
}

void expire_sa(EngineState& engine, IkeSa& sa) {
    if (sa.half_open()) {
        ++engine.counters.half_open_expired;
        return close_sa(engine, sa, CloseReason::failed, "half-open for too long");
    }
    if (sa.superseded)
        return close_sa(engine, sa, CloseReason::local,
                        "the rekeyed IKE SA of '" + sa.connection->name + "' is closed");
    if (sa.phase != Phase::established) return;
    // The hard lifetime: nothing is sealed under these keys any more but the delete itself.
    sa.expires = {};
    for (const Child& child : std::vector<Child>(sa.children))
        remove_child(engine, sa, child.sa.id, "the IKE SA of connection '" + sa.connection->name + "' has expired");
    enqueue(engine, sa, {.kind = TaskKind::delete_ike});
}

void expire_children(EngineState& engine, IkeSa& sa) {
    std::vector<ChildSaId> expired;
    for (const Child& child : sa.children)
        if (due(child.expires, engine.now)) expired.push_back(child.sa.id);
    for (const ChildSaId id : expired)
        if (const Child* child = find_child_by_id(sa, id)) expire_child(engine, sa, Child(*child));
}

void check_life(EngineState& engine, IkeSa& sa) {
    const Duration delay = sa.connection->dpd_delay;
    if (delay.count() == 0 || sa.phase != Phase::established) return void(sa.next_check = {});
    const bool quiet = engine.now - sa.last_heard >= delay / 10 * 9;
    if (!quiet) return void(sa.next_check = sa.last_heard + jittered(engine, delay, 10));
    if (!sa.active) enqueue(engine, sa, {.kind = TaskKind::liveness});
    schedule_liveness(engine, sa);
}

void expire_reassembly(EngineState& engine, Reassembly& reassembly) {
    if (!due(reassembly.expires, engine.now)) return;
    ++engine.counters.reassembly_expired;
    reassembly = {};
}

void restart_jobs(EngineState& engine, IkeSa& sa) {
    if (sa.dh && sa.dh->job == 0) start_dh(engine, sa, *sa.dh);
    if (sa.served && sa.served->dh.job == 0 && sa.served->auth)
        restart_served_auth(engine, sa);
    else if (sa.served && sa.served->dh.job == 0)
        start_dh(engine, sa, sa.served->dh);
    if (sa.auth && sa.auth->job == 0) restart_auth(engine, sa);
}

bool rekeying(const IkeSa& sa, Spi child) {
    return sa.active && sa.active->kind == TaskKind::create_child && sa.active->offer.rekeys == child;
}

}  // namespace

// The hard lifetime fails closed: the backend forgets the child before the peer hears of it.
void expire_child(EngineState& engine, IkeSa& sa, const Child& child) {
    const Spi spi = child.sa.inbound.spi;
    const std::string name = child.sa.name;
    if (child.state == ChildState::deleted)
        return remove_child(engine, sa, child.sa.id, "child '" + name + "' was rekeyed");
    const ChildConfig* config = find_child(*sa.connection, name);
    const bool again = config && config->start_action == StartAction::start && child.initiated && sa.usable() &&
                       child.state == ChildState::installed && !rekeying(sa, spi);
    promote(engine, sa, spi);
    remove_child(
        engine, sa, child.sa.id,
        "child '" + name + "' of connection '" + sa.connection->name + "' has reached the end of its lifetime");
    enqueue(engine, sa, {.kind = TaskKind::delete_child, .spis = {spi}});
    if (again) enqueue(engine, sa, {.kind = TaskKind::create_child, .offer = {.child = name}});
}

std::optional<Instant> deadline_of(const EngineState& engine, const IkeSa& sa) {
    std::optional<Instant> best;
    earlier(best, sa.phase == Phase::closed && !sa.restart.empty() ? sa.restart_at : sa.expires);
    if (sa.phase == Phase::closed) return best;
    const bool idle =
        (sa.dh && sa.dh->job == 0) || (sa.served && sa.served->dh.job == 0) || (sa.auth && sa.auth->job == 0);
    if (idle) best = engine.now;
    if (sa.request) earlier(best, sa.request->next);
    earlier(best, sa.next_check);
    earlier(best, sa.request_parts.expires);
    earlier(best, sa.response_parts.expires);
    if (keeps_alive(engine, sa)) earlier(best, sa.last_sent + engine.config.keepalive);
    for (const Child& child : sa.children) earlier(best, child.expires);
    if (const auto soft = next_soft_lifetime(sa)) earlier(best, *soft);
    if (!sa.active && sa.phase == Phase::established)
        for (const Task& task : sa.queue) earlier(best, task.not_before);
    return best;
}

void run_due(EngineState& engine, IkeSa& sa) {
    if (sa.phase == Phase::closed) return;
    restart_jobs(engine, sa);
    if (sa.phase == Phase::closed) return;
    expire_reassembly(engine, sa.request_parts);
    expire_reassembly(engine, sa.response_parts);
    if (!repeat_request(engine, sa)) return give_up(engine, sa);
    if (due(sa.expires, engine.now)) expire_sa(engine, sa);
    if (sa.phase == Phase::closed) return;
    expire_children(engine, sa);
    run_soft_lifetimes(engine, sa);
    if (due(sa.next_check, engine.now)) check_life(engine, sa);
    if (keeps_alive(engine, sa) && due(sa.last_sent + engine.config.keepalive, engine.now)) {
        engine.out.push_back(Send{sa.path.local, sa.path.remote, {0xff}, false});
        sa.last_sent = engine.now;
        ++engine.counters.keepalives_sent;
    }
}

void run_tasks(EngineState& engine, IkeSa& sa) {
    while (!sa.active && !sa.queue.empty()) {
        const auto next = next_task(sa, engine.now);
        if (next == sa.queue.end()) return;
        sa.active = std::move(*next);
        sa.queue.erase(next);
        begin_task(engine, sa);
    }
}

}  // namespace sluice::ike
