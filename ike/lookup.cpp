// SPDX-License-Identifier: Apache-2.0
#include "ike/lookup.hpp"

#include <algorithm>
#include <cctype>

#include "lib/crypto/distinguished_name.hpp"

namespace sluice::ike {
namespace {

bool is_host(const net::Prefix& prefix) { return prefix.length == prefix.address.size() * 8 && prefix.address; }

// How narrowly a list admits an address: -1 not at all, 0 where it names none, else the prefix length + 1.
int specificity(const std::vector<net::Prefix>& prefixes, const net::IpAddress& address) {
    if (prefixes.empty()) return 0;
    int best = -1;
    for (const net::Prefix& prefix : prefixes)
        if (prefix.contains(address)) best = std::max(best, prefix.length + 1);
    return best;
}

bool equal_without_case(Bytes a, Bytes b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](Byte x, Byte y) { return std::tolower(x) == std::tolower(y); });
}

bool names(const PskSecret& secret, const Identity& identity) {
    return std::any_of(secret.ids.begin(), secret.ids.end(),
                       [&](const Identity& id) { return identity_matches(id, identity); });
}

}  // namespace

Connections connections_for(const Connections& all, const net::IpAddress& local, const net::IpAddress& remote) {
    struct Ranked {
        int remote;
        int local;
        Connection connection;
    };
    std::vector<Ranked> ranked;
    for (const Connection& connection : all) {
        const int r = specificity(connection->remote_addrs, remote);
        const int l = specificity(connection->local_addrs, local);
        if (r >= 0 && l >= 0) ranked.push_back({r, l, connection});
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
        return a.remote != b.remote ? a.remote > b.remote : a.local > b.local;
    });
    Connections list;
    for (Ranked& entry : ranked) list.push_back(std::move(entry.connection));
    return list;
}

bool identity_matches(const Identity& configured, const Identity& actual) {
    if (configured.is_any()) return true;
    if (configured.type != actual.type) return false;
    if (configured.type == IdType::fqdn || configured.type == IdType::email)
        return equal_without_case(configured.data, actual.data);
    if (configured.type == IdType::dn) return crypto::dn_equal(configured.data, actual.data);
    return configured.data == actual.data;
}

Identity own_identity(const AuthConfig& config, const net::IpAddress& address) {
    if (!config.id.is_any()) return config.id;
    if (config.method == AuthMethod::null) return {IdType::null, {}};
    if (config.method == AuthMethod::pubkey && !config.certs.empty())
        return {IdType::dn, config.certs.front().subject()};
    return {address.is_v4() ? IdType::ipv4 : IdType::ipv6, to_vec(address.bytes())};
}

Connection connection_for_identities(const Connections& candidates, const net::IpAddress& local, const Identity& remote,
                                     const std::optional<Identity>& asked) {
    Connection fallback;
    for (const Connection& connection : candidates) {
        if (!identity_matches(connection->remote.id, remote)) continue;
        if (asked && !identity_matches(*asked, own_identity(connection->local, local))) continue;
        if (!connection->remote.id.is_any()) return connection;
        if (!fallback) fallback = connection;
    }
    return fallback;
}

const PskSecret* find_psk(const std::vector<PskSecret>& secrets, const Identity& local, const Identity& remote) {
    const PskSecret* best = nullptr;
    int best_score = -1;
    for (const PskSecret& secret : secrets) {
        const bool ours_alone = std::all_of(secret.ids.begin(), secret.ids.end(),
                                            [&](const Identity& id) { return identity_matches(id, local); });
        if (!names(secret, remote) && !ours_alone) continue;
        const int score = (names(secret, remote) ? 2 : 0) + (names(secret, local) ? 1 : 0);
        if (score > best_score) {
            best = &secret;
            best_score = score;
        }
    }
    return best;
}

net::IpAddress first_host(const std::vector<net::Prefix>& prefixes, net::Family family) {
    for (const net::Prefix& prefix : prefixes)
        if (is_host(prefix) && (family == net::Family::none || prefix.address.family() == family))
            return prefix.address;
    return {};
}

ChildRef find_child(const Connections& all, std::string_view connection, std::string_view child) {
    for (const Connection& candidate : all) {
        if (!connection.empty() && candidate->name != connection) continue;
        if (child.empty() && (connection.empty() || candidate->children.empty())) continue;
        const ChildConfig* found = child.empty() ? &candidate->children.front() : find_child(*candidate, child);
        if (found) return {candidate, found};
    }
    return {};
}

Connection find_connection(const Connections& all, std::string_view name) {
    for (const Connection& connection : all)
        if (connection->name == name) return connection;
    return nullptr;
}

ChildRef find_child(const Connections& all, PolicyId policy) {
    if (policy == PolicyId{}) return {};
    for (const Connection& connection : all)
        for (const ChildConfig& child : connection->children)
            if (child.policy == policy) return {connection, &child};
    return {};
}

const ChildConfig* find_child(const ConnectionConfig& connection, std::string_view child) {
    for (const ChildConfig& candidate : connection.children)
        if (candidate.name == child) return &candidate;
    return nullptr;
}

}  // namespace sluice::ike
