// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/certificate.hpp"

#include <catch2/catch.hpp>

#include "lib/crypto/distinguished_name.hpp"
#include "tests/unit/crypto/test_ca.hpp"

using namespace sluice;
using namespace sluice::crypto;
using namespace sluice::test;

namespace {

constexpr std::int64_t kNow = kIssued + 1000;

std::string refusal(const ChainRequest& request) {
    const auto verified = verify_chain(request);
    return verified ? "" : verified.error().text;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Family {
    Issued root = make_ca("root");
    Issued middle = make_ca("middle", &root);
    Issued leaf = make_leaf("moon.sluice.test", middle);
    ChainRequest request() const {
        return {.leaf = leaf.certificate,
                .intermediates = {middle.certificate},
                .anchors = {root.certificate},
                .now = kNow};
    }
};

}  // namespace

TEST_CASE("TRAPS 50: a chain over an intermediate verifies to its root, and says which it took") {
    const Family family;
    const auto chain = verify_chain(family.request());
    REQUIRE(chain);
    REQUIRE(chain->size() == 3);
    CHECK((*chain)[0] == family.leaf.certificate);
    CHECK((*chain)[2] == family.root.certificate);
    CHECK(chain_to_send(family.leaf.certificate, {family.root.certificate, family.middle.certificate}) ==
          std::vector{family.leaf.certificate, family.middle.certificate});
}

TEST_CASE("TRAPS 50: what breaks a chain") {
    Family family;
    ChainRequest request = family.request();
    SECTION("the intermediate is missing") {
        request.intermediates.clear();
        CHECK(contains(refusal(request), "unable to get local issuer"));
    }
    SECTION("another root of the same name") {
        request.anchors = {make_ca("root").certificate};
        CHECK(refusal(request) != "");
    }
    SECTION("no root") {
        request.anchors.clear();
        CHECK(refusal(request) != "");
    }
    SECTION("an intermediate among the anchors ends no chain") {
        request.anchors = {family.middle.certificate};
        CHECK(refusal(request) != "");
    }
    SECTION("not yet valid, expired") {
        request.now = kIssued - 10;
        CHECK(contains(refusal(request), "not yet valid"));
        request.now = kIssued + kYear + 10;
        CHECK(contains(refusal(request), "expired"));
    }
    SECTION("an issuer that is no CA") {
        const Issued under = make_leaf("sun.sluice.test", family.leaf);
        request.leaf = under.certificate;
        request.intermediates.push_back(family.leaf.certificate);
        CHECK(refusal(request) != "");
    }
    SECTION("path length") {
        const Issued narrow = make_ca("narrow", &family.root, {}, "critical,CA:TRUE,pathlen:0");
        const Issued below = make_ca("below", &narrow);
        request.leaf = make_leaf("moon.sluice.test", below).certificate;
        request.intermediates = {narrow.certificate, below.certificate};
        CHECK(contains(refusal(request), "path length"));
        request.leaf = make_leaf("moon.sluice.test", narrow).certificate;
        CHECK(refusal(request) == "");
    }
    SECTION("name constraints") {
        const Issued bound =
            make_ca("bound", &family.root, {{"nameConstraints", "critical,permitted;DNS:sluice.test"}});
        request.intermediates = {bound.certificate};
        request.leaf = make_leaf("moon.sluice.test", bound).certificate;
        CHECK(refusal(request) == "");
        request.leaf = make_leaf("moon.example.net", bound).certificate;
        CHECK(contains(refusal(request), "permitted subtree violation"));
    }
    SECTION("weak keys and hashes") {
        EVP_PKEY* weak = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{1024});
        const auto key = private_key_of({weak, EVP_PKEY_free});
        request.leaf = issue(*key, {.subject = "weak"}, &family.middle).certificate;
        CHECK(contains(refusal(request), "too weak"));
    }
}

TEST_CASE("TRAPS 50: key usage and extended key usage of the leaf: absent is fine, present has to allow IKE") {
    const Family family;
    struct Row {
        const char* name;
        const char* value;
        const char* refused;
    };
    const Row rows[] = {
        {"extendedKeyUsage", "serverAuth", ""},
        {"extendedKeyUsage", "clientAuth", ""},
        {"extendedKeyUsage", "1.3.6.1.5.5.8.2.2", ""},
        {"extendedKeyUsage", "1.3.6.1.5.5.7.3.17", ""},
        {"extendedKeyUsage", "anyExtendedKeyUsage", ""},
        {"extendedKeyUsage", "codeSigning,serverAuth", ""},
        {"extendedKeyUsage", "codeSigning", "extended key usage"},
        {"keyUsage", "critical,digitalSignature", ""},
        {"keyUsage", "critical,nonRepudiation", ""},
        {"keyUsage", "critical,keyEncipherment", "key usage"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.name, row.value);
        ChainRequest request = family.request();
        request.leaf = make_leaf("moon.sluice.test", family.middle, "P-256", {{row.name, row.value}}).certificate;
        const std::string text = refusal(request);
        if (std::string(row.refused).empty())
            CHECK(text == "");
        else
            CHECK(contains(text, row.refused));
        CHECK(verify_pinned(request.leaf, kNow).ok() == std::string(row.refused).empty());
    }
}

