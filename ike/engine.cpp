// SPDX-License-Identifier: Apache-2.0
#include "ike/engine.hpp"

#include <algorithm>

#include "ike/auth_exchange.hpp"
#include "ike/child.hpp"
#include "ike/create_child.hpp"
#include "ike/dispatch.hpp"
#include "ike/engine_view.hpp"
#include "ike/init.hpp"
#include "ike/initiate.hpp"
#include "ike/reauth.hpp"
#include "ike/save.hpp"
#include "ike/timers.hpp"

namespace sluice::ike {

struct Engine::State : EngineState {
    using EngineState::EngineState;

    void begin(Instant when) {
        now = std::max(now, when);
        out.clear();
    }
    // Queues and deadlines of all SAs that the call touched; those that are gone are forgotten.
    Actions end() {
        while (!touched.empty()) {
            const IkeSaId id = touched.back();
            touched.pop_back();
            IkeSa* sa = table.find(id);
            if (!sa) continue;
            continue_reauth(*this, *sa);
            if (sa->phase == Phase::closed && sa->expires <= now && sa->restart.empty()) {
                table.erase(id);
                continue;
            }
            run_tasks(*this, *sa);
            table.schedule(*sa, deadline_of(*this, *sa));
        }
        return std::exchange(out, {});
    }
};

Engine::Engine(const EngineConfig& config, crypto::Random& random) : state_(std::make_unique<State>(config, random)) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;

void Engine::configure(std::vector<ConnectionConfig> connections, std::vector<PskSecret> secrets) {
    state_->connections.clear();
    for (ConnectionConfig& connection : connections)
        state_->connections.push_back(std::make_shared<const ConnectionConfig>(std::move(connection)));
    state_->secrets = std::move(secrets);
}

void Engine::set_credentials(Credentials credentials) {
    state_->credentials = std::make_shared<const Credentials>(std::move(credentials));
}

Actions Engine::receive(const Datagram& datagram, Instant now) {
    state_->begin(now);
    dispatch(*state_, datagram);
    return state_->end();
}

Actions Engine::dh_done(DhOutcome outcome, Instant now) {
    state_->begin(now);
    dispatch_dh(*state_, std::move(outcome));
    return state_->end();
}

Actions Engine::auth_done(AuthOutcome outcome, Instant now) {
    state_->begin(now);
    dispatch_auth(*state_, std::move(outcome));
    return state_->end();
}

Actions Engine::tick(Instant now) {
    state_->begin(now);
    for (const IkeSaId id : state_->table.due(state_->now)) {
        IkeSa* sa = state_->table.find(id);
        if (!sa) continue;
        touch(*state_, *sa);
        run_due(*state_, *sa);
        restart_children(*state_, *sa);
    }
    return state_->end();
}

std::optional<Instant> Engine::next_deadline() const { return state_->table.next_deadline(); }

Result<Actions> Engine::initiate(const InitiateRequest& request, Instant now) {
    state_->begin(now);
    const ChildRef ref = find_child(state_->connections, request.connection, request.child);
    if (!ref.child)
        return fail(ErrorCode::not_found,
                    "no child '" + request.child + "' is configured" +
                        (request.connection.empty() ? std::string() : " in a connection '" + request.connection + "'"));
    const Result<void> begun = initiate_child(*state_, ref, {.local = request.local, .packet = request.packet});
    Actions actions = state_->end();
    if (!begun) return begun.error();
    return actions;
}

Result<Actions> Engine::terminate(const TerminateRequest& request, Instant now) {
    state_->begin(now);
    const Termination wanted{request.ike, request.child, IkeSaId(request.ike_id), ChildSaId(request.child_id)};
    const std::size_t matched = terminate_matching(*state_, wanted);
    Actions actions = state_->end();
    if (matched == 0) return fail(ErrorCode::not_found, "no IKE SA or child matches");
    return actions;
}

Result<Engine::Rekeyed> Engine::rekey(const RekeyRequest& request, Instant now) {
    state_->begin(now);
    const Termination wanted{request.ike, request.child, IkeSaId(request.ike_id), ChildSaId(request.child_id)};
    const std::size_t matched = rekey_matching(*state_, wanted, request.how);
    Rekeyed rekeyed{matched, state_->end()};
    if (matched == 0) return fail(ErrorCode::not_found, "no established IKE SA or installed child matches");
    return rekeyed;
}

Actions Engine::shutdown(Instant now) {
    state_->begin(now);
    say_goodbye(*state_);
    return state_->end();
}

Actions Engine::backend_event(const ipsec::BackendEvent& event, Instant now) {
    state_->begin(now);
    std::visit([&](const auto& one) { on_event(*state_, one); }, event);
    return state_->end();
}

Actions Engine::child_heard(ChildSaId child, Instant when) {
    state_->begin(when);
    on_child_heard(*state_, child);
    return state_->end();
}

std::vector<IkeView> Engine::list() const {
    std::vector<IkeView> views;
    std::as_const(state_->table).for_each([&](const IkeSa& sa) {
        if (sa.phase != Phase::closed) views.push_back(view_of(sa));
    });
    return views;
}

EngineCounters Engine::counters() const {
    EngineCounters list;
#define SLUICE_IKE_LIST(name) list.emplace_back("ike_" #name, state_->counters.name);
    SLUICE_IKE_COUNTERS(SLUICE_IKE_LIST)
#undef SLUICE_IKE_LIST
    list.emplace_back("ike_half_open", state_->table.half_open());
    return list;
}

Result<ByteVec> Engine::save(IkeSaId id) const {
    const IkeSa* sa = std::as_const(state_->table).find(id);
    if (!sa) return fail(ErrorCode::not_found, "no IKE SA has id " + std::to_string(id.value));
    return save_ike_sa(*state_, *sa);
}

Result<IkeSaId> Engine::restore(Bytes saved, Instant now) {
    state_->begin(now);
    Result<IkeSa> loaded = load_ike_sa(*state_, saved, state_->now);
    if (!loaded) return loaded.error();
    if (state_->table.by_local_spi(loaded->local_spi))
        return fail(ErrorCode::conflict, "an IKE SA with this SPI is here already");
    const IkeSa& sa = state_->table.insert(*std::move(loaded));
    for (const Child& child : sa.children) {
        state_->spis.insert(child.sa.inbound.spi);
        state_->child_owners[child.sa.id] = sa.id;
    }
    if (sa.active && sa.active->offer.spi.value != 0) state_->spis.insert(sa.active->offer.spi);
    for (const Task& task : sa.queue)
        if (task.offer.spi.value != 0) state_->spis.insert(task.offer.spi);
    state_->table.schedule(sa, deadline_of(*state_, sa));
    return sa.id;
}

std::vector<IkeSaId> Engine::ids() const { return state_->table.ids(); }

}  // namespace sluice::ike
