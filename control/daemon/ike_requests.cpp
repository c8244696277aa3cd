// SPDX-License-Identifier: Apache-2.0

// The half of IkeDriver that serves people: initiate and terminate, and who waits for them.

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "control/daemon/ike_driver.hpp"

namespace sluice::control {
namespace {

bool fits(const std::string& wanted, const std::string& name) { return wanted.empty() || wanted == name; }

bool is_host(const net::Prefix& prefix) { return prefix.length == prefix.address.size() * 8; }

net::IpAddress first_host(const std::vector<net::Prefix>& prefixes) {
    const auto it = std::find_if(prefixes.begin(), prefixes.end(), is_host);
    return it == prefixes.end() ? net::IpAddress{} : it->address;
}

}  // namespace

net::IpAddress source_address_towards(const net::IpAddress& remote) {
    const int domain = remote.is_v4() ? AF_INET : AF_INET6;
    const int fd = ::socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return {};
    sockaddr_storage to{};
    socklen_t size = 0;
    if (remote.is_v4()) {
        auto& v4 = reinterpret_cast<sockaddr_in&>(to);
        v4.sin_family = AF_INET;
        v4.sin_port = htons(500);
        std::memcpy(&v4.sin_addr, remote.bytes().data(), 4);
        size = sizeof v4;
    } else {
        auto& v6 = reinterpret_cast<sockaddr_in6&>(to);
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(500);
        std::memcpy(&v6.sin6_addr, remote.bytes().data(), 16);
        size = sizeof v6;
    }
    net::IpAddress source;
    sockaddr_storage own{};
    socklen_t own_size = sizeof own;
    if (::connect(fd, reinterpret_cast<sockaddr*>(&to), size) == 0 &&
        ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) == 0) {
        std::array<Byte, 16> bytes{};
        if (own.ss_family == AF_INET) {
            std::memcpy(bytes.data(), &reinterpret_cast<sockaddr_in&>(own).sin_addr, 4);
            source = net::IpAddress::v4(std::span<const Byte, 4>(bytes.data(), 4));
        } else {
            std::memcpy(bytes.data(), &reinterpret_cast<sockaddr_in6&>(own).sin6_addr, 16);
            source = net::IpAddress::v6(bytes);
        }
    }
    ::close(fd);
    return source;
}

net::IpAddress IkeDriver::source_towards(const ike::Engine::InitiateRequest& request) const {
    for (const auto& connection : connections_) {
        if (!fits(request.connection, connection.name)) continue;
        const bool has_child = std::any_of(connection.children.begin(), connection.children.end(),
                                           [&](const auto& child) { return child.name == request.child; });
        if (!request.child.empty() && !has_child) continue;
        if (first_host(connection.local_addrs)) return {};  // the engine takes it from the configuration
        const auto remote = first_host(connection.remote_addrs);
        return remote ? source_address_towards(remote) : net::IpAddress{};
    }
    return {};
}

IkeDriver::Ticket IkeDriver::initiate(ike::Engine::InitiateRequest request, Duration timeout, Completion done) {
    if (!request.local) request.local = source_towards(request);
    Waiter waiter;
    waiter.initiating = true;
    waiter.ike_name = request.connection;
    waiter.child_name = request.child;
    waiter.done = std::move(done);
    const Ticket ticket = wait(std::move(waiter), timeout);
    auto actions = engine_.initiate(request, parts_.reactor.now());
    if (actions) {
        carry_out(std::move(*actions));
    } else {
        finish(ticket, actions.error());
    }
    return ticket;
}

IkeDriver::Waiter IkeDriver::waiter_for(const ike::Engine::TerminateRequest& request) const {
    Waiter waiter;
    for (const auto& ike : engine_.list()) {
        const bool ike_fits = fits(request.ike, ike.name) && (request.ike_id == 0 || request.ike_id == ike.id.value);
        if (!ike_fits) continue;
        if (request.child.empty() && request.child_id == 0) waiter.ike_left.insert(ike.id);
        for (const auto& child : ike.children) {
            const bool named = !request.child.empty() && request.child == child.sa.name;
            if (named || (request.child_id != 0 && request.child_id == child.sa.id.value)) {
                waiter.child_left.insert(child.sa.id);
            }
        }
    }
    return waiter;
}

IkeDriver::Ticket IkeDriver::terminate(const ike::Engine::TerminateRequest& request, Duration timeout,
                                       Completion done) {
    Waiter waiter = waiter_for(request);
    waiter.done = std::move(done);
    const Ticket ticket = wait(std::move(waiter), timeout);
    auto actions = engine_.terminate(request, parts_.reactor.now());
    if (actions) {
        carry_out(std::move(*actions));
    } else {
        finish(ticket, actions.error());
    }
    return ticket;
}

IkeDriver::Ticket IkeDriver::wait(Waiter waiter, Duration timeout) {
    waiter.ticket = next_ticket_++;
    const Ticket ticket = waiter.ticket;
    if (timeout > Duration{}) {
        waiter.timer = parts_.reactor.post_after(timeout, [this, ticket] {
            finish(ticket, fail(ErrorCode::exhausted, "timed out; it goes on without being waited for"));
        });
    }
    waiters_.push_back(std::move(waiter));
    return ticket;
}

void IkeDriver::forget(Ticket ticket) {
    const auto it = std::find_if(waiters_.begin(), waiters_.end(), [&](const auto& w) { return w.ticket == ticket; });
    if (it == waiters_.end()) return;
    parts_.reactor.cancel(it->timer);
    waiters_.erase(it);
}

void IkeDriver::finish(Ticket ticket, Result<void> result) {
    const auto it = std::find_if(waiters_.begin(), waiters_.end(), [&](const auto& w) { return w.ticket == ticket; });
    if (it == waiters_.end()) return;
    const Completion done = std::move(it->done);
    parts_.reactor.cancel(it->timer);
    waiters_.erase(it);
    done(std::move(result));
}

void IkeDriver::tell_waiters(const ike::Notice& notice) {
    using Kind = ike::NoticeKind;
    std::vector<std::pair<Ticket, Result<void>>> ended;
    for (auto& waiter : waiters_) {
        if (!waiter.initiating) {
            if (notice.kind == Kind::ike_down) waiter.ike_left.erase(notice.ike);
            if (notice.kind == Kind::child_down) waiter.child_left.erase(notice.child);
            if (waiter.ike_left.empty() && waiter.child_left.empty()) ended.emplace_back(waiter.ticket, Result<void>{});
            continue;
        }
        if (!fits(waiter.ike_name, notice.ike_name)) continue;
        const bool whole = waiter.child_name.empty() && notice.kind == Kind::ike_up;
        if (whole || (notice.kind == Kind::child_up && waiter.child_name == notice.child_name)) {
            ended.emplace_back(waiter.ticket, Result<void>{});
        } else if (notice.kind != Kind::ike_up && notice.kind != Kind::child_up && notice.kind != Kind::child_down &&
                   (notice.child_name.empty() || fits(waiter.child_name, notice.child_name))) {
            ended.emplace_back(waiter.ticket, fail(ErrorCode::auth, notice.text));
        }
    }
    for (auto& [ticket, result] : ended) finish(ticket, std::move(result));
}

}  // namespace sluice::control
