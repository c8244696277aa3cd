// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "ike/ppk.hpp"
#include "tests/exchange/pubkey_world.hpp"

using namespace sluice;
using namespace sluice::test;
using crypto::SignatureHash;
using ike::AuthMethod;
using ike::NoticeKind;
using ike::NotifyType;

namespace {

// One run from moon, and what both ends say of it.
struct Attempt {
    World world;
    Node* moon = nullptr;
    Node* sun = nullptr;
    explicit Attempt(const Family& family) {
        add_pair(world);
        use_pubkeys(world, family);
        moon = &world.node("moon");
        sun = &world.node("sun");
    }
    void run() {
        world.start(*moon);
        world.start(*sun);
        world.initiate(*moon, "to-sun", "net");
        world.run(70s);
        CHECK(world.complaints().empty());
    }
    // The responder does not believe the initiator, or the other way round, and nothing is left.
    void refused_by(Node& node, const std::string& part) {
        run();
        CHECK(nothing_left(*moon));
        CHECK(nothing_left(*sun));
        const std::string text = node.notice_text(NoticeKind::authentication_failed);
        CAPTURE(text);
        CHECK(text.find(part) != std::string::npos);
        CHECK(!node.noticed(NoticeKind::ike_up));
    }
    ike::AuthConfig& local(Node& node) { return node.connections[0].local; }
    ike::AuthConfig& remote(Node& node) { return node.connections[0].remote; }
};

}  // namespace

// HDR, SAi1, KEi, Ni, N(SIGNATURE_HASH_ALGORITHMS)              -->
//                    <--  HDR, SAr1, KEr, Nr, N(SIGNATURE_HASH_ALGORITHMS), CERTREQ
// HDR, SK{IDi, CERT, CERT, CERTREQ, IDr, AUTH, SAi2, TSi, TSr}  -->
//                    <--  HDR, SK{IDr, CERT, CERT, AUTH, SAr2, TSi, TSr}
TEST_CASE("Certificates of every key type authenticate both ends, over an intermediate") {
    const std::string algorithm = GENERATE("RSA", "P-256", "P-384", "P-521", "ED25519", "ED448");
    CAPTURE(algorithm);
    const Family family(algorithm);
    Attempt attempt(family);
    attempt.world.restore_between = GENERATE(false, true);
    attempt.run();
    CHECK(disagreement(*attempt.moon, *attempt.sun) == "");
    CHECK(attempt.sun->counter("ike_authentication_failures") == 0);
}

TEST_CASE("The two ends may have keys of different types, and one a shared key") {
    const Family family("ED25519", "RSA");
    Attempt attempt(family);
    attempt.world.restore_between = GENERATE(false, true);
    SECTION("Ed25519 and RSA") {}
    SECTION("RSA-PSS with SHA-512") {
        attempt.local(*attempt.sun).signatures = {
            .key = crypto::KeyType::rsa, .pss = true, .hashes = {SignatureHash::sha512}};
        attempt.remote(*attempt.moon).signatures = attempt.local(*attempt.sun).signatures;
    }
    SECTION("the initiator a shared key, the responder a certificate") {
        attempt.local(*attempt.moon).method = attempt.remote(*attempt.sun).method = AuthMethod::psk;
        for (Node* node : {attempt.moon, attempt.sun})
            node->secrets = {{.name = "x", .secret = SecretBytes(as_bytes("a shared key")), .ids = {}}};
    }
    SECTION("the responder a shared key, the initiator a certificate") {
        attempt.local(*attempt.sun).method = attempt.remote(*attempt.moon).method = AuthMethod::psk;
        for (Node* node : {attempt.moon, attempt.sun})
            node->secrets = {{.name = "x", .secret = SecretBytes(as_bytes("a shared key")), .ids = {}}};
    }
    SECTION("identities by distinguished name") {
        attempt.local(*attempt.moon).id = attempt.remote(*attempt.sun).id =
            *ike::Identity::parse("C=CH, O=Sluice, CN=moon.sluice.test");
    }
    SECTION("without certs in the connection: the one that bears the identity") {
        attempt.moon->credentials.certs = attempt.local(*attempt.moon).certs;
        attempt.local(*attempt.moon).certs.clear();
    }
    SECTION("without an identity of its own: the subject of its certificate") {
        attempt.local(*attempt.moon).id = {};
        attempt.remote(*attempt.sun).id = {};
    }
    SECTION("certificates that are known need not be sent") {
        attempt.moon->connections[0].send_cert = ike::SendCert::never;
        attempt.sun->credentials.certs = attempt.local(*attempt.moon).certs;
    }
    SECTION("certificates are sent unasked") {
        attempt.sun->connections[0].send_certreq = false;
        attempt.moon->connections[0].send_cert = ike::SendCert::always;
    }
    SECTION("a certificate that is trusted by itself") {
        attempt.remote(*attempt.sun).certs = {family.moon.certificate};
        attempt.sun->credentials.cas.clear();
    }
    SECTION("a CA of the connection's own") {
        attempt.remote(*attempt.sun).cacerts = {family.root.certificate};
        attempt.sun->credentials.cas.clear();
    }
    attempt.run();
    CHECK(disagreement(*attempt.moon, *attempt.sun) == "");
}

