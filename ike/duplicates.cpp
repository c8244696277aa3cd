// SPDX-License-Identifier: Apache-2.0
#include "ike/duplicates.hpp"

#include <algorithm>

#include "ike/auth_exchange.hpp"
#include "ike/child.hpp"
#include "ike/exchange.hpp"

namespace sluice::ike {
namespace {

// Peers without an identity are never the same (RFC 7619 2.2, TRAPS 49).
bool same_peer(const IkeSa& a, const IkeSa& b) {
    if (a.remote_id.type == IdType::null) return false;
    return a.local_id == b.local_id && identity_matches(a.remote_id, b.remote_id);
}

bool same_child(const Child& a, const Child& b) {
    return a.sa.name == b.sa.name && a.sa.local_ts == b.sa.local_ts && a.sa.remote_ts == b.sa.remote_ts;
}

bool has_all_children_of(const IkeSa& rich, const IkeSa& poor) {
    return std::all_of(poor.children.begin(), poor.children.end(), [&](const Child& child) {
        return std::any_of(rich.children.begin(), rich.children.end(), [&](const Child& other) {
            return other.state == ChildState::installed && same_child(child, other);
        });
    });
}

bool candidate(const IkeSa& sa) { return sa.usable() && !sa.superseded && !sa.children.empty() && !closing(sa); }

// Whether one was made in full knowledge of the other: a reauthentication (RFC 7296 2.8.3), not two that began at once.
bool made_later(const IkeSa& a, const IkeSa& b) {
    const IkeSa& older = a.created < b.created ? a : b;
    const IkeSa& newer = &older == &a ? b : a;
    return older.authenticated < newer.created;
}

enum class Grace { given, over };

// The peer is to delete it: looked at again when it has had the time.
void give_grace(EngineState& engine, IkeSa& sa) {
    const bool given =
        std::any_of(sa.queue.begin(), sa.queue.end(), [](const Task& task) { return task.kind == TaskKind::settle; });
    if (!given) enqueue(engine, sa, {.kind = TaskKind::settle, .not_before = engine.now + kDuplicateGrace});
}

// Deletes the loser if it is ours to delete; what waited in it goes to the one that stays.
void settle(EngineState& engine, IkeSa& a, IkeSa& b, Grace grace) {
    IkeSa& loser = a.low_nonce < b.low_nonce ? a : b;
    IkeSa& winner = &loser == &a ? b : a;
    if (!has_all_children_of(winner, loser)) return;
    if (!loser.initiator && grace == Grace::given) return give_grace(engine, loser);
    for (Task& task : loser.queue)
        if (task.kind == TaskKind::create_child) enqueue(engine, winner, std::move(task));
    loser.queue.clear();
    enqueue(engine, loser, {.kind = TaskKind::delete_ike});
    ++engine.counters.duplicates_closed;
}

void settle_children(EngineState& engine, IkeSa& sa, Child& a, Child& b, Grace grace) {
    Child& loser = a.low_nonce < b.low_nonce ? a : b;
    if (!loser.initiated && grace == Grace::given) return give_grace(engine, sa);
    delete_child(engine, sa, loser);
    ++engine.counters.duplicates_closed;
}

void look_for_duplicates(EngineState& engine, IkeSa& sa, Grace grace) {
    for (std::size_t i = 0; i < sa.children.size(); ++i)
        for (std::size_t k = i + 1; k < sa.children.size(); ++k) {
            Child& a = sa.children[i];
            Child& b = sa.children[k];
            if (a.state == ChildState::installed && b.state == ChildState::installed && a.initiated != b.initiated &&
                same_child(a, b))
                settle_children(engine, sa, a, b, grace);
        }
    if (!candidate(sa)) return;
    engine.table.for_peer(sa.remote_id, [&](IkeSa& other) {
        if (&other == &sa || !candidate(other) || !candidate(sa) || other.initiator == sa.initiator) return;
        if (made_later(sa, other)) return;
        if (other.connection->name == sa.connection->name && same_peer(sa, other)) settle(engine, sa, other, grace);
    });
}

}  // namespace

bool has_sibling(EngineState& engine, const IkeSa& sa) {
    bool found = false;
    auto look = [&](const IkeSa& other) {
        if (&other == &sa || !other.usable() || other.local_id != sa.local_id) return;
        if (identity_matches(sa.connection->remote.id, other.remote_id)) found = true;
    };
    if (sa.connection->remote.id.is_any())
        engine.table.for_each(look);
    else
        engine.table.for_peer(sa.connection->remote.id, look);
    return found;
}

void close_duplicates(EngineState& engine, IkeSa& sa) { look_for_duplicates(engine, sa, Grace::given); }

void settle_duplicates(EngineState& engine, IkeSa& sa) {
    end_task(engine, sa);
    look_for_duplicates(engine, sa, Grace::over);
}

void close_forgotten(EngineState& engine, const IkeSa& fresh) {
    engine.table.for_peer(fresh.remote_id, [&](IkeSa& other) {
        if (&other == &fresh || !other.usable() || !same_peer(other, fresh)) return;
        if (other.established >= fresh.created) return;
        close_sa(engine, other, CloseReason::local,
                 describe_peer(other) + " began anew (INITIAL_CONTACT), its older IKE SA is closed");
    });
}

}  // namespace sluice::ike
