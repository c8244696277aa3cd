// SPDX-License-Identifier: Apache-2.0
#include "ike/engine_state.hpp"

#include <algorithm>

namespace sluice::ike {

void touch(EngineState& engine, const IkeSa& sa) { engine.touched.push_back(sa.id); }

ByteVec random_bytes(EngineState& engine, std::size_t size) {
    ByteVec bytes(size);
    engine.random->fill(bytes);
    return bytes;
}

namespace {

std::uint64_t random_u64(EngineState& engine) {
    const ByteVec bytes = random_bytes(engine, 8);
    return ByteReader(bytes).u64().value_or(0);
}

}  // namespace

Duration jittered(EngineState& engine, Duration duration, unsigned percent) {
    const Duration span = duration / 100 * percent * 2;
    if (span.count() <= 0) return duration;
    const auto offset = random_u64(engine) % static_cast<std::uint64_t>(span.count());
    return duration - span / 2 + Duration(static_cast<std::int64_t>(offset));
}

std::uint64_t random_up_to(EngineState& engine, std::uint64_t most) {
    if (most == 0) return 0;
    return most == UINT64_MAX ? random_u64(engine) : random_u64(engine) % (most + 1);
}

std::uint64_t new_ike_spi(EngineState& engine) {
    const std::uint64_t node = std::uint64_t{engine.config.node.value} << 60;
    while (true) {
        const std::uint64_t spi = node | (random_u64(engine) >> 4);
        if (spi != 0 && !engine.table.by_local_spi(spi)) return spi;
    }
}

Spi reserve_spi(EngineState& engine) {
    const std::uint32_t node = std::uint32_t{engine.config.node.value} << 28;
    while (true) {
        const Spi spi(node | static_cast<std::uint32_t>(random_u64(engine) >> 36));
        if (spi.value < 256 || !engine.spis.insert(spi).second) continue;
        engine.out.push_back(ReserveSpi{spi});
        return spi;
    }
}

void release_spi(EngineState& engine, Spi spi) {
    if (engine.spis.erase(spi) != 0) engine.out.push_back(ReleaseSpi{spi});
}

void start_dh(EngineState& engine, const IkeSa& sa, DhWait& wait) {
    wait.job = engine.next_job++;
    engine.jobs[wait.job] = sa.id;
    engine.out.push_back(StartDh{wait.job, wait.group, wait.private_key, wait.peer_public});
}

void notice(EngineState& engine, const IkeSa& sa, NoticeKind kind, std::string text) {
    engine.out.push_back(Notice{kind, sa.id, {}, sa.connection->name, {}, std::move(text)});
}

void child_notice(EngineState& engine, const IkeSa& sa, const ipsec::ChildSa& child, NoticeKind kind,
                  std::string text) {
    engine.out.push_back(Notice{kind, sa.id, child.id, sa.connection->name, child.name, std::move(text)});
}

void public_notice(EngineState& engine, NoticeKind kind, std::string text) {
    const auto seconds = (engine.now - engine.public_notices_filled) / std::chrono::seconds(1);
    if (seconds > 0) {
        const auto tokens = std::min<std::int64_t>(kPublicNotices, engine.public_notices + seconds);
        engine.public_notices = static_cast<unsigned>(tokens);
        engine.public_notices_filled = engine.now;
    }
    if (engine.public_notices == 0) return;
    --engine.public_notices;
    engine.out.push_back(Notice{kind, {}, {}, {}, {}, std::move(text)});
}

std::string describe_peer(const IkeSa& sa) {
    const std::string at = " at " + sa.path.remote.to_string();
    return sa.remote_id.is_any() ? "the peer" + at : "the peer '" + sa.remote_id.to_string() + "'" + at;
}

}  // namespace sluice::ike
