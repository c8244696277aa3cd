// SPDX-License-Identifier: Apache-2.0
#include "dataplane/backend.hpp"

#include <rte_cycles.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "dataplane/shared_sa.hpp"
#include "lib/base/log.hpp"

namespace sluice::dataplane {

namespace {

std::string number(ChildSaId id) { return std::to_string(id.value); }

Seq highest_of(const InboundSa& sa) { return sa.window.top(); }
Seq highest_of(const OutboundSa& sa) { return Seq{sa.highest.get()}; }

// What a worker has written, read while it writes on.
template <class Sa>
ipsec::SaCounters read_usage(const Sa& sa) {
    const SaUsage& u = sa.usage;
    ipsec::SaCounters c;
    c.packets = u.packets.get();
    c.bytes = u.bytes.get();
    c.highest = highest_of(sa);
    const std::uint64_t last = u.last_cycles.get();
    if (last == 0) {
        c.idle = Duration::max();
        return c;
    }
    const std::uint64_t now = rte_rdtsc();
    const std::uint64_t hz = rte_get_tsc_hz();
    const std::uint64_t cycles = now > last ? now - last : 0;
    c.idle = std::chrono::seconds{cycles / hz} + std::chrono::nanoseconds{cycles % hz * 1'000'000'000 / hz};
    return c;
}

template <class Sa>
void add_usage(ipsec::SaCounters& sum, const Sa& sa) {
    const ipsec::SaCounters c = read_usage(sa);
    sum.packets += c.packets;
    sum.bytes += c.bytes;
    sum.highest = std::max(sum.highest, c.highest);
    sum.idle = std::min(sum.idle, c.idle);
}

}  // namespace

WorkersBackend::WorkersBackend(Parts parts)
    : tables_(parts.tables),
      expander_(std::move(parts.expander)),
      rings_(parts.rings.begin(), parts.rings.end()),
      wake_(std::move(parts.wake)),
      event_fd_(parts.event_fd),
      steering_(parts.steering),
      path_mtus_(static_cast<std::uint64_t>(
                     std::chrono::duration_cast<std::chrono::milliseconds>(tables_.config.path_mtu_age).count()) *
                 (rte_get_tsc_hz() / 1000)) {}

// No worker runs any more.
WorkersBackend::~WorkersBackend() {
    std::vector<ChildSaId> ids;
    for (const auto& [id, child] : children_) ids.push_back(id);
    for (const ChildSaId id : ids) static_cast<void>(remove(id));
}

Result<void> WorkersBackend::set_policies(const ipsec::Spd& spd) {
    for (const ipsec::Policy& p : spd.policies) {
        if (p.id.value == 0) return fail(ErrorCode::invalid, "policy " + p.name + ": id 0 means none");
    }
    tables_.spd.set_policies(spd);
    return {};
}

// What was only not collected yet is no reason to refuse.
Result<void> WorkersBackend::may_grow() {
    tables_.reclaimer.collect();
    if (!tables_.reclaimer.over_limit()) return {};
    return fail(ErrorCode::exhausted, "a worker hangs: nothing that it may still read can be given back");
}

Result<void> WorkersBackend::reserve(Spi inbound) {
    if (tables_.sad.find(inbound) != nullptr || reservations_.contains(inbound)) {
        return fail(ErrorCode::conflict, "SPI " + std::to_string(inbound.value) + " is in use");
    }
    if (const auto allowed = may_grow(); !allowed) return allowed;
    auto reservation = std::make_unique<Reservation>(Reservation{inbound});
    const bool there = tables_.reserved.insert(inbound, reservation.get());
    if (!there) return fail(ErrorCode::exhausted, "no room to reserve SPI " + std::to_string(inbound.value));
    reservations_.emplace(inbound, std::move(reservation));
    return {};
}

void WorkersBackend::release(Spi inbound) {
    const auto found = reservations_.find(inbound);
    if (found == reservations_.end()) return;
    tables_.reserved.remove(inbound);
    tables_.reclaimer.retire(std::move(found->second));
    reservations_.erase(found);
    Command command;
    command.kind = CommandKind::release_spi;
    command.spi = inbound;
    broadcast(command);
}

SaPlacement WorkersBackend::place(const ipsec::ChildSa& sa) const {
    const net::IpAddress& peer = sa.segment_address ? sa.segment_address : sa.remote.address;
    const ipsec::SegmentHash& segments = tables_.config.segments;
    return {.inbound_owner = tables_.owner_of(sa.local.address, sa.inbound.spi),
            .outbound_owner = tables_.owner_of(peer, sa.outbound.spi),
            .inbound_segment = segments.inbound(sa.local.address, sa.inbound.spi),
            .outbound_segment = segments.outbound(peer, sa.outbound.spi),
            .segments = tables_.segments,
            .workers = tables_.worker_count};
}

Result<void> WorkersBackend::install(const ipsec::ChildSa& sa) {
    if (sa.id.value == 0 || children_.contains(sa.id)) {
        return fail(ErrorCode::conflict, "child SA " + number(sa.id) + " is installed already");
    }
    if (tables_.sad.find(sa.inbound.spi) != nullptr) {
        return fail(ErrorCode::conflict,
                    "inbound SPI " + std::to_string(sa.inbound.spi.value) + " is installed already");
    }
    if (const auto allowed = may_grow(); !allowed) return allowed;
    if (children_.size() >= tables_.config.max_sas) {
        return fail(ErrorCode::exhausted, "max_sas = " + std::to_string(tables_.config.max_sas) + " is reached");
    }
    auto pair = make_sa(sa, expander_, place(sa));
    if (!pair) return pair.error();
    Child& child = children_[sa.id];
    child.spec = sa;
    child.spec.inbound.keys = {};
    child.spec.outbound.keys = {};
    publish(child, std::move(*pair));
    return {};
}

// Inbound first: from here on the peer's packets are opened. Then the policy, so that no clear text slips in between.
void WorkersBackend::publish(Child& child, SaPair pair) {
    child.inbound = pair.inbound.release();
    child.outbound = pair.outbound.release();
    tables_.sad.insert(child.spec.inbound.spi, child.inbound);
    tables_.outbound.insert(Tables::child_key(child.spec.id), child.outbound);
    const CompiledSelectors selectors = CompiledSelectors::of(child.spec.local_ts, child.spec.remote_ts);
    path_mtus_.add(child.spec);
    if (child.spec.outbound_ready) {
        tables_.spd.attach(child.spec.policy, *child.outbound, selectors);
    } else if (child.spec.policy.value == 0) {
        tables_.spd.protect(*child.outbound, selectors);
    }
    release(child.spec.inbound.spi);
    steer(child);
}

// The peer's packets come to the owner by themselves where a NIC can tell them apart.
void WorkersBackend::steer(const Child& child) {
    if (steering_ == nullptr || child.inbound->shared != nullptr) return;
    steering_->add({.spi = child.spec.inbound.spi,
                    .family = child.spec.local.address.family(),
                    .encap = child.spec.encap,
                    .udp_port = child.spec.local.port},
                   child.inbound->owner);
}

Result<void> WorkersBackend::enable_outbound(ChildSaId id) {
    const auto found = children_.find(id);
    if (found == children_.end()) return fail(ErrorCode::not_found, "no child SA " + number(id));
    Child& child = found->second;
    if (child.spec.outbound_ready) return {};
    child.spec.outbound_ready = true;
    tables_.spd.attach(child.spec.policy, *child.outbound,
                       CompiledSelectors::of(child.spec.local_ts, child.spec.remote_ts));
    return {};
}

Result<void> WorkersBackend::update_endpoints(ChildSaId id, const net::Endpoint& local, const net::Endpoint& remote,
                                              bool encap) {
    const auto found = children_.find(id);
    if (found == children_.end()) return fail(ErrorCode::not_found, "no child SA " + number(id));
    if (!local.address || local.address.family() != remote.address.family()) {
        return fail(ErrorCode::invalid, "endpoints need addresses of one family");
    }
    Child& child = found->second;
    const bool moved = local.address != child.spec.local.address || remote.address != child.spec.remote.address;
    if (moved && child.spec.mode == ipsec::Mode::transport) {
        return fail(ErrorCode::unsupported, "a transport-mode SA is for its two addresses");
    }
    child.spec.local = local;
    child.spec.remote = remote;
    child.spec.encap = encap;
    Command command;
    command.kind = CommandKind::update_endpoints;
    command.spi = child.spec.inbound.spi;
    command.child = id;
    command.outer = OuterTemplate::of(local, remote, encap);
    command.remote = remote;
    tell_owners(child, command);
    steer(child);
    if (moved && path_mtus_.forget(id)) tell_path_mtu(child, UINT16_MAX);
    return {};
}

Result<void> WorkersBackend::remove(ChildSaId id) {
    const auto found = children_.find(id);
    if (found == children_.end()) return fail(ErrorCode::not_found, "no child SA " + number(id));
    Child& child = found->second;
    tables_.spd.remove(*child.outbound);
    path_mtus_.remove(child.spec);
    tables_.outbound.remove(Tables::child_key(id));
    tables_.sad.remove(child.spec.inbound.spi);
    if (steering_ != nullptr) steering_->remove(child.spec.inbound.spi);
    tables_.reclaimer.retire(std::unique_ptr<OutboundSa>(child.outbound));
    tables_.reclaimer.retire(std::unique_ptr<InboundSa>(child.inbound));
    children_.erase(found);
    tables_.reclaimer.collect();  // tens of thousands may go before maintain() comes
    return {};
}

Result<ipsec::ChildSaCounters> WorkersBackend::query(ChildSaId id) const {
    const auto found = children_.find(id);
    if (found == children_.end()) return fail(ErrorCode::not_found, "no child SA " + number(id));
    const Child& child = found->second;
    ipsec::ChildSaCounters sum{read_usage(*child.inbound), read_usage(*child.outbound)};
    for_each_slice(*child.inbound, [&](const InboundSa& slice) { add_usage(sum.inbound, slice); });
    for_each_lane(*child.outbound, [&](const OutboundSa& lane) { add_usage(sum.outbound, lane); });
    return sum;
}

void WorkersBackend::send(WorkerId worker, const Command& command) {
    // In order: behind what waits already.
    const bool queued =
        std::any_of(pending_.begin(), pending_.end(), [&](const Pending& p) { return p.worker == worker; });
    if (queued || !rings_[worker.value]->commands.put(command)) {
        pending_.push_back({worker, command});
        return;
    }
    wake_(worker);
}

void WorkersBackend::broadcast(const Command& command) {
    for (std::uint16_t w = 0; w < rings_.size(); ++w) send(WorkerId{w}, command);
}

void WorkersBackend::retry_commands() {
    std::vector<Pending> waiting = std::exchange(pending_, {});
    for (const Pending& p : waiting) send(p.worker, p.command);
    for (const Command& command : std::exchange(again_, {})) broadcast(command);
}

void WorkersBackend::collect_events() {
    std::uint64_t raised = 0;
    // Not blocking; nothing there is as good as something.
    [[maybe_unused]] const ssize_t got = ::read(event_fd_, &raised, sizeof(raised));
    Event event;
    for (WorkerRings* rings : rings_) {
        while (rings->events.take(event)) take(event);
    }
}

// The descriptor stays readable while one of the two lists has something.
void WorkersBackend::signal() const {
    if (events_.empty() && neighbours_.empty()) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t put = ::write(event_fd_, &one, sizeof(one));
}

void WorkersBackend::add_neighbours(const std::vector<NeighbourWanted>& wanted) {
    neighbours_.insert(neighbours_.end(), wanted.begin(), wanted.end());
    signal();
}

void WorkersBackend::release_neighbour(const Neighbour& n) {
    Command command;
    command.kind = CommandKind::release_neighbour;
    command.port = n.port;
    command.address = n.address;
    broadcast(command);
}

bool WorkersBackend::told_already(ChildSaId id, bool hard) {
    const auto found = children_.find(id);
    if (found == children_.end()) return true;
    return std::exchange(hard ? found->second.hard_told : found->second.soft_told, true);
}

void WorkersBackend::take(const Event& e) {
    switch (e.kind) {
        case EventKind::acquire:
            events_.emplace_back(ipsec::Acquire{e.policy, to_selector(e.flow)});
            break;
        case EventKind::soft_expire:
        case EventKind::hard_expire: {
            const bool hard = e.kind == EventKind::hard_expire;
            if (!told_already(e.child, hard)) events_.emplace_back(ipsec::Expire{e.child, hard});
            break;
        }
        case EventKind::endpoint_changed:
            if (!children_.contains(e.child)) break;
            events_.emplace_back(
                ipsec::EndpointChanged{e.child, {to_address(e.flow.source, e.flow.family), e.remote_port}});
            break;
        case EventKind::path_mtu:
            learn_path_mtu(e);
            break;
        case EventKind::neighbour_missing:
            neighbours_.push_back({to_address(e.flow.source, e.flow.family), e.port, true});
            break;
    }
}

void WorkersBackend::learn_path_mtu(const Event& report) {
    for (const ChildSaId id : path_mtus_.candidates(report.spi)) {
        const Child& child = children_.at(id);
        const std::uint16_t mtu = path_mtus_.learn(child.spec, report);
        if (mtu == 0) continue;
        log_info("net", "child SA " + number(id) + " to " + child.spec.remote.address.to_string() +
                            ": its path carries " + std::to_string(mtu) + " bytes, says an ICMP error");
        tell_path_mtu(child, mtu);
    }
}

void WorkersBackend::age_path_mtus(std::uint64_t now) {
    for (const ChildSaId id : path_mtus_.take_expired(now)) tell_path_mtu(children_.at(id), UINT16_MAX);
}

void WorkersBackend::tell_path_mtu(const Child& child, std::uint16_t mtu) {
    Command command;
    command.kind = CommandKind::path_mtu;
    command.spi = child.spec.inbound.spi;
    command.child = child.spec.id;
    command.mtu = mtu;
    tell_owners(child, command);
}

void WorkersBackend::tell_owners(const Child& child, const Command& command) {
    if (child.outbound->shared != nullptr) {
        broadcast(command);
        again_.push_back(command);  // for a slice that was on its way from one worker to another
        return;
    }
    send(child.outbound->owner, command);
    if (child.inbound->owner != child.outbound->owner) send(child.inbound->owner, command);
}

std::vector<ipsec::BackendEvent> WorkersBackend::poll_events() {
    collect_events();
    auto out = std::exchange(events_, {});
    signal();
    return out;
}

std::vector<NeighbourWanted> WorkersBackend::poll_neighbours() {
    collect_events();
    auto out = std::exchange(neighbours_, {});
    signal();
    return out;
}

}  // namespace sluice::dataplane
