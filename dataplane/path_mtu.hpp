// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "dataplane/events.hpp"
#include "lib/ipsec/child_sa.hpp"

namespace sluice::dataplane {

// What ICMP has said about the paths of outbound SAs (RFC 4301 8.2; TRAPS 40). Workers report, this decides: an error
// counts where it quotes ESP that an SA here can have sent, and it narrows the path of that SA alone, for a time.
// Control thread only.
class PathMtuBook {
  public:
    // age: TSC cycles for which a report is believed.
    explicit PathMtuBook(std::uint64_t age) : age_(age) {}

    void add(const ipsec::ChildSa& sa) { by_spi_.emplace(sa.outbound.spi, sa.id); }
    void remove(const ipsec::ChildSa& sa);
    // The SA has another path. True: something was known of the old one.
    bool forget(ChildSaId child) { return paths_.erase(child) != 0; }

    // SAs with the SPI that the report names; the caller knows their endpoints.
    std::vector<ChildSaId> candidates(Spi spi) const;
    // What is believed of a report about this SA, or 0 for nothing new.
    std::uint16_t learn(const ipsec::ChildSa& sa, const Event& report);
    // SAs whose path counts as wide as its port again.
    std::vector<ChildSaId> take_expired(std::uint64_t now);
    std::size_t known() const { return paths_.size(); }

  private:
    struct Path {
        std::uint16_t mtu;
        std::uint64_t expires;  // TSC cycles
    };
    std::uint64_t age_;
    std::unordered_multimap<Spi, ChildSaId> by_spi_;  // a peer's SPI is its own: two peers may choose the same
    std::unordered_map<ChildSaId, Path> paths_;
};

}  // namespace sluice::dataplane
