// SPDX-License-Identifier: Apache-2.0

// The half of IkeDriver that serves people: initiate and terminate, and who waits for them.

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "control/daemon/ike_driver.hpp"
#include "control/daemon/socket_address.hpp"

namespace sluice::control {
namespace {

// What was not asked for fits everything.
bool fits(const std::string& wanted, const std::string& name) { return wanted.empty() || wanted == name; }
bool fits(std::uint32_t wanted, std::uint32_t id) { return wanted == 0 || wanted == id; }

// Whether an IKE SA other than the one that is told of still stands or is being made for the same connection.
bool carried_on(const std::vector<ike::IkeView>& ikes, const ike::Notice& notice) {
    return std::any_of(ikes.begin(), ikes.end(), [&](const ike::IkeView& ike) {
        const bool lives = ike.state == "ESTABLISHED" || (ike.initiator && ike.state == "CONNECTING");
        return lives && ike.name == notice.ike_name && ike.id != notice.ike;
    });
}

// An older SA of the same child that goes (child_down), a stray message (protocol_error), and an IKE SA that was
// rekeyed or replaced end nothing.
bool ends_attempt(const ike::Notice& notice, const ike::Engine& engine) {
    switch (notice.kind) {
        case ike::NoticeKind::authentication_failed:
        case ike::NoticeKind::no_proposal:
        case ike::NoticeKind::ts_unacceptable:
            return true;
        case ike::NoticeKind::peer_unreachable:
        case ike::NoticeKind::ike_down:
            return !carried_on(engine.list(), notice);
        default:
            return false;
    }
}

bool is_host(const net::Prefix& prefix) { return prefix.length == prefix.address.size() * 8; }

net::IpAddress first_host(const std::vector<net::Prefix>& prefixes) {
    const auto it = std::find_if(prefixes.begin(), prefixes.end(), is_host);
    return it == prefixes.end() ? net::IpAddress{} : it->address;
}

}  // namespace

net::IpAddress source_address_towards(const net::IpAddress& remote) {
    SocketAddress address{};
    const socklen_t size = fill(address, {remote, 500});
    const int fd = ::socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return {};
    net::IpAddress source;
    socklen_t own_size = sizeof address;
    if (::connect(fd, &address.any, size) == 0 && ::getsockname(fd, &address.any, &own_size) == 0) {
        source = endpoint_of(address).address;
    }
    ::close(fd);
    return source;
}

net::IpAddress IkeDriver::source_towards(const ike::ConnectionConfig& connection) {
    if (first_host(connection.local_addrs)) return {};  // the engine takes it from the configuration
    const auto remote = first_host(connection.remote_addrs);
    return remote ? source_address_towards(remote) : net::IpAddress{};
}

const ike::ConnectionConfig* IkeDriver::find_connection(const ike::Engine::InitiateRequest& request) const {
    for (const auto& connection : connections_) {
        if (!fits(request.connection, connection.name)) continue;
        const bool has_child = std::any_of(connection.children.begin(), connection.children.end(),
                                           [&](const auto& child) { return child.name == request.child; });
        if (request.child.empty() || has_child) return &connection;
    }
    return nullptr;
}

// An acquire of a connection without a fixed local address: only the kernel's route knows where to speak from.
bool IkeDriver::acquire_from_route(const ipsec::Acquire& acquire) {
    for (const auto& connection : connections_) {
        for (const auto& child : connection.children) {
            if (child.policy != acquire.policy) continue;
            ike::Engine::InitiateRequest request;
            request.local = source_towards(connection);
            if (!request.local) return false;
            request.connection = connection.name;
            request.child = child.name;
            request.packet = acquire.packet;
            initiate(std::move(request), {}, [](const Result<void>&) {});
            return true;
        }
    }
    return false;
}

void IkeDriver::initiate(ike::Engine::InitiateRequest request, Duration timeout, Completion done) {
    const auto* connection = find_connection(request);
    if (!request.local && connection != nullptr) request.local = source_towards(*connection);
    Waiter waiter;
    waiter.initiating = true;
    waiter.ike_name = request.connection;
    waiter.child_name = request.child;
    waiter.done = std::move(done);
    const auto ticket = wait(std::move(waiter), timeout);
    auto actions = engine_.initiate(request, parts_.reactor.now());
    if (!actions) return finish(ticket, actions.error());
    carry_out(std::move(*actions));
}

IkeDriver::Waiter IkeDriver::waiter_for(const ike::Engine::TerminateRequest& request) const {
    Waiter waiter;
    const bool names_child = !request.child.empty() || request.child_id != 0;
    for (const auto& ike : engine_.list()) {
        if (!fits(request.ike, ike.name) || !fits(request.ike_id, ike.id.value)) continue;
        if (!names_child) waiter.ikes.insert(ike.id);
        for (const auto& child : ike.children) {
            const bool ours = fits(request.child, child.sa.name) && fits(request.child_id, child.sa.id.value);
            if (names_child && ours) waiter.children.emplace(child.sa.id, ike.id);
        }
    }
    return waiter;
}

void IkeDriver::terminate(const ike::Engine::TerminateRequest& request, Duration timeout, Completion done) {
    Waiter waiter = waiter_for(request);
    waiter.done = std::move(done);
    const auto ticket = wait(std::move(waiter), timeout);
    auto actions = engine_.terminate(request, parts_.reactor.now());
    if (!actions) return finish(ticket, actions.error());
    carry_out(std::move(*actions));
}

Result<std::size_t> IkeDriver::rekey(const ike::Engine::RekeyRequest& request) {
    auto rekeyed = engine_.rekey(request, parts_.reactor.now());
    if (!rekeyed) return rekeyed.error();
    carry_out(std::move(rekeyed->actions));
    return rekeyed->matched;
}

std::uint64_t IkeDriver::wait(Waiter waiter, Duration timeout) {
    const auto ticket = next_ticket_++;
    waiter.ticket = ticket;
    if (timeout > Duration{}) {
        waiter.timer = parts_.reactor.post_after(timeout, [this, ticket] {
            finish(ticket, fail(ErrorCode::exhausted, "timed out; it goes on without being waited for"));
        });
    }
    waiters_.push_back(std::move(waiter));
    return ticket;
}

void IkeDriver::finish(std::uint64_t ticket, Result<void> result) {
    const auto it = std::find_if(waiters_.begin(), waiters_.end(), [&](const auto& w) { return w.ticket == ticket; });
    if (it == waiters_.end()) return;
    const Completion done = std::move(it->done);
    parts_.reactor.cancel(it->timer);
    waiters_.erase(it);
    done(std::move(result));
}

void IkeDriver::tell_waiters(const ike::Notice& notice) {
    using Kind = ike::NoticeKind;
    std::vector<std::pair<std::uint64_t, Result<void>>> ended;
    for (auto& waiter : waiters_) {
        if (!waiter.initiating) {
            if (notice.kind == Kind::child_down) waiter.children.erase(notice.child);
            if (notice.kind == Kind::ike_down) {
                waiter.ikes.erase(notice.ike);
                std::erase_if(waiter.children, [&](const auto& child) { return child.second == notice.ike; });
            }
            if (waiter.ikes.empty() && waiter.children.empty()) ended.emplace_back(waiter.ticket, Result<void>{});
            continue;
        }
        const bool concerns = fits(waiter.ike_name, notice.ike_name) && fits(notice.child_name, waiter.child_name);
        if (!concerns) continue;
        const bool up = waiter.child_name.empty() ? notice.kind == Kind::ike_up
                                                  : notice.kind == Kind::child_up && !notice.child_name.empty();
        if (up) ended.emplace_back(waiter.ticket, Result<void>{});
        if (ends_attempt(notice, engine_)) ended.emplace_back(waiter.ticket, fail(ErrorCode::io, notice.text));
    }
    for (auto& [ticket, result] : ended) finish(ticket, std::move(result));
}

}  // namespace sluice::control
