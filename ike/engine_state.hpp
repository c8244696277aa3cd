// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ike/cookie.hpp"
#include "ike/counters.hpp"
#include "ike/engine.hpp"
#include "ike/ike_sa.hpp"
#include "ike/lookup.hpp"
#include "ike/sa_table.hpp"

namespace sluice::ike {

// How long a closed IKE SA still repeats its last response: longer than a peer goes on asking at the default pace.
inline constexpr Duration kLinger = std::chrono::seconds(60);
// Wait before an exchange that the peer put off (TEMPORARY_FAILURE), or a restart, is tried again; jittered.
inline constexpr Duration kRetryDelay = std::chrono::seconds(2);
// After a rekeying that failed, and before the next try; jittered, as in strongSwan.
inline constexpr Duration kRekeyRetry = std::chrono::seconds(15);
// How long acquires rest after the peer has narrowed an offer to what it had narrowed one to before.
inline constexpr Duration kNarrowPause = std::chrono::seconds(30);
// How long the peer has to delete a duplicate that is its to delete, before this end does.
inline constexpr Duration kDuplicateGrace = std::chrono::seconds(3);
// How long the inbound half of a rekeyed child stays for packets in flight (TRAPS 17), as in strongSwan.
inline constexpr Duration kRekeyedLinger = std::chrono::seconds(5);
inline constexpr std::uint8_t kMaxRestarts = 5;  // of IKE_SA_INIT by COOKIE and INVALID_KE_PAYLOAD together (TRAPS 5)
inline constexpr std::uint8_t kMaxRetries = 5;   // of one CREATE_CHILD_SA
inline constexpr std::size_t kMaxGone = 8;       // DELETEs remembered that may have overtaken an answer
inline constexpr std::uint32_t kRekeyFromId =
    1U << 31;                                  // the message ID, of either direction, that is far enough (TRAPS 2)
inline constexpr std::size_t kNonceSize = 32;  // at least half of every prf's key (RFC 7296 2.10)
inline constexpr std::uint16_t kPort = 500;
inline constexpr std::uint16_t kPortNatT = 4500;
inline constexpr unsigned kPublicNotices = 10;  // about strangers: at once, and then one a second (TRAPS 23)

// What the parts of the engine share. out and now belong to the call that runs.
struct EngineState {
    EngineState(const EngineConfig& settings, crypto::Random& source) : config(settings), random(&source) {}

    EngineConfig config;
    crypto::Random* random;
    Connections connections;
    std::vector<PskSecret> secrets;
    std::shared_ptr<const Credentials> credentials = std::make_shared<const Credentials>();
    SaTable table;
    EngineCounterValues counters;
    std::optional<CookieSecrets> cookies;
    std::unordered_map<std::uint64_t, IkeSaId> jobs;
    std::unordered_map<ChildSaId, IkeSaId> child_owners;
    std::unordered_set<Spi> spis;  // our inbound ESP SPIs: offered or installed
    std::uint64_t next_job = 1;
    std::uint64_t iv_counter = 0;  // one for all IKE SAs: it never goes back, whatever is restored
    unsigned public_notices = kPublicNotices;
    Instant public_notices_filled;
    std::uint32_t next_ike_id = 1;
    std::uint32_t next_child_id = 1;

    Actions out;
    Instant now;
    std::vector<IkeSaId> touched;  // SAs whose queue and deadline are to be looked at before the call ends
};

// Deadlines: a zero Instant is never.
inline bool due(Instant when, Instant now) { return when != Instant{} && when <= now; }
inline void earlier(std::optional<Instant>& best, Instant when) {
    if (when != Instant{} && (!best || when < *best)) best = when;
}

// Small services to all exchanges.
void touch(EngineState& engine, const IkeSa& sa);
ByteVec random_bytes(EngineState& engine, std::size_t size);
// Evenly spread over duration * (1 -+ percent / 100).
Duration jittered(EngineState& engine, Duration duration, unsigned percent);
// Evenly spread over 0 to most, both possible.
std::uint64_t random_up_to(EngineState& engine, std::uint64_t most);
// node:4 | 60 random bits, free here.
std::uint64_t new_ike_spi(EngineState& engine);
// node:4 | 28 random bits, never below 256 (TRAPS 38), reserved here and at the backend (TRAPS 53).
Spi reserve_spi(EngineState& engine);
void release_spi(EngineState& engine, Spi spi);
// Asks for arithmetic on behalf of an SA and remembers whose it is.
void start_dh(EngineState& engine, const IkeSa& sa, DhWait& wait);
void notice(EngineState& engine, const IkeSa& sa, NoticeKind kind, std::string text);
void child_notice(EngineState& engine, const IkeSa& sa, const ipsec::ChildSa& child, NoticeKind kind, std::string text);
// About a sender who is nobody yet; rate-limited.
void public_notice(EngineState& engine, NoticeKind kind, std::string text);
// "the peer 'carol@example' at 192.0.2.7[500]", as far as it is known.
std::string describe_peer(const IkeSa& sa);

}  // namespace sluice::ike
