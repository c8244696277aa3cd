// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/counters.hpp"
#include "dataplane/crypto_engine.hpp"
#include "dataplane/flow.hpp"
#include "lib/esp/iv.hpp"
#include "lib/esp/layout.hpp"
#include "lib/esp/replay.hpp"
#include "lib/esp/sequence.hpp"
#include "lib/ipsec/child_sa.hpp"

namespace sluice::dataplane {

struct NextHop;

// SAs as a worker reads them. Control makes them, publishes them (SpiTable, SpdIndex) and retires them; one worker, the
// owner, carries their traffic. Other workers read `owner` and the selectors and hand packets over, so that sequence
// numbers, IVs and replay windows have one writer (TRAPS 44).
//
// Cache lines: line 0 is read only and is what a packet needs first; then the header template; what the owner writes
// has lines of its own; the expanded key comes behind them, and last what few packets ask for.

// The outer headers of an SA: IPv4 or IPv6, and UDP where encapsulated. Changed by the owner alone, between two bursts,
// when control sends it a new one (update_endpoints). One cache line.
struct alignas(64) OuterTemplate {
    static constexpr std::size_t kMaxSize = 48;
    // The headers end where the array ends, so that one copy of fixed size, ending at the ESP header, writes them
    // whatever their size is; what it writes in front of them is headroom.
    Byte bytes[kMaxSize] = {};
    esp::OuterShape shape;
    std::uint8_t size = 0;
    std::uint16_t ipv4_sum = 0;  // IPv4: ones' complement sum of the template's header words

    static OuterTemplate of(const net::Endpoint& local, const net::Endpoint& remote, bool encap);
    const Byte* begin() const { return bytes + kMaxSize - size; }
    Byte* begin() { return bytes + kMaxSize - size; }
};
static_assert(sizeof(OuterTemplate) == 64);

// The TOS or traffic class of an outer header: the inner one's bits in keep, and set.
struct TosRule {
    std::uint8_t keep = 0xff;
    std::uint8_t set = 0;
    std::uint8_t of(std::uint8_t inner) const { return static_cast<std::uint8_t>((inner & keep) | set); }
};

// Where an SA's outer packets go, found once for each FIB. Owner writes. The zero value is none.
struct SaWay {
    std::uint64_t generation = 0;  // of the FIB that it was found in
    const NextHop* hop = nullptr;  // of that FIB
    std::uint32_t room = 0;        // bytes of the largest inner packet that leaves in one outer packet
    std::uint16_t mtu = 0;         // of the port
};

// How far one half of an SA has come. Owner writes, control reads.
struct SaUsage {
    Count packets;
    Count bytes;
    Count last_cycles;  // TSC of the last burst that used it, 0: never
};

// The limits of ipsec::Lifetime that concern a worker, folded so that a packet makes two compares. Owner writes.
struct SaLimits {
    std::uint64_t check_packets = ~0ULL;  // the next limit ahead
    std::uint64_t check_bytes = ~0ULL;
    bool soft_raised = false;
    bool hard_reached = false;
    bool hard_raised = false;

    static SaLimits of(const ipsec::Lifetime& lifetime);
};

class SegmentMap;
struct SharedOutbound;  // shared_sa.hpp
struct SharedInbound;

// The worker that carries a half. Fixed when it is made, but for a slice of a shared inbound SA, whose owner passes it
// on: the new one sees all that the old one wrote to it.
class Owner {
  public:
    Owner& operator=(WorkerId worker) {
        worker_.store(worker.value, std::memory_order_release);
        return *this;
    }
    operator WorkerId() const { return WorkerId(worker_.load(std::memory_order_acquire)); }  // NOLINT: reads as a value
    friend bool operator==(const Owner& a, WorkerId b) { return WorkerId(a) == b; }

  private:
    std::atomic<std::uint16_t> worker_{0};
};

struct alignas(64) OutboundSa {
    // Line 0, read only.
    Spi spi;
    ChildSaId child;
    WorkerId owner;
    SegmentId segment;
    esp::Layout layout;
    bool esn = false;
    bool random_iv = false;
    bool ruled = false;  // in transport mode, or with rules of its own: the path takes the long way
    bool transport = false;
    std::uint8_t key_lines = 0;  // CryptoKey::front_lines()
    ipsec::CopyDf df = ipsec::CopyDf::copy;
    TosRule tos;
    std::uint64_t iv_prefix = 0;
    SharedOutbound* shared = nullptr;  // the same for the head and its lanes; null: one worker carries the SA