TEST_CASE("TRAPS 50: who is not believed gets AUTHENTICATION_FAILED, and the log says why: the certificate") {
    Family family;
    Attempt attempt(family);
    Node& moon = *attempt.moon;
    Node& sun = *attempt.sun;
    SECTION("another CA") {
        sun.credentials.cas = {make_ca("root").certificate};
        attempt.refused_by(sun, "certificate 'C=CH, O=Sluice, CN=m");
    }
    SECTION("a CA that the connection does not take") {
        const Issued other = make_ca("other");
        attempt.remote(sun).cacerts = {other.certificate};
        attempt.refused_by(sun, "none of the connection's cacerts");
    }
    SECTION("no certificate at all") {
        moon.connections[0].send_cert = ike::SendCert::never;
        attempt.refused_by(sun, "sent no certificate");
    }
    SECTION("expired") {
        attempt.world.wall_clock = kIssued + kYear + 5;
        attempt.refused_by(sun, "expired");
    }
    SECTION("not yet valid") {
        attempt.world.wall_clock = kIssued - 5;
        attempt.refused_by(sun, "not yet valid");
    }
    SECTION("an identity that the certificate does not bear") {
        attempt.local(moon).id = *ike::Identity::parse("mars.sluice.test");
        attempt.remote(sun).id = {};
        attempt.refused_by(sun, "does not bear the identity 'mars.sluice.test'");
    }
    SECTION("a name of another kind") {
        attempt.local(moon).id = *ike::Identity::parse("email:moon.sluice.test");
        attempt.remote(sun).id = {};
        attempt.refused_by(sun, "does not bear the identity");
    }
    SECTION("revoked") {
        sun.credentials.crls = {make_crl(family.middle, {1})};
        attempt.refused_by(sun, "revoked");
    }
    SECTION("revocation unknown and strict") {
        attempt.remote(sun).revocation = crypto::Revocation::strict;
        attempt.refused_by(sun, "unable to get certificate CRL");
    }
}

TEST_CASE("TRAPS 50: who is not believed gets AUTHENTICATION_FAILED, and the log says why: the chain") {
    Family family;
    Attempt attempt(family);
    Node& moon = *attempt.moon;
    Node& sun = *attempt.sun;
    SECTION("path length") {
        const Issued narrow = make_ca("narrow", &family.root, {}, "critical,CA:TRUE,pathlen:0");
        const Issued below = make_ca("below", &narrow);
        const Issued leaf = make_leaf("moon.sluice.test", below);
        attempt.local(moon).certs = {leaf.certificate, below.certificate, narrow.certificate};
        moon.credentials.keys = {leaf.key};
        attempt.refused_by(sun, "path length");
    }
    SECTION("name constraints") {
        const Issued bound =
            make_ca("bound", &family.root, {{"nameConstraints", "critical,permitted;DNS:example.net"}});
        const Issued leaf = make_leaf("moon.sluice.test", bound);
        attempt.local(moon).certs = {leaf.certificate, bound.certificate};
        moon.credentials.keys = {leaf.key};
        attempt.refused_by(sun, "permitted subtree");
    }
    SECTION("extended key usage") {
        const Issued leaf =
            make_leaf("moon.sluice.test", family.middle, "P-256", {{"extendedKeyUsage", "codeSigning"}});
        attempt.local(moon).certs = {leaf.certificate, family.middle.certificate};
        moon.credentials.keys = {leaf.key};
        attempt.refused_by(sun, "extended key usage");
    }
}

