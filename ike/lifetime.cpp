// SPDX-License-Identifier: Apache-2.0
#include "ike/lifetime.hpp"

#include <algorithm>

#include "ike/exchange.hpp"
#include "ike/reauth.hpp"

namespace sluice::ike {
namespace {

// Earlier by a random part of spread, and never zero, which would be no limit.
std::uint64_t drawn(EngineState& engine, std::uint64_t limit, std::uint64_t spread) {
    if (limit == 0) return 0;
    return limit - random_up_to(engine, std::min(spread, limit - 1));
}

Duration drawn(EngineState& engine, Duration limit, Duration spread) {
    const auto count = [](Duration d) { return static_cast<std::uint64_t>(std::max<std::int64_t>(d.count(), 0)); };
    return Duration(static_cast<std::int64_t>(drawn(engine, count(limit), count(spread))));
}

template <class Fits>
bool under_way(const IkeSa& sa, Fits fits) {
    return (sa.active && fits(*sa.active)) || std::any_of(sa.queue.begin(), sa.queue.end(), fits);
}

bool replaceable(const IkeSa& sa) { return sa.usable() && !sa.superseded && !closing(sa); }

}  // namespace

ipsec::Lifetime draw_lifetime(EngineState& engine, const ChildConfig& config) {
    return {.soft_bytes = drawn(engine, config.rekey_bytes, config.rand_bytes),
            .hard_bytes = config.life_bytes,
            .soft_packets = drawn(engine, config.rekey_packets, config.rand_packets),
            .hard_packets = config.life_packets,
            .soft_time = drawn(engine, config.rekey_time, config.rand_time),
            .hard_time = config.life_time};
}

void start_lifetime(EngineState& engine, IkeSa& sa) {
    const ConnectionConfig& config = *sa.connection;
    const Duration rekey = drawn(engine, config.rekey_time, config.rand_time);
    const Duration reauth = drawn(engine, config.reauth_time, config.rand_time);
    if (rekey.count() != 0) sa.rekey_at = engine.now + rekey;
    if (reauth.count() != 0 && sa.reauth_at == Instant{}) sa.reauth_at = engine.now + reauth;
    Instant end = config.rekey_time.count() != 0 ? engine.now + config.rekey_time : Instant{};
    if (sa.reauth_at != Instant{} && (end == Instant{} || sa.reauth_at < end)) end = sa.reauth_at;
    sa.expires = end == Instant{} ? Instant{} : end + config.over_time;
}

void want_child_rekey(EngineState& engine, IkeSa& sa, Child& child) {
    child.rekey_at = {};
    if (child.state != ChildState::installed || !sa.usable() || closing(sa)) return;
    const Spi spi = child.sa.inbound.spi;
    if (under_way(sa,
                  [&](const Task& task) { return task.kind == TaskKind::create_child && task.offer.rekeys == spi; }))
        return;
    enqueue(engine, sa, {.kind = TaskKind::create_child, .offer = {.child = child.sa.name, .rekeys = spi}});
}

void want_ike_rekey(EngineState& engine, IkeSa& sa) {
    sa.rekey_at = {};
    if (!replaceable(sa)) return;
    if (under_way(sa, [](const Task& task) { return task.kind == TaskKind::rekey_ike; })) return;
    enqueue(engine, sa, {.kind = TaskKind::rekey_ike});
}

void run_soft_lifetimes(EngineState& engine, IkeSa& sa) {
    if (!replaceable(sa)) return;
    for (Child& child : sa.children)
        if (due(child.rekey_at, engine.now)) want_child_rekey(engine, sa, child);
    if (due(sa.reauth_at, engine.now)) return reauthenticate(engine, sa);
    if (due(sa.rekey_at, engine.now)) want_ike_rekey(engine, sa);
}

std::optional<Instant> next_soft_lifetime(const IkeSa& sa) {
    std::optional<Instant> best;
    if (!replaceable(sa)) return best;
    earlier(best, sa.rekey_at);
    earlier(best, sa.reauth_at);
    for (const Child& child : sa.children) earlier(best, child.rekey_at);
    return best;
}

}  // namespace sluice::ike
