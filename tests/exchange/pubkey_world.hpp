// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/exchange/inspect.hpp"
#include "tests/unit/crypto/test_ca.hpp"

namespace sluice::test {

// A root, an intermediate below it, and a certificate of moon and of sun each, issued by the intermediate.
struct Family {
    explicit Family(const std::string& algorithm = "P-256", const std::string& sun_algorithm = "")
        : moon(make_leaf("moon.sluice.test", middle, algorithm)),
          sun(make_leaf("sun.sluice.test", middle, sun_algorithm.empty() ? algorithm : sun_algorithm)) {}
    Issued root = make_ca("root");
    Issued middle = make_ca("middle", &root);
    Issued moon;
    Issued sun;
};

// Both ends of add_pair() with auth = pubkey: the root is trusted, the leaf and its issuer are at hand at their own
// end.
inline void use_pubkeys(World& world, const Family& family) {
    for (const bool moon : {true, false}) {
        Node& node = world.node(moon ? "moon" : "sun");
        const Issued& own = moon ? family.moon : family.sun;
        ike::ConnectionConfig& connection = node.connections[0];
        connection.local.method = connection.remote.method = ike::AuthMethod::pubkey;
        connection.local.certs = {own.certificate, family.middle.certificate};
        node.credentials = {.keys = {own.key}, .cas = {family.root.certificate}};
        node.secrets.clear();
        world.start(node);
    }
}

inline bool nothing_left(const Node& node) {
    return node.sas().empty() && node.backend.installed.empty() && node.backend.reserved.empty();
}

}  // namespace sluice::test