TEST_CASE("TRAPS 50: who is not believed gets AUTHENTICATION_FAILED, and the log says why: the connection") {
    Family family;
    Attempt attempt(family);
    Node& moon = *attempt.moon;
    Node& sun = *attempt.sun;
    SECTION("a certificate that is not the one of the connection") {
        attempt.remote(sun).certs = {family.sun.certificate};
        attempt.refused_by(sun, "none of the connection's certs");
    }
    SECTION("a pinned certificate that has expired") {
        attempt.remote(sun).certs = {family.moon.certificate};
        attempt.world.wall_clock = kIssued + kYear + 5;
        attempt.refused_by(sun, "expired");
    }
    SECTION("a signature that auth does not allow") {
        attempt.remote(sun).signatures.hashes = {SignatureHash::sha512};
        attempt.refused_by(sun, "ECDSA with SHA256, is not what");
    }
    SECTION("a key of another type than auth allows") {
        attempt.remote(sun).signatures.key = crypto::KeyType::rsa;
        attempt.refused_by(sun, "is not what the connection's auth asks for");
    }
    SECTION("a shared key where a signature is expected") {
        attempt.local(moon).method = AuthMethod::psk;
        moon.secrets = {{.name = "x", .secret = SecretBytes(as_bytes("a shared key")), .ids = {}}};
        attempt.refused_by(sun, "wants a signature");
    }
    SECTION("the responder's certificate, to the initiator") {
        moon.credentials.cas = {make_ca("root").certificate};
        attempt.refused_by(moon, "certificate 'C=CH, O=Sluice, CN=");
    }
    SECTION("the responder's revoked certificate, to the initiator") {
        moon.credentials.crls = {make_crl(family.middle, {1})};
        attempt.refused_by(moon, "revoked");
    }
    SECTION("no private key") {
        moon.credentials.keys.clear();
        attempt.refused_by(moon, "no private key found for 'moon.sluice.test'");
    }
    SECTION("no private key at the responder") {
        sun.credentials.keys.clear();
        attempt.refused_by(sun, "no private key found for 'sun.sluice.test'");
    }
}

// The certificate is right; the signature is another's.
TEST_CASE("A certificate without its key proves nothing, in either role") {
    const Family family;
    const bool initiator = GENERATE(true, false);
    Attempt attempt(family);
    attempt.world.start(*attempt.moon);
    attempt.world.start(*attempt.sun);
    Node& liar = initiator ? *attempt.moon : *attempt.sun;
    Node& judge = initiator ? *attempt.sun : *attempt.moon;
    const Issued thief{liar.connections[0].local.certs[0], test::make_key("P-256")};
    // The helper of the liar signs with its own key, whatever the engine asks.
    attempt.world.sign_with = [&](Node& node, ike::StartAuth& work) {
        if (&node == &liar && work.own) work.own->key = thief.key;
    };
    attempt.world.initiate(*attempt.moon, "to-sun", "net");
    attempt.world.run(70s);
    CHECK(nothing_left(*attempt.moon));
    CHECK(nothing_left(*attempt.sun));
    CHECK(judge.notice_text(NoticeKind::authentication_failed).find("does not verify") != std::string::npos);
}

TEST_CASE("RFC 7427 4: a hash that was not offered is refused, and so is RSA with SHA-1 where better was agreed") {
    const Family family("RSA");
    Attempt attempt(family);
    attempt.world.start(*attempt.moon);
    attempt.world.start(*attempt.sun);
    std::string expected;
    SECTION("SHA-1 in a digital signature") {
        attempt.world.sign_with = [&](Node& node, ike::StartAuth& work) {
            if (&node == attempt.moon && work.own) work.own->scheme.hash = SignatureHash::sha1;
        };
        expected = "uses a hash that was not offered";
    }
    SECTION("method 1") {
        attempt.world.sign_with = [&](Node& node, ike::StartAuth& work) {
            if (&node != attempt.moon || !work.own) return;
            work.own->method = ike::AuthPayload::kRsa;
            work.own->scheme = {crypto::SignatureKind::rsa_pkcs1, SignatureHash::sha1};
        };
        expected = "although stronger hashes were negotiated";
    }
    attempt.world.initiate(*attempt.moon, "to-sun", "net");
    attempt.world.run(70s);
    CHECK(nothing_left(*attempt.moon));
    CHECK(nothing_left(*attempt.sun));
    CHECK(attempt.sun->notice_text(NoticeKind::authentication_failed).find(expected) != std::string::npos);
}

// SIGNATURE_HASH_ALGORITHMS stands in IKE_SA_INIT, which AUTH covers: taking it out on the way fails AUTH.
TEST_CASE("RFC 7427: whoever takes the announcement out on the way gets no weaker signature through") {
    const Family family("RSA");
    Attempt attempt(family);
    attempt.world.translate = [&](Flight& flight) {
        if (flight.number > 2) return;
        auto message = ike::parse_message(flight.bytes);
        if (!message || message->header.exchange != ike::ExchangeType::ike_sa_init) return;
        std::erase_if(message->payloads, [](const ike::Payload& payload) {
            const auto* notify = std::get_if<ike::NotifyPayload>(&payload);
            return notify && notify->type == NotifyType::signature_hash_algorithms;
        });
        flight.bytes = ike::build_message(*message);
    };
    attempt.run();
    CHECK(nothing_left(*attempt.moon));
    CHECK(nothing_left(*attempt.sun));
    CHECK(attempt.sun->notice_text(NoticeKind::authentication_failed).find("does not verify") != std::string::npos);
}

