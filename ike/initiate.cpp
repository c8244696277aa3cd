// SPDX-License-Identifier: Apache-2.0
#include "ike/initiate.hpp"

#include <algorithm>
#include <utility>

#include "ike/child.hpp"
#include "ike/dispatch.hpp"
#include "ike/exchange.hpp"
#include "ike/init.hpp"
#include "ike/lifetime.hpp"
#include "ike/reauth.hpp"
#include "ike/timers.hpp"

namespace sluice::ike {
namespace {

bool serves(const Child& child, const std::string& name, const std::optional<ipsec::PacketSelector>& packet) {
    if (child.sa.name != name || child.state != ChildState::installed) return false;
    return !packet || ipsec::matches(child.sa.local_ts, child.sa.remote_ts, *packet);
}

bool makes(const Task& task, const std::string& name) {
    const bool kind = task.kind == TaskKind::init || task.kind == TaskKind::auth || task.kind == TaskKind::create_child;
    return kind && task.offer.child == name;
}

bool under_way(const IkeSa& sa, const std::string& name) {
    if (sa.active && makes(*sa.active, name)) return true;
    return std::any_of(sa.queue.begin(), sa.queue.end(), [&](const Task& task) { return makes(task, name); });
}

enum class Standing { absent, under_way, up };
// What there is already of a child; sets carrier to an IKE SA that could carry it.
Standing standing_of(EngineState& engine, const ChildRef& ref, const Trigger& trigger, IkeSa*& carrier) {
    Standing found = Standing::absent;
    engine.table.for_each([&](IkeSa& sa) {
        if (sa.connection->name != ref.connection->name || sa.half_open() || sa.superseded) return;
        if (sa.phase == Phase::deleting || sa.phase == Phase::closed) return;
        for (const Child& child : sa.children) {
            if (trigger.packet && child.sa.name == ref.child->name && child.pause > engine.now) found = Standing::up;
            if (found != Standing::up && serves(child, ref.child->name, trigger.packet)) {
                found = Standing::up;
                child_notice(engine, sa, child.sa, NoticeKind::child_up, "child '" + child.sa.name + "' is up already");
            }
        }
        if (found == Standing::absent && under_way(sa, ref.child->name)) found = Standing::under_way;
        if (!carrier || (sa.usable() && !carrier->usable())) carrier = &sa;
    });
    return found;
}

Result<Path> path_for(const ConnectionConfig& connection, const net::IpAddress& asked) {
    const net::IpAddress remote = first_host(connection.remote_addrs, asked.family());
    if (!remote) return fail(ErrorCode::invalid, "connection '" + connection.name + "' names no peer address to call");
    const net::IpAddress local = asked ? asked : first_host(connection.local_addrs, remote.family());
    if (!local) return fail(ErrorCode::invalid, "connection '" + connection.name + "' names no address to speak from");
    Path path{{local, connection.local_port}, {remote, connection.remote_port}, connection.remote_port != kPort};
    if (path.marker && path.local.port == kPort) path.local.port = kPortNatT;
    return path;
}

bool matches(const Termination& wanted, const IkeSa& sa) {
    if (!wanted.ike.empty() && sa.connection->name != wanted.ike) return false;
    return wanted.ike_id == IkeSaId{} || wanted.ike_id == sa.id;
}

// What was to come back after a while no longer does. How many children that were.
std::size_t forget_restarts(IkeSa& sa, const Termination& wanted) {
    if (wanted.child_id != ChildSaId{}) return 0;
    if (!wanted.child.empty()) return std::erase(sa.restart, wanted.child);
    return std::exchange(sa.restart, {}).size();
}

// Before the peer can know anything there is nobody to tell.
void terminate_ike(EngineState& engine, IkeSa& sa) {
    if (closing(sa)) return;
    if (sa.phase == Phase::init)
        return close_sa(engine, sa, CloseReason::local, "connection '" + sa.connection->name + "' is given up");
    enqueue(engine, sa, {.kind = TaskKind::delete_ike});
}

void follow(EngineState& engine, IkeSa& sa, const net::Endpoint& remote) {
    Path path = sa.path;
    path.remote = remote;
    move_path(engine, sa, path);
}

IkeSa* owner_of(EngineState& engine, ChildSaId child) {
    const auto owner = engine.child_owners.find(child);
    return owner == engine.child_owners.end() ? nullptr : engine.table.find(owner->second);
}

}  // namespace

Result<void> initiate_child(EngineState& engine, const ChildRef& ref, const Trigger& trigger) {
    IkeSa* carrier = nullptr;
    if (standing_of(engine, ref, trigger, carrier) != Standing::absent) return {};
    ChildOffer offer{.child = ref.child->name, .packet = trigger.packet};
    if (carrier) {
        enqueue(engine, *carrier, {.kind = TaskKind::create_child, .offer = std::move(offer)});
        return {};
    }
    const Result<Path> path = path_for(*ref.connection, trigger.local);
    if (!path) return path.error();
    initiate_ike_sa(engine, ref.connection, *path, std::move(offer)).persistent = trigger.persistent;
    return {};
}

void restart_children(EngineState& engine, IkeSa& sa) {
    if (sa.phase != Phase::closed || sa.restart.empty() || sa.restart_at > engine.now) return;
    const std::vector<std::string> names = std::move(sa.restart);
    sa.restart.clear();
    sa.restart_at = {};
    for (const std::string& name : names) {
        const ChildRef ref = find_child(engine.connections, sa.connection->name, name);
        if (!ref.child) continue;  // no longer configured
        const Trigger trigger{.local = sa.path.local.address, .persistent = true};
        const Result<void> begun = initiate_child(engine, ref, trigger);
        if (!begun) notice(engine, sa, NoticeKind::protocol_error, begun.error().text);
    }
}

std::size_t terminate_matching(EngineState& engine, const Termination& wanted) {
    const bool children = !wanted.child.empty() || wanted.child_id != ChildSaId{};
    std::size_t matched = 0;
    engine.table.for_each([&](IkeSa& sa) {
        if (sa.half_open() || !matches(wanted, sa)) return;
        if (sa.phase == Phase::closed) {
            matched += forget_restarts(sa, wanted);
            return;
        }
        if (!children) {
            ++matched;
            return terminate_ike(engine, sa);
        }
        for (Child& child : sa.children) {
            if (!wanted.child.empty() && child.sa.name != wanted.child) continue;
            if (wanted.child_id != ChildSaId{} && child.sa.id != wanted.child_id) continue;
            ++matched;
            if (child.state == ChildState::deleting || child.state == ChildState::deleted) continue;
            delete_child(engine, sa, child);
        }
    });
    return matched;
}

std::size_t rekey_matching(EngineState& engine, const Termination& wanted, Engine::Replacement how) {
    const bool children = !wanted.child.empty() || wanted.child_id != ChildSaId{};
    std::vector<IkeSaId> matched_sas;  // a reauthentication adds to the table
    std::size_t matched = 0;
    engine.table.for_each([&](IkeSa& sa) {
        if (!sa.usable() || sa.superseded || closing(sa) || !matches(wanted, sa)) return;
        if (!children) return matched_sas.push_back(sa.id);
        for (Child& child : sa.children) {
            if (!wanted.child.empty() && child.sa.name != wanted.child) continue;
            if (wanted.child_id != ChildSaId{} && child.sa.id != wanted.child_id) continue;
            if (child.state != ChildState::installed) continue;
            ++matched;
            want_child_rekey(engine, sa, child);
        }
    });
    for (const IkeSaId id : matched_sas) {
        IkeSa& sa = *engine.table.find(id);
        how == Engine::Replacement::rekey ? want_ike_rekey(engine, sa) : reauthenticate(engine, sa);
    }
    return matched + matched_sas.size();
}

void say_goodbye(EngineState& engine) {
    engine.table.for_each([&](IkeSa& sa) {
        if (sa.phase != Phase::established && sa.phase != Phase::deleting)
            return close_sa(engine, sa, CloseReason::local, "shutting down");
        if (sa.phase == Phase::established && !sa.request) {
            const std::vector<Payload> payloads{DeletePayload{ipsec::Protocol::ike, {}}};
            begin_request(engine, sa, ExchangeType::informational, payloads);
        }
        close_sa(engine, sa, CloseReason::local, "shutting down");
    });
    engine.table.for_each([](IkeSa& sa) { sa.restart.clear(); });
}

void on_event(EngineState& engine, const ipsec::Acquire& event) {
    ++engine.counters.acquires;
    const ChildRef ref = find_child(engine.connections, event.policy);
    if (!ref.child) return;
    IkeSa* carrier = nullptr;
    const Trigger trigger{.packet = event.packet};
    if (standing_of(engine, ref, trigger, carrier) != Standing::absent) {
        ++engine.counters.acquires_ignored;
        return;
    }
    const Result<void> begun = initiate_child(engine, ref, trigger);
    if (begun) return;
    engine.out.push_back(
        Notice{NoticeKind::protocol_error, {}, {}, ref.connection->name, ref.child->name, begun.error().text});
}

void on_event(EngineState& engine, const ipsec::Expire& event) {
    IkeSa* sa = owner_of(engine, event.child);
    Child* child = sa ? find_child_by_id(*sa, event.child) : nullptr;
    if (!child) return;
    if (!event.hard) return want_child_rekey(engine, *sa, *child);
    expire_child(engine, *sa, Child(*child));
}

// TRAPS 24: the packet was authentic. Only where the peer is behind a NAT and we are not (RFC 7296 2.23).
void on_event(EngineState& engine, const ipsec::EndpointChanged& event) {
    IkeSa* sa = owner_of(engine, event.child);
    if (sa && sa->usable() && sa->nat_remote && !sa->nat_local && event.remote != sa->path.remote)
        follow(engine, *sa, event.remote);
}

void on_child_heard(EngineState& engine, ChildSaId id) {
    IkeSa* sa = owner_of(engine, id);
    Child* child = sa ? find_child_by_id(*sa, id) : nullptr;
    if (!child) return;
    sa->last_heard = std::max(sa->last_heard, engine.now);
    if (child->sa.outbound_ready || child->state != ChildState::installed) return;
    // The initiator of the rekeying sends on the new pair: it has our answer (TRAPS 17).
    child->sa.outbound_ready = true;
    engine.out.push_back(EnableOutbound{id});
}

}  // namespace sluice::ike
