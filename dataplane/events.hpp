// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>

#include "dataplane/dataplane.hpp"
#include "dataplane/flow.hpp"
#include "dataplane/sa.hpp"
#include "lib/base/result.hpp"

struct rte_ring;
struct rte_mbuf;

// What goes between control and a worker, and between workers: rings, nothing else.
namespace sluice::dataplane {

// What a worker tells control. One plain struct for all kinds, copied through the ring.
enum class EventKind : std::uint8_t {
    acquire,
    soft_expire,
    hard_expire,
    endpoint_changed,
    neighbour_missing,
    path_mtu
};
struct Event {
    EventKind kind = EventKind::acquire;
    PortId port{};                  // neighbour_missing
    PolicyId policy{};              // acquire
    ChildSaId child{};              // expires, endpoint_changed
    std::uint16_t remote_port = 0;  // endpoint_changed
    Spi spi{};                      // path_mtu: of the ESP packet that was too big
    std::uint32_t mtu = 0;          // path_mtu: what the router says, bytes
    std::uint32_t quoted = 0;       // path_mtu: the size of that packet
    std::uint64_t cycles = 0;       // path_mtu: when, TSC
    Flow flow{};  // path_mtu: of that packet; acquire; endpoint_changed and neighbour_missing: source is the address
};
static_assert(std::is_trivially_copyable_v<Event>);

// What control tells a worker, done by it between two bursts. No pointers inside: a sleeping worker is offline to QSBR,
// so what a command would point at could be gone when it wakes up.
enum class CommandKind : std::uint8_t { release_spi, release_neighbour, update_endpoints, path_mtu };
struct Command {
    CommandKind kind = CommandKind::release_spi;
    PortId port;             // release_neighbour
    Spi spi;                 // release_spi; update_endpoints, path_mtu: the inbound one
    ChildSaId child;         // update_endpoints, path_mtu
    std::uint16_t mtu = 0;   // path_mtu: of the child's path, UINT16_MAX: not known
    net::IpAddress address;  // release_neighbour
    OuterTemplate outer;     // update_endpoints: the worker writes it into those halves that it owns
    net::Endpoint remote;    // the same
};
static_assert(std::is_trivially_copyable_v<Command>);

struct RingDeleter {
    void operator()(rte_ring* ring) const;
};

// A bounded ring of values between threads; never blocks, never allocates after make(). T is copied as bytes.
class RawRing {
  public:
    // producers: one or many threads may put(); one alone takes. size is rounded up to a power of two less one.
    enum class Producers : std::uint8_t { one, many };
    static Result<RawRing> make(const char* name, unsigned element_size, unsigned size, Producers producers);
    bool put(const void* element, unsigned element_size);
    bool take(void* element, unsigned element_size);
    unsigned put_burst(const void* elements, unsigned element_size, unsigned count);
    unsigned take_burst(void* elements, unsigned element_size, unsigned count);
    unsigned depth() const;
    bool empty() const;

  private:
    explicit RawRing(rte_ring* ring) : ring_(ring) {}
    std::unique_ptr<rte_ring, RingDeleter> ring_;
};

template <class T>
class Ring {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % 4 == 0);

  public:
    static Result<Ring> make(const char* name, unsigned size, RawRing::Producers producers) {
        auto raw = RawRing::make(name, sizeof(T), size, producers);
        if (!raw) return raw.error();
        return Ring{std::move(*raw)};
    }
    bool put(const T& value) { return raw_.put(&value, sizeof(T)); }
    bool take(T& value) { return raw_.take(&value, sizeof(T)); }
    unsigned put_burst(std::span<const T> values) {
        return raw_.put_burst(values.data(), sizeof(T), static_cast<unsigned>(values.size()));
    }
    unsigned take_burst(std::span<T> values) {
        return raw_.take_burst(values.data(), sizeof(T), static_cast<unsigned>(values.size()));
    }
    unsigned depth() const { return raw_.depth(); }
    bool empty() const { return raw_.empty(); }

  private:
    explicit Ring(RawRing raw) : raw_(std::move(raw)) {}
    RawRing raw_;
};

// The rings of one worker.
struct WorkerRings {
    Ring<Command> commands;    // control -> worker
    Ring<Event> events;        // worker -> control
    Ring<rte_mbuf*> handover;  // other workers -> worker
    static Result<std::unique_ptr<WorkerRings>> make(WorkerId worker);
};

}  // namespace sluice::dataplane