    OuterTemplate outer;

    // Owner writes.
    alignas(64) esp::OutboundSequence sequence;
    esp::IvRange ivs;
    SaWay way;
    alignas(64) SaUsage usage;
    Count highest;  // the last number that was used
    SaLimits limits;

    CryptoKey key;

    // Of few packets.
    ipsec::Lifetime lifetime;               // read only
    ipsec::PacketRules rules;               // read only
    std::uint16_t path_mtu = UINT16_MAX;    // what ICMP has said of the path; the owner changes it with way
    std::unique_ptr<SharedOutbound> owned;  // of a head

    explicit OutboundSa(bool extended);
    ~OutboundSa();
    void prefetch() const {
        __builtin_prefetch(this);
        __builtin_prefetch(&outer);
        __builtin_prefetch(&sequence);
        __builtin_prefetch(&usage);
    }
};
static_assert(offsetof(OutboundSa, key) == 4 * 64 && sizeof(SaWay) + sizeof(esp::OutboundSequence) <= 64);

// What an inbound half is: all of an SA; the head of one that several workers carry; or a slice of such a one.
enum class Sharing : std::uint8_t { none, head, slice };

struct alignas(64) InboundSa {
    // Line 0: what a packet needs first. Read only but for encap and a slice's owner.
    Spi spi;
    ChildSaId child;
    Owner owner;
    SegmentId segment;
    esp::Layout layout;
    bool esn = false;
    bool encap = false;  // the owner changes it with remote, as OuterTemplate
    bool copy_ecn = true;
    bool ruled = false;  // as OutboundSa
    bool transport = false;
    std::uint8_t key_lines = 0;  // CryptoKey::front_lines()
    ipsec::CopyDscp dscp = ipsec::CopyDscp::out;
    Sharing sharing = Sharing::none;
    // Owner writes.
    esp::EsnResync resync;
    std::uint32_t resync_attempt = 0;  // the next failure is tried again this many high halves further (RFC 4303 A3)
    esp::ReplayWindow window;

    alignas(64) SaUsage usage;
    SaLimits limits;

  private:
    static constexpr std::size_t kNearWords = 2;
    std::uint64_t near_bitmap_[kNearWords];  // of a window of at most 64

  public:
    alignas(64) CompiledSelectors selectors;  // read only

    CryptoKey key;

    SharedInbound* shared = nullptr;  // read only; the same for a head and its slices
    std::uint16_t part = 0;           // of a slice, in the segment map; read only

    // Of few packets.
    ipsec::Lifetime lifetime;             // read only
    ipsec::PacketRules rules;             // read only
    std::uint16_t path_mtu = UINT16_MAX;  // of the other half's path; the owner changes it
    net::Endpoint remote;                 // what the SA has; the owner changes it
    net::Endpoint reported;               // the last change that was reported
    std::uint64_t reported_cycles = 0;    // and when, in TSC cycles; 0: never

    std::unique_ptr<SharedInbound> owned;  // of a head

    // window_size: packets, 0 to ReplayWindow::kMaxSize.
    InboundSa(std::uint32_t window_size, bool extended);
    ~InboundSa();
    void prefetch() const {
        __builtin_prefetch(this);
        __builtin_prefetch(&usage);
        __builtin_prefetch(&selectors);
    }

  private:
    InboundSa(std::uint32_t window_size, bool extended, std::unique_ptr<std::uint64_t[]> far);
    static std::unique_ptr<std::uint64_t[]> far_bitmap(std::uint32_t window_size);
    std::unique_ptr<std::uint64_t[]> far_bitmap_;  // of a wider one
};

// Both halves of a child SA, as control owns them.
struct SaPair {
    std::unique_ptr<InboundSa> inbound;
    std::unique_ptr<OutboundSa> outbound;
};

struct SaPlacement {
    WorkerId inbound_owner;
    WorkerId outbound_owner;
    SegmentId inbound_segment;
    SegmentId outbound_segment;
    const SegmentMap& segments;  // for SAs that several workers carry
    unsigned workers = 1;
};
// Checks the specification and builds both halves. unsupported: mode or algorithm; invalid: keys, SPIs, addresses,
// window.
Result<SaPair> make_sa(const ipsec::ChildSa& child, const KeyExpander& expander, const SaPlacement& placement);

}  // namespace sluice::dataplane
