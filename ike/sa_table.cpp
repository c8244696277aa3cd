// SPDX-License-Identifier: Apache-2.0
#include "ike/sa_table.hpp"

#include <cassert>
#include <cctype>

namespace sluice::ike {

IkeSa& SaTable::insert(IkeSa sa) {
    assert(!find(sa.id) && !by_local_spi(sa.local_spi));
    const IkeSaId id = sa.id;
    auto& slot = sas_[id];
    slot = std::make_unique<IkeSa>(std::move(sa));
    by_spi_[slot->local_spi] = id;
    if (!slot->request_hash.empty()) by_request_[slot->request_hash] = id;
    count_half_open(*slot);
    index_peer(*slot);
    return *slot;
}

void SaTable::erase(IkeSaId id) {
    const IkeSa* sa = find(id);
    if (!sa) return;
    forget_half_open(*sa);
    schedule(*sa, std::nullopt);
    by_spi_.erase(sa->local_spi);
    const auto request = by_request_.find(sa->request_hash);
    if (request != by_request_.end() && request->second == id) by_request_.erase(request);
    const auto peer = by_peer_.find(peer_key(sa->remote_id));
    if (peer != by_peer_.end()) {
        peer->second.erase(id);
        if (peer->second.empty()) by_peer_.erase(peer);
    }
    sas_.erase(id);
}

IkeSa* SaTable::find(IkeSaId id) {
    const auto found = sas_.find(id);
    return found == sas_.end() ? nullptr : found->second.get();
}

const IkeSa* SaTable::find(IkeSaId id) const {
    const auto found = sas_.find(id);
    return found == sas_.end() ? nullptr : found->second.get();
}

IkeSa* SaTable::by_local_spi(std::uint64_t spi) {
    const auto found = by_spi_.find(spi);
    return found == by_spi_.end() ? nullptr : find(found->second);
}

IkeSa* SaTable::by_request(const ByteVec& hash, const net::IpAddress& address) {
    const auto found = by_request_.find(hash);
    if (found == by_request_.end()) return nullptr;
    IkeSa* sa = find(found->second);
    return sa && sa->path.remote.address == address ? sa : nullptr;
}

void SaTable::set_phase(IkeSa& sa, Phase phase) {
    sa.phase = phase;
    if (!sa.half_open()) forget_half_open(sa);
    index_peer(sa);
}

// Host names and mail addresses compare without case, so their keys are lower case.
ByteVec SaTable::peer_key(const Identity& identity) {
    ByteVec key{static_cast<Byte>(identity.type)};
    const bool text = identity.type == IdType::fqdn || identity.type == IdType::email;
    for (const Byte byte : identity.data) key.push_back(text ? static_cast<Byte>(std::tolower(byte)) : byte);
    return key;
}

void SaTable::index_peer(const IkeSa& sa) {
    if (sa.phase == Phase::established || sa.phase == Phase::deleting) by_peer_[peer_key(sa.remote_id)].insert(sa.id);
}

void SaTable::schedule(const IkeSa& sa, std::optional<Instant> deadline) {
    const auto old = scheduled_.find(sa.id);
    if (old != scheduled_.end()) {
        deadlines_.erase({old->second, sa.id});
        scheduled_.erase(old);
    }
    if (!deadline) return;
    deadlines_.insert({*deadline, sa.id});
    scheduled_[sa.id] = *deadline;
}

std::size_t SaTable::half_open(const net::IpAddress& address) const {
    const auto found = half_open_by_address_.find(address);
    return found == half_open_by_address_.end() ? 0 : found->second;
}

std::optional<Instant> SaTable::next_deadline() const {
    if (deadlines_.empty()) return std::nullopt;
    return deadlines_.begin()->first;
}

std::vector<IkeSaId> SaTable::due(Instant now) const {
    std::vector<IkeSaId> list;
    for (const auto& [when, id] : deadlines_) {
        if (when > now) break;
        list.push_back(id);
    }
    return list;
}

std::vector<IkeSaId> SaTable::ids() const {
    std::vector<IkeSaId> list;
    for (const auto& [id, sa] : sas_) list.push_back(id);
    return list;
}

void SaTable::count_half_open(const IkeSa& sa) {
    if (!sa.half_open()) return;
    ++half_open_;
    ++half_open_by_address_[sa.path.remote.address];
    counted_[sa.id] = sa.path.remote.address;
}

void SaTable::forget_half_open(const IkeSa& sa) {
    const auto counted = counted_.find(sa.id);
    if (counted == counted_.end()) return;
    --half_open_;
    const auto found = half_open_by_address_.find(counted->second);
    if (found != half_open_by_address_.end() && --found->second == 0) half_open_by_address_.erase(found);
    counted_.erase(counted);
}

}  // namespace sluice::ike
