// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/path.hpp"
#include "dataplane/shared_sa.hpp"

// What an SA has carried, and how far it may go; the same for both halves. The owner of the SA runs it.
namespace sluice::dataplane {

template <class Sa>
inline void Path::account(Sa& sa, std::size_t bytes) {
    SaUsage& u = sa.usage;
    u.packets.add(1);
    u.bytes.add(bytes);
    u.last_cycles.set(now_);
    if (u.packets.get() >= sa.limits.check_packets || u.bytes.get() >= sa.limits.check_bytes) reached_limit(sa);
}

template <class Sa>
[[gnu::noinline]] void Path::raise_soft(Sa& sa) {
    if (!sa.limits.soft_raised) sa.limits.soft_raised = raise({.kind = EventKind::soft_expire, .child = sa.child});
}

// Nothing is carried any more: fail closed until control has replaced or removed the SA (TRAPS 35, 37). An event that
// found its ring full is tried again by the next packet.
template <class Sa>
[[gnu::noinline]] void Path::raise_hard(Sa& sa) {
    sa.limits.hard_reached = true;
    if (!sa.limits.hard_raised) sa.limits.hard_raised = raise({.kind = EventKind::hard_expire, .child = sa.child});
}

// Of an SA that several workers carry: a share of its lifetime is used up, and the next one is taken.
template <class Sa>
void Path::used_share(Sa& sa) {
    const auto more = [](Allowance& allowance, std::uint64_t used, std::uint64_t& check) {
        while (used >= check) {
            const std::uint64_t share = allowance.take();
            if (share == 0) return false;
            check = share == Allowance::kUnlimited ? share : check + share;
        }
        return true;
    };
    const bool packets = more(sa.shared->packets, sa.usage.packets.get(), sa.limits.check_packets);
    const bool bytes = more(sa.shared->bytes, sa.usage.bytes.get(), sa.limits.check_bytes);
    if (sa.shared->packets.soft_reached() || sa.shared->bytes.soft_reached()) raise_soft(sa);
    if (!packets || !bytes) raise_hard(sa);
}

template <class Sa>
[[gnu::noinline]] void Path::reached_limit(Sa& sa) {
    if (sa.shared != nullptr) return used_share(sa);
    const ipsec::Lifetime& l = sa.lifetime;
    const std::uint64_t packets = sa.usage.packets.get();
    const std::uint64_t bytes = sa.usage.bytes.get();
    const auto over = [](std::uint64_t value, std::uint64_t limit) { return limit != 0 && value >= limit; };
    const bool soft = over(packets, l.soft_packets) || over(bytes, l.soft_bytes);
    if (soft) raise_soft(sa);
    if (over(packets, l.hard_packets) || over(bytes, l.hard_bytes)) raise_hard(sa);
    const auto ahead = [](std::uint64_t value, std::uint64_t low, std::uint64_t high) {
        std::uint64_t next = ~0ULL;
        if (low > value) next = low;
        if (high > value && high < next) next = high;
        return next;
    };
    sa.limits.check_packets = ahead(packets, l.soft_packets, l.hard_packets);
    sa.limits.check_bytes = ahead(bytes, l.soft_bytes, l.hard_bytes);
    if (soft && !sa.limits.soft_raised) sa.limits.check_packets = packets + 1;
}

}  // namespace sluice::dataplane
