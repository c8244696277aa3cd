// SPDX-License-Identifier: Apache-2.0
#include "ike/lookup.hpp"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::ike;

namespace {

Identity id(const char* text) { return *Identity::parse(text); }
net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }

PskSecret secret(const std::string& name, std::initializer_list<const char*> ids) {
    PskSecret made;
    made.name = name;
    made.secret = SecretBytes(as_bytes(name));
    for (const char* text : ids) made.ids.push_back(id(text));
    return made;
}

Connection connection(const std::string& name, const char* local, const char* remote, const char* remote_id) {
    ConnectionConfig config;
    config.name = name;
    if (local) config.local_addrs = {*net::Prefix::parse(local)};
    if (remote) config.remote_addrs = {*net::Prefix::parse(remote)};
    if (remote_id) config.remote.id = id(remote_id);
    return std::make_shared<const ConnectionConfig>(config);
}

std::string names(const Connections& list) {
    std::string text;
    for (const Connection& one : list) text += one->name + " ";
    return text;
}

}  // namespace

TEST_CASE("A shared key is that of both identities, else of the peer, else of us alone, else of nobody in particular") {
    const Identity moon = id("moon.test");
    const Identity carol = id("carol@test");
    const std::vector<PskSecret> all{secret("anyone", {}), secret("ours", {"moon.test"}),
                                     secret("carol's", {"carol@test"}), secret("pair", {"CAROL@test", "moon.test"})};
    auto found = [&](std::size_t first) {
        const std::vector<PskSecret> some(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(first));
        const PskSecret* psk = find_psk(some, moon, carol);
        return psk ? psk->name : std::string("none");
    };
    CHECK(found(4) == "pair");
    CHECK(found(3) == "carol's");
    CHECK(found(2) == "ours");
    CHECK(found(1) == "anyone");
    CHECK(found(0) == "none");
}

TEST_CASE("A key that is shared with somebody else is never taken for a peer, or that somebody could pass for it") {
    const std::vector<PskSecret> all{secret("dave's", {"dave@test", "moon.test"})};
    CHECK(find_psk(all, id("moon.test"), id("carol@test")) == nullptr);
    CHECK(find_psk(all, id("moon.test"), id("dave@test")) != nullptr);
}

TEST_CASE("Connections are tried from the most specific addresses on, then as configured") {
    const Connections all{connection("any", nullptr, nullptr, nullptr),
                          connection("net", nullptr, "192.0.2.0/24", nullptr),
                          connection("other", "192.0.2.99", nullptr, nullptr),
                          connection("host", nullptr, "192.0.2.7", nullptr),
                          connection("host-here", "192.0.2.1", "192.0.2.7", nullptr),
                          connection("any-v6", nullptr, "::/0", nullptr)};
    CHECK(names(connections_for(all, ip("192.0.2.1"), ip("192.0.2.7"))) == "host-here host net any ");
    CHECK(names(connections_for(all, ip("192.0.2.1"), ip("203.0.113.1"))) == "any ");
    CHECK(names(connections_for(all, ip("2001:db8::1"), ip("2001:db8::2"))) == "any-v6 any ");
}

TEST_CASE("Who names the peer's identity goes before who takes any, and IDr must be ours") {
    const Connections all{connection("any", nullptr, nullptr, nullptr),
                          connection("carol", nullptr, nullptr, "Carol@test")};
    const net::IpAddress here = ip("192.0.2.1");
    CHECK(connection_for_identities(all, here, id("carol@test"), std::nullopt)->name == "carol");
    CHECK(connection_for_identities(all, here, id("dave@test"), std::nullopt)->name == "any");
    CHECK(connection_for_identities(all, here, id("carol@test"), id("192.0.2.1"))->name == "carol");
    CHECK(connection_for_identities(all, here, id("carol@test"), id("192.0.2.2")) == nullptr);
}