TEST_CASE("Keys for a peer from before RFC 7427: RSA with SHA-1, ECDSA by its curve, nothing for the Edwards curves") {
    const std::vector<std::uint16_t> none;
    auto method = [&](const std::string& algorithm) {
        const auto choice = ike::choose_signature(test::make_key(algorithm).public_key(), {}, none);
        return choice ? int{choice->method} : 0;
    };
    CHECK(method("RSA") == 1);
    CHECK(method("P-256") == 9);
    CHECK(method("P-384") == 10);
    CHECK(method("P-521") == 11);
    CHECK(method("ED25519") == 0);
    CHECK(!ike::choose_signature(test::make_key("RSA").public_key(), {.pss = true}, none));
    CHECK(!ike::choose_signature(test::make_key("RSA").public_key(), {}, {5}));
    CHECK(!ike::choose_signature(test::make_key("ED25519").public_key(), {}, {2, 3, 4}));
    CHECK(ike::choose_signature(test::make_key("RSA").public_key(), {}, {4})->scheme.hash == SignatureHash::sha512);
}

TEST_CASE("RFC 7670: raw public keys, by the connection that names them") {
    const Family family("ED25519");
    Attempt attempt(family);
    for (const bool moon : {true, false}) {
        Node& node = moon ? *attempt.moon : *attempt.sun;
        attempt.local(node).certs.clear();
        attempt.local(node).pubkeys = {(moon ? family.moon : family.sun).key.public_key()};
        attempt.remote(node).pubkeys = {(moon ? family.sun : family.moon).key.public_key()};
        node.credentials.cas.clear();
    }
    SECTION("sent as asked") {
        attempt.world.restore_between = GENERATE(false, true);
        attempt.run();
        CHECK(disagreement(*attempt.moon, *attempt.sun) == "");
    }
    SECTION("not sent, since it is known") {
        attempt.moon->connections[0].send_cert = ike::SendCert::never;
        attempt.run();
        CHECK(disagreement(*attempt.moon, *attempt.sun) == "");
    }
    SECTION("another key") {
        attempt.remote(*attempt.sun).pubkeys = {test::make_key("ED25519").public_key()};
        attempt.refused_by(*attempt.sun, "none of the connection's pubkeys");
    }
    SECTION("another key, not sent") {
        attempt.moon->connections[0].send_cert = ike::SendCert::never;
        attempt.remote(*attempt.sun).pubkeys = {test::make_key("ED25519").public_key()};
        attempt.refused_by(*attempt.sun, "verifies with none of the connection's pubkeys");
    }
    SECTION("no identity to bind it to") {
        attempt.remote(*attempt.sun).id = {};
        attempt.refused_by(*attempt.sun, "proves no identity");
    }
}

TEST_CASE("RFC 7619: NULL authentication of one side or of both, where the connection says so") {
    const Family family;
    Attempt attempt(family);
    attempt.world.restore_between = GENERATE(false, true);
    attempt.local(*attempt.moon) = {.method = AuthMethod::null};
    attempt.remote(*attempt.sun) = {.method = AuthMethod::null};
    SECTION("an anonymous initiator, an authentic responder") {
        attempt.run();
        CHECK(disagreement(*attempt.moon, *attempt.sun) == "");
        CHECK(attempt.sun->sas()[0].remote_id == "%null");
    }
    SECTION("both") {
        attempt.local(*attempt.sun) = {.method = AuthMethod::null};
        attempt.remote(*attempt.moon) = {.method = AuthMethod::null};
        attempt.run();
        CHECK(disagreement(*attempt.moon, *attempt.sun) == "");
    }
    SECTION("where a signature is expected") {
        attempt.remote(*attempt.sun) = {.method = AuthMethod::pubkey};
        attempt.refused_by(*attempt.sun, "wants a signature");
    }
    SECTION("where a shared key is expected, from anybody") {
        attempt.remote(*attempt.sun) = {.method = AuthMethod::psk};
        attempt.sun->secrets = {{.name = "x", .secret = SecretBytes(as_bytes("a shared key")), .ids = {}}};
        attempt.refused_by(*attempt.sun, "wants a shared key");
    }
}

