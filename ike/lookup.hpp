// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "ike/config.hpp"

namespace sluice::ike {

using Connection = std::shared_ptr<const ConnectionConfig>;
using Connections = std::vector<Connection>;

// The PAD (RFC 4301 4.4.3): which connection a peer belongs to, and which secret.

// Connections that admit the addresses, the most specific first (remote prefix, then local), then as configured.
Connections connections_for(const Connections& all, const net::IpAddress& local, const net::IpAddress& remote);

// Whether an identity satisfies a configured one: any does for any; host names and mail addresses compare without case,
// distinguished names as RFC 5280 7.1 has it.
bool identity_matches(const Identity& configured, const Identity& actual);

// The identity that this end shows: the configured one, or ID_NULL, the subject of its certificate, its address.
Identity own_identity(const AuthConfig& config, const net::IpAddress& address);

// Of candidates (in their order) those whose identities fit; one that names the remote identity goes before one that
// takes any. asked is IDr, which the peer need not send.
Connection connection_for_identities(const Connections& candidates, const net::IpAddress& local, const Identity& remote,
                                     const std::optional<Identity>& asked);

// The secret of a pair of identities: one that names both, else the peer, else us alone, else one that names nobody. A
// secret shared with somebody else is never taken, or that somebody could pass for the peer. Null where none fits.
const PskSecret* find_psk(const std::vector<PskSecret>& secrets, const Identity& local, const Identity& remote);

// The address to speak from or to: the first host prefix of the list, of the family wanted (none: any).
net::IpAddress first_host(const std::vector<net::Prefix>& prefixes, net::Family family);

Connection find_connection(const Connections& all, std::string_view name);  // null: there is none
struct ChildRef {
    Connection connection;
    const ChildConfig* child = nullptr;
};
// child empty: the first of the connection; connection empty: the first with that child.
ChildRef find_child(const Connections& all, std::string_view connection, std::string_view child);
ChildRef find_child(const Connections& all, PolicyId policy);
const ChildConfig* find_child(const ConnectionConfig& connection, std::string_view child);

}  // namespace sluice::ike
