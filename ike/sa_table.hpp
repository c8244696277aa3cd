// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "ike/ike_sa.hpp"

namespace sluice::ike {

// Every IKE SA of this node, owned here, found by id, by our SPI and by the hash of the request that made it; with the
// half-open counts and the deadlines. References to an IkeSa stay good until erase().
class SaTable {
  public:
    // sa.id and sa.local_spi must be free.
    IkeSa& insert(IkeSa sa);
    void erase(IkeSaId id);

    IkeSa* find(IkeSaId id);
    const IkeSa* find(IkeSaId id) const;
    IkeSa* by_local_spi(std::uint64_t spi);
    // Responder SAs whose IKE_SA_INIT request had this hash (RFC 7296 2.1) and came from this address.
    IkeSa* by_request(const ByteVec& hash, const net::IpAddress& address);

    // What changes a key of an index goes through here.
    void set_phase(IkeSa& sa, Phase phase);  // remote_id is known when the phase becomes established
    void schedule(const IkeSa& sa, std::optional<Instant> deadline);

    std::size_t half_open() const { return half_open_; }
    std::size_t half_open(const net::IpAddress& address) const;

    std::optional<Instant> next_deadline() const;
    // The SAs that are due, the earliest first.
    std::vector<IkeSaId> due(Instant now) const;
    std::vector<IkeSaId> ids() const;  // ascending

    // In order of id: runs repeat exactly.
    template <class F>
    void for_each(F&& visit) {
        for (auto& [id, sa] : sas_) visit(*sa);
    }
    template <class F>
    void for_each(F&& visit) const {
        for (const auto& [id, sa] : sas_) visit(static_cast<const IkeSa&>(*sa));
    }

    // The IKE SAs that are or were established with a peer, by its identity, in order of id. visit() may close them.
    template <class F>
    void for_peer(const Identity& remote, F&& visit) {
        const auto found = by_peer_.find(peer_key(remote));
        if (found == by_peer_.end()) return;
        for (const IkeSaId id : found->second) visit(*find(id));
    }

  private:
    static ByteVec peer_key(const Identity& identity);
    void index_peer(const IkeSa& sa);
    void count_half_open(const IkeSa& sa);
    void forget_half_open(const IkeSa& sa);

    std::map<IkeSaId, std::unique_ptr<IkeSa>> sas_;
    std::unordered_map<std::uint64_t, IkeSaId> by_spi_;
    std::map<ByteVec, IkeSaId> by_request_;
    std::map<ByteVec, std::set<IkeSaId>> by_peer_;
    std::size_t half_open_ = 0;
    std::unordered_map<net::IpAddress, std::size_t> half_open_by_address_;
    std::unordered_map<IkeSaId, net::IpAddress> counted_;  // half-open SAs, under the address they came from
    std::set<std::pair<Instant, IkeSaId>> deadlines_;
    std::unordered_map<IkeSaId, Instant> scheduled_;
};

}  // namespace sluice::ike
