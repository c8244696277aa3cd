// SPDX-License-Identifier: Apache-2.0
#include "ike/reauth.hpp"

#include <algorithm>

#include "ike/exchange.hpp"
#include "ike/init.hpp"

namespace sluice::ike {
namespace {

bool makes_children(const IkeSa& sa) {
    return sa.active || std::any_of(sa.queue.begin(), sa.queue.end(),
                                    [](const Task& task) { return task.kind == TaskKind::create_child; });
}

IkeSa* predecessor(EngineState& engine, const IkeSa& sa) {
    IkeSa* old = engine.table.by_local_spi(sa.reauthenticates);
    return old && old->phase != Phase::closed ? old : nullptr;
}

}  // namespace

void reauthenticate(EngineState& engine, IkeSa& old) {
    old.reauth_at = {};
    // The configuration as it is now, which may have changed since the old IKE SA came up.
    const Connection connection = find_connection(engine.connections, old.connection->name);
    const auto first = std::find_if(old.children.begin(), old.children.end(), [&](const Child& child) {
        return child.state == ChildState::installed && connection && find_child(*connection, child.sa.name);
    });
    if (first == old.children.end()) return;
    if (const IkeSa* begun = engine.table.by_local_spi(old.reauthenticated_by); begun && begun->phase != Phase::closed)
        return;
    IkeSa& fresh = initiate_ike_sa(engine, connection, old.path, {.child = first->sa.name});
    fresh.reauthenticates = old.local_spi;
    old.reauthenticated_by = fresh.local_spi;
    fresh.asked.push_back(first->sa.name);
}

void continue_reauth(EngineState& engine, IkeSa& sa) {
    if (sa.reauthenticates == 0) return;
    IkeSa* old = predecessor(engine, sa);
    if (!old) return void(sa.reauthenticates = 0);
    if (sa.phase == Phase::closed) {
        sa.reauthenticates = 0;
        old->reauth_at = engine.now + jittered(engine, kRekeyRetry, 20);
        return touch(engine, *old);
    }
    if (!sa.usable() || makes_children(sa)) return;
    for (const Child& child : old->children) {
        const bool wanted = child.state == ChildState::installed && find_child(*sa.connection, child.sa.name);
        if (!wanted || std::find(sa.asked.begin(), sa.asked.end(), child.sa.name) != sa.asked.end()) continue;
        sa.asked.push_back(child.sa.name);
        return enqueue(engine, sa, {.kind = TaskKind::create_child, .offer = {.child = child.sa.name}});
    }
    sa.reauthenticates = 0;
    sa.asked.clear();
    ++engine.counters.reauthentications;
    if (!closing(*old))
        enqueue(engine, *old, {.kind = TaskKind::delete_ike, .not_before = engine.now + kRekeyedLinger});
}

}  // namespace sluice::ike