TEST_CASE("TRAPS 49: whoever proves nothing gets no identity, however it writes one") {
    const Family family;
    Attempt attempt(family);
    attempt.local(*attempt.moon) = {.method = AuthMethod::null, .id = *ike::Identity::parse("venus.sluice.test")};
    ike::ConnectionConfig venus = attempt.sun->connections[0];
    venus.name = "to-venus";
    venus.remote.id = *ike::Identity::parse("venus.sluice.test");
    attempt.sun->connections[0].remote = {.method = AuthMethod::null};
    attempt.sun->connections.insert(attempt.sun->connections.begin(), venus);
    attempt.run();
    REQUIRE(attempt.sun->sas().size() == 1);
    CHECK(attempt.sun->sas()[0].name == "to-moon");
    CHECK(attempt.sun->sas()[0].remote_id == "%null");
}

TEST_CASE("TRAPS 49: anonymous peers do not close each other's IKE SAs") {
    const Family family;
    Attempt attempt(family);
    attempt.local(*attempt.moon) = {.method = AuthMethod::null};
    attempt.remote(*attempt.sun) = {.method = AuthMethod::null};
    attempt.sun->connections[0].remote_addrs.clear();
    Node& mars = attempt.world.add("mars", "192.0.2.3");
    mars.random = std::make_unique<SeededRandom>(5);
    mars.config.node = NodeId(3);
    mars.connections = attempt.moon->connections;
    mars.connections[0].local_addrs = {net::Prefix::host(mars.address)};
    mars.credentials = attempt.moon->credentials;
    attempt.world.start(mars);
    attempt.run();
    attempt.world.initiate(mars, "to-sun", "net");
    attempt.world.run(5s);
    CHECK(attempt.sun->sas().size() == 2);
    CHECK(attempt.moon->sas().size() == 1);
}

TEST_CASE("RFC 8784: a PPK that both have is mixed in, one that is missing only where it is not required") {
    World world;
    world.restore_between = GENERATE(false, true);
    add_pair(world);
    Node& moon = world.node("moon");
    Node& sun = world.node("sun");
    const bool signatures = GENERATE(false, true);
    if (signatures) use_pubkeys(world, Family("ED25519"));
    const ike::PpkSecret ppk{
        .name = "q", .secret = SecretBytes(as_bytes("thirty-two bytes of entropy here")), .ids = {"q1"}};
    moon.credentials.ppks = {ppk};
    moon.connections[0].ppk_id = "q1";
    std::string wrong_at;
    bool mixed = false;
    SECTION("both have it") {
        sun.credentials.ppks = {ppk};
        moon.connections[0].ppk_required = GENERATE(false, true);
        sun.connections[0].ppk_required = moon.connections[0].ppk_required;
        mixed = true;
    }
    SECTION("the responder has another") {
        sun.credentials.ppks = {ppk};
        sun.credentials.ppks[0].ids = {"q2"};
    }
    SECTION("the responder has none") {}
    SECTION("the responder has another under the same id") {
        sun.credentials.ppks = {ppk};
        sun.credentials.ppks[0].secret = SecretBytes(as_bytes("something else"));
        wrong_at = "sun";
    }
    SECTION("the initiator requires what the responder has not") {
        moon.connections[0].ppk_required = true;
        wrong_at = "moon";
    }
    SECTION("the initiator requires one that the responder does not know") {
        moon.connections[0].ppk_required = true;
        sun.credentials.ppks = {ppk};
        sun.credentials.ppks[0].ids = {"q2"};
        wrong_at = "sun";
    }
    SECTION("the responder requires what the initiator has not") {
        sun.credentials.ppks = {ppk};
        sun.connections[0].ppk_required = true;
        moon.connections[0].ppk_id.clear();
        wrong_at = "sun";
    }
    world.start(moon);
    world.start(sun);
    const auto before = [&] { return moon.sas().empty() ? SecretBytes() : inspect(moon).keys.sk_d; };
    SecretBytes plain;
    world.tap = [&](const Flight& flight) {
        if (flight.from.address == sun.address && plain.empty() && !moon.sas().empty() && world.sent().size() > 2)
            plain = before();
    };
    world.initiate(moon, "to-sun", "net");
    world.run(70s);
    if (wrong_at.empty()) {
        REQUIRE(disagreement(moon, sun) == "");
        CHECK(inspect(moon).keys.sk_d == inspect(sun).keys.sk_d);
        CHECK((inspect(moon).keys.sk_d == plain) == !mixed);
    } else {
        CHECK(nothing_left(moon));
        CHECK(nothing_left(sun));
        CHECK(world.node(wrong_at).noticed(NoticeKind::authentication_failed));
    }
}