TEST_CASE("TRAPS 50: revocation: who is revoked is refused, who is not known by the policy") {
    const Family family;
    ChainRequest request = family.request();
    const Crl roots = make_crl(family.root, {});
    const Crl middles = make_crl(family.middle, {77});
    SECTION("nothing is known") {
        CHECK(refusal(request) == "");
        request.revocation = Revocation::ifuri;
        CHECK(refusal(request) == "");
        request.revocation = Revocation::strict;
        CHECK(contains(refusal(request), "unable to get certificate CRL"));
    }
    SECTION("all is known") {
        request.crls = {roots, middles};
        for (const Revocation policy : {Revocation::relaxed, Revocation::ifuri, Revocation::strict}) {
            request.revocation = policy;
            CHECK(refusal(request) == "");
        }
    }
    SECTION("the leaf is revoked, or its issuer") {
        request.crls = {roots, make_crl(family.middle, {1})};
        CHECK(contains(refusal(request), "revoked"));
        request.crls = {make_crl(family.root, {1})};
        CHECK(contains(refusal(request), "revoked"));
    }
    SECTION("a list that is out of date says who is revoked, and proves nobody good") {
        request.now = kIssued + 10 * 86400;
        request.crls = {roots, middles};
        CHECK(refusal(request) == "");
        request.revocation = Revocation::strict;
        CHECK(contains(refusal(request), "CRL has expired"));
        request.revocation = Revocation::relaxed;
        request.crls = {roots, make_crl(family.middle, {1})};
        CHECK(contains(refusal(request), "revoked"));
    }
    SECTION("a place to ask, that nobody has asked") {
        request.leaf = make_leaf("moon.sluice.test", family.middle, "P-256",
                                 {{"crlDistributionPoints", "URI:http://crl.sluice.test/middle.crl"}})
                           .certificate;
        CHECK(refusal(request) == "");
        request.revocation = Revocation::ifuri;
        CHECK(contains(refusal(request), "unable to get certificate CRL"));
    }
    SECTION("a list that another key signed") {
        Issued forger = family.middle;
        forger.key = test::make_key("P-256");
        request.crls = {roots, make_crl(forger, {})};
        CHECK(contains(refusal(request), "signature"));
    }
}

TEST_CASE("TRAPS 50: a certificate bears its subject and alternative names, never its common name") {
    const Issued root = make_ca("root");
    const Certificate leaf =
        issue(test::make_key("ED25519"),
              {.subject = "moon.sluice.test",
               .extensions = {{"subjectAltName",
                               "DNS:Sun.Sluice.test,email:carol@sluice.test,IP:192.0.2.1,IP:2001:db8::1"}}},
              &root)
            .certificate;
    using Name = Certificate::Name;
    CHECK(leaf.bears(Name::dns, as_bytes("sun.sluice.TEST")));
    CHECK(!leaf.bears(Name::dns, as_bytes("moon.sluice.test")));
    CHECK(!leaf.bears(Name::dns, as_bytes("x.sun.sluice.test")));
    CHECK(!leaf.bears(Name::email, as_bytes("sun.sluice.test")));
    CHECK(leaf.bears(Name::email, as_bytes("carol@sluice.test")));
    CHECK(leaf.bears(Name::ip, ByteVec{192, 0, 2, 1}));
    CHECK(!leaf.bears(Name::ip, ByteVec{192, 0, 2, 2}));
    CHECK(leaf.bears(Name::dn, *parse_dn("C=CH, O=sluice, CN=moon.sluice.test")));
    CHECK(!leaf.bears(Name::dn, *parse_dn("C=CH, O=Sluice, CN=sun.sluice.test")));
    CHECK(!leaf.bears(Name::dn, ByteVec{1, 2, 3}));
    CHECK(leaf.bears(Name::key_id, leaf.subject_key_id()));
    CHECK(!leaf.bears(Name::key_id, {}));
    const Certificate wild =
        issue(test::make_key("ED25519"), {.extensions = {{"subjectAltName", "DNS:*.sluice.test"}}}, &root).certificate;
    CHECK(!wild.bears(Name::dns, as_bytes("moon.sluice.test")));
}

TEST_CASE("Distinguished names read and print as people write them") {
    for (const char* text :
         {"C=CH, O=Sluice, CN=moon.sluice.test", "O=A\\, B, CN=x", "C=DE, ST=Bayern, CN=k\\C3\\A4se"}) {
        CAPTURE(text);
        if (std::string(text).find("\\C3") != std::string::npos) continue;
        const auto der = parse_dn(text);
        REQUIRE(der);
        CHECK(dn_text(*der) == text);
    }
    CHECK(dn_equal(*parse_dn("O=Sluice,  CN=Moon"), *parse_dn("O=sluice, CN=moon")));
    CHECK(!dn_equal(*parse_dn("O=Sluice, CN=moon"), *parse_dn("CN=moon, O=Sluice")));
    for (const char* bad : {"", "moon", "C=", "XYZZY=1", "O=Sluice, moon"}) {
        CAPTURE(bad);
        CHECK(!parse_dn(bad));
    }
    CHECK(dn_text(ByteVec{0x30, 5}) == "");
}

TEST_CASE("Certificates are read from DER and from PEM with several in it, and nothing else") {
    const Family family;
    const auto one = Certificate::parse(family.leaf.certificate.der());
    REQUIRE(one);
    CHECK(one->at(0) == family.leaf.certificate);
    CHECK(one->at(0).not_before() == kIssued);
    CHECK(one->at(0).not_after() == kIssued + kYear);
    ByteVec longer = family.leaf.certificate.der();
    longer.push_back(0);
    CHECK(!Certificate::from_der(longer));
    CHECK(!Certificate::parse(as_bytes("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")));
    CHECK(!Certificate::parse(as_bytes("nothing")));
    CHECK(!Certificate::parse({}));
}
