// SPDX-License-Identifier: Apache-2.0
#include "lib/ipsec/proposal.hpp"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::ipsec;
using crypto::Encr;
using crypto::Group;
using crypto::Integ;
using crypto::Prf;

namespace {

Proposal ike(std::string_view text) { return *parse_proposal(text, Protocol::ike); }
Proposal esp(std::string_view text) { return *parse_proposal(text, Protocol::esp); }

std::string error_of(std::string_view text, Protocol protocol) {
    const auto parsed = parse_proposal(text, protocol);
    return parsed ? "no error" : parsed.error().text;
}

// As the peer would send it: numbered, with an SPI.
Proposal offered(Proposal proposal, std::uint8_t number) {
    proposal.number = number;
    if (proposal.protocol == Protocol::esp) proposal.spi = {1, 2, 3, number};
    return proposal;
}

Proposal with(Proposal proposal, const Transform& t) {
    proposal.transforms.push_back(t);
    return proposal;
}

Proposal without(Proposal proposal, TransformType type) {
    std::erase_if(proposal.transforms, [type](const Transform& t) { return t.type == type; });
    return proposal;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("Proposals read and print as strongSwan's do") {
    CHECK(to_string(ike("aes128-sha256-modp2048")) == "AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048");
    CHECK(to_string(ike("aes256gcm16-prfsha384-ecp384")) == "AES_GCM_16_256/PRF_HMAC_SHA2_384/ECP_384");
    CHECK(to_string(ike("aes128gcm16-prfsha256-x25519")) == "AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519");
    CHECK(to_string(ike("chacha20poly1305-prfsha512-curve448")) == "CHACHA20_POLY1305/PRF_HMAC_SHA2_512/CURVE_448");
    CHECK(to_string(ike("aes192ctr-aesxcbc-ecp521")) == "AES_CTR_192/AES_XCBC_96/PRF_AES128_XCBC/ECP_521");
    CHECK(to_string(ike("aes-sha1-prfsha256-modp3072-modp4096")) ==
          "AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA2_256/MODP_3072/MODP_4096");
    CHECK(to_string(esp("aes128gcm16")) == "AES_GCM_16_128/NO_EXT_SEQ");
    CHECK(to_string(esp("aes128gcm16-esn-noesn")) == "AES_GCM_16_128/EXT_SEQ/NO_EXT_SEQ");
    CHECK(to_string(esp("null-aescmac-esn")) == "NULL/AES_CMAC_96/EXT_SEQ");
    CHECK(to_string(esp("aes256gmac-ecp256")) == "NULL_AES_GMAC_256/ECP_256/NO_EXT_SEQ");
    CHECK(to_string(esp("aes128-sha256-x25519-none")) == "AES_CBC_128/HMAC_SHA2_256_128/CURVE_25519/NONE/NO_EXT_SEQ");
}

TEST_CASE("Words that mean the same give the same proposal") {
    CHECK(esp("aes128gcm") == esp("aes128gcm16"));
    CHECK(esp("aes128gcm128") == esp("aes128gcm16"));
    CHECK(esp("aes192gcm96") == esp("aes192gcm12"));
    CHECK(esp("aes256gcm64") == esp("aes256gcm8"));
    CHECK(esp("aes256ccm") == esp("aes256ccm16"));
    CHECK(esp("aes128ccm96") == esp("aes128ccm12"));
    CHECK(esp("aes128ccm64") == esp("aes128ccm8"));
    CHECK(esp("aes-sha") == esp("aes128-sha1"));
    CHECK(esp("aes128-sha2_256") == esp("aes128-sha256"));
    CHECK(esp("aes128-sha2_384") == esp("aes128-sha384"));
    CHECK(esp("aes128-sha2_512") == esp("aes128-sha512"));
    CHECK(esp("aes128gcm16-x25519-noesn") == esp("aes128gcm16-curve25519"));
    CHECK(esp("aes128gcm16-x448") == esp("aes128gcm16-curve448"));
    CHECK(esp("aes128gcm16-aes128gcm16") == esp("aes128gcm16"));
}

TEST_CASE("Without a prf, IKE takes the integrity algorithm's") {
    CHECK(ike("aes128-sha1-modp2048").transforms.at(3) ==
          Transform{TransformType::prf, static_cast<std::uint16_t>(Prf::hmac_sha1), 0});
    for (const auto& [integ, name] : {std::pair{"sha1", "PRF_HMAC_SHA1"},
                                      {"sha256", "PRF_HMAC_SHA2_256"},
                                      {"sha384", "PRF_HMAC_SHA2_384"},
                                      {"sha512", "PRF_HMAC_SHA2_512"},
                                      {"aesxcbc", "PRF_AES128_XCBC"},
                                      {"aescmac", "PRF_AES128_CMAC"}}) {
        CHECK(contains(to_string(ike(std::string("aes128-") + integ + "-x25519")), name));
    }
}

TEST_CASE("Errors name the word and what was expected") {
    const std::string unknown = error_of("aes128-sha999-x25519", Protocol::ike);
    CHECK(contains(unknown, "\"sha999\""));
    CHECK(contains(unknown, "expected"));
    CHECK(contains(unknown, "aes128-sha999-x25519"));
    CHECK(parse_proposal("3des-sha1-modp1024", Protocol::ike).error().code == ErrorCode::unsupported);
    CHECK(contains(error_of("aes128-md5-modp2048", Protocol::ike), "\"md5\" is not supported"));
    CHECK(contains(error_of("aes128-sha256-modp1024", Protocol::ike), "\"modp1024\" is not supported"));
    CHECK(contains(error_of("", Protocol::esp), "\"\""));
    CHECK(contains(error_of("aes128gcm16-", Protocol::esp), "\"\""));
    CHECK(contains(error_of("aes128gcm17", Protocol::esp), "\"aes128gcm17\""));
    CHECK(contains(error_of("aes64", Protocol::esp), "\"aes64\""));
    CHECK(contains(error_of("AES128", Protocol::esp), "\"AES128\""));
    CHECK(contains(error_of("default-aes128", Protocol::esp), "stands alone"));
    CHECK(contains(error_of("aes128gcm16", Protocol::ah), "only IKE and ESP"));
}

TEST_CASE("TRAPS 10: impossible proposals are refused") {
    CHECK(contains(error_of("aes128gcm16-sha256", Protocol::esp), "AEAD beside an integrity"));
    CHECK(contains(error_of("aes128gcm16-sha256-x25519", Protocol::ike), "AEAD beside an integrity"));
    CHECK(contains(error_of("aes128", Protocol::esp), "without integrity"));
    CHECK(contains(error_of("null", Protocol::esp), "without integrity"));
    CHECK(contains(error_of("aes128gcm16-aes128-sha256", Protocol::esp), "two proposals"));
    CHECK(contains(error_of("aes128gcm16-prfsha256", Protocol::ike), "no key exchange group"));
    CHECK(contains(error_of("aes128gcm16-x25519", Protocol::ike), "no prf"));
    CHECK(contains(error_of("sha256-modp2048", Protocol::ike), "no encryption"));
    CHECK(contains(error_of("aes128gcm16-prfsha256-x25519-esn", Protocol::ike), "\"esn\" is for ESP only"));
    CHECK(contains(error_of("aes128gcm16-prfsha256-none", Protocol::ike), "\"none\" is for ESP only"));
    CHECK(contains(error_of("aes128gcm16-prfsha256", Protocol::esp), "\"prfsha256\" is for IKE only"));
    CHECK(contains(error_of("null-sha256-x25519", Protocol::ike), "does not encrypt"));
    CHECK(contains(error_of("aes128gmac-prfsha256-x25519", Protocol::ike), "does not encrypt"));
}

TEST_CASE("Lists split at commas, and default stands for several") {
    const auto list =
        parse_proposals({"aes128gcm16-prfsha256-x25519, aes128-sha256-modp2048", "default"}, Protocol::ike);
    REQUIRE(list);
    REQUIRE(list->size() == 4);
    CHECK((*list)[1] == ike("aes128-sha256-modp2048"));
    CHECK(parse_proposals({"default"}, Protocol::esp)->size() == 2);
    CHECK(parse_proposals({"default", "default"}, Protocol::esp)->size() == 2);
    CHECK(parse_proposals({}, Protocol::esp)->empty());
    CHECK_FALSE(parse_proposals({"aes128gcm16,"}, Protocol::esp));
    CHECK_FALSE(parse_proposals({"aes128gcm16", "aes128"}, Protocol::esp));
    CHECK_FALSE(parse_proposals({"default"}, Protocol::ah));
}

TEST_CASE("Two defaults meet, and so do strongSwan's proposals") {
    const auto own = *parse_proposals({"default"}, Protocol::ike);
    const auto both = select(own, {offered(own[0], 1), offered(own[1], 2)}, {});
    REQUIRE(both);
    CHECK(to_string(both->chosen) == "AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519");
    CHECK(select(own, {offered(ike("aes128-sha256-modp3072"), 1)}, {}));
    CHECK(select(own, {offered(ike("aes256gcm16-prfsha384-ecp384"), 1)}, {}));
    const auto own_esp = *parse_proposals({"default"}, Protocol::esp);
    CHECK(select(own_esp, {offered(esp("aes256-sha1"), 1)}, {}));
}

TEST_CASE("TRAPS 10: one transform of each type, with the peer's number and SPI") {
    const Proposals own = {ike("aes256-aes128-sha384-sha256-prfsha384-prfsha256-ecp384-x25519")};
    const Proposals peer = {offered(ike("aes256gcm16-prfsha384-ecp384"), 1),
                            offered(ike("aes128-aes256-sha256-sha384-prfsha256-prfsha384-x25519-ecp384"), 7)};
    const auto by_own = select(own, peer, {.prefer = Prefer::own_order});
    REQUIRE(by_own);
    CHECK(by_own->chosen.number == 7);
    CHECK(to_string(by_own->chosen) == "AES_CBC_256/HMAC_SHA2_384_192/PRF_HMAC_SHA2_384/ECP_384");
    CHECK(by_own->suite ==
          Suite{Encr::aes_cbc, 256, Integ::hmac_sha2_384_192, Prf::hmac_sha2_384, Group::ecp384, false});
    const auto by_peer = select(own, peer, {.prefer = Prefer::peer_order});
    REQUIRE(by_peer);
    CHECK(to_string(by_peer->chosen) == "AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519");
    const auto child = select({esp("aes128gcm16-esn")}, {offered(esp("aes128gcm16-noesn-esn"), 3)}, {});
    REQUIRE(child);
    CHECK(child->chosen.spi == ByteVec{1, 2, 3, 3});
    CHECK(child->suite.esn);
    CHECK_FALSE(select({esp("aes128gcm16-esn")}, {offered(esp("aes128gcm16-noesn"), 1)}, {}));
}

TEST_CASE("Between proposals the preferred side's order decides") {
    const Proposals own = {esp("aes256gcm16"), esp("aes128gcm16")};
    const Proposals peer = {offered(esp("aes128gcm16"), 1), offered(esp("aes256gcm16"), 2)};
    CHECK(select(own, peer, {.prefer = Prefer::own_order})->chosen.number == 2);
    CHECK(select(own, peer, {.prefer = Prefer::peer_order})->chosen.number == 1);
}

TEST_CASE("TRAPS 10: an unknown transform is passed over, an unknown type refuses its proposal only") {
    const Proposals own = {esp("aes128gcm16")};
    const Transform unknown{TransformType::encr, 999, 128};
    Proposal strange = offered(esp("aes128gcm16"), 1);
    strange.transforms.insert(strange.transforms.begin(), unknown);
    const auto chosen = select(own, {strange}, {.prefer = Prefer::peer_order});
    REQUIRE(chosen);
    CHECK(to_string(chosen->chosen) == "AES_GCM_16_128/NO_EXT_SEQ");
    const Proposal typed = with(offered(esp("aes128gcm16"), 1), {TransformType{77}, 1, 0});
    CHECK_FALSE(select(own, {typed}, {}));
    CHECK(select(own, {typed, offered(esp("aes128gcm16"), 2)}, {})->chosen.number == 2);
    CHECK(contains(to_string(strange), "(999)_128"));
}

TEST_CASE("TRAPS 10: the key length is mandatory for AES and absent for ChaCha20") {
    Proposal bare = offered(esp("aes128gcm16"), 1);
    bare.transforms[0].key_bits = 0;
    CHECK_FALSE(select({esp("aes128gcm16")}, {bare}, {}));
    CHECK_FALSE(select({esp("aes256gcm16")}, {offered(esp("aes128gcm16"), 1)}, {}));
    const auto chacha = select({esp("chacha20poly1305")}, {offered(esp("chacha20poly1305"), 1)}, {});
    REQUIRE(chacha);
    CHECK(chacha->chosen.transforms[0].key_bits == 0);
    CHECK(chacha->suite.key_bits == 256);
}

TEST_CASE("TRAPS 10: the ESN transform is mandatory for ESP") {
    CHECK_FALSE(select({esp("aes128gcm16")}, {without(offered(esp("aes128gcm16"), 1), TransformType::esn)}, {}));
    const Proposal offer = offered(esp("aes128gcm16"), 1);
    CHECK(check_answer({offer}, offer));
    CHECK_FALSE(check_answer({offer}, without(offer, TransformType::esn)));
}

TEST_CASE("TRAPS 10: an AEAD goes with no integrity or NONE, every other cipher with one") {
    const Transform none{TransformType::integ, 0, 0};
    const Transform sha256{TransformType::integ, 12, 0};
    const auto plain = select({esp("aes128gcm16")}, {offered(esp("aes128gcm16"), 1)}, {});
    REQUIRE(plain);
    CHECK_FALSE(plain->chosen.has(TransformType::integ));
    const auto explicit_none = select({esp("aes128gcm16")}, {with(offered(esp("aes128gcm16"), 1), none)}, {});
    REQUIRE(explicit_none);
    CHECK(explicit_none->chosen.has(TransformType::integ));  // offered, so answered
    CHECK_FALSE(select({esp("aes128gcm16")}, {with(offered(esp("aes128gcm16"), 1), sha256)}, {}));
    // A peer that mixes both kinds in one proposal gets a pair that fits.
    const Proposal mixed = with(with(offered(esp("aes128-sha256"), 1), none), esp("aes128gcm16").transforms[0]);
    for (const auto prefer : {Prefer::own_order, Prefer::peer_order}) {
        CHECK(select({esp("aes128gcm16")}, {mixed}, {.prefer = prefer})->suite.integ == Integ::none);
        CHECK(select({esp("aes128-sha256")}, {mixed}, {.prefer = prefer})->suite.integ == Integ::hmac_sha2_256_128);
    }
    const Proposal bare = without(offered(esp("aes128-sha256"), 1), TransformType::integ);
    CHECK_FALSE(select({esp("aes128-sha256")}, {bare}, {}));
    CHECK_FALSE(check_answer({with(offered(esp("aes128-sha256"), 1), none)}, bare));
    const Proposal both = with(with(offered(esp("aes128gcm16"), 1), none), sha256);
    CHECK_FALSE(check_answer({both}, with(offered(esp("aes128gcm16"), 1), sha256)));
}

TEST_CASE("Groups: PFS must match, NONE and leaving it out are the same, the first child has none") {
    const Proposals pfs = {esp("aes128gcm16-x25519")};
    const Proposals no_pfs = {esp("aes128gcm16")};
    CHECK_FALSE(select(pfs, {offered(no_pfs[0], 1)}, {}));
    CHECK_FALSE(select(no_pfs, {offered(pfs[0], 1)}, {}));
    CHECK(select(pfs, {offered(pfs[0], 1)}, {})->suite.group == Group::curve25519);
    const auto optional = select({esp("aes128gcm16-x25519-none")}, {offered(no_pfs[0], 1)}, {});
    REQUIRE(optional);
    CHECK(optional->suite.group == Group::none);
    CHECK_FALSE(optional->chosen.has(TransformType::ke));
    CHECK(select(no_pfs, {offered(esp("aes128gcm16-x25519-none"), 1)}, {})->chosen.has(TransformType::ke));
    for (const auto& first : {select(pfs, {offered(no_pfs[0], 1)}, {.ke_ignored = true}),
                              select(no_pfs, {offered(pfs[0], 1)}, {.ke_ignored = true})}) {
        REQUIRE(first);
        CHECK(first->suite.group == Group::none);
        CHECK_FALSE(first->chosen.has(TransformType::ke));
    }
}

TEST_CASE("Protocols do not mix") {
    CHECK_FALSE(select({esp("aes128gcm16")}, {offered(ike("aes128gcm16-prfsha256-x25519"), 1)}, {}));
    Proposal ah = offered(esp("aes128gcm16"), 1);
    ah.protocol = Protocol::ah;
    CHECK_FALSE(select({esp("aes128gcm16")}, {ah}, {}));
    CHECK_FALSE(check_answer({offered(esp("aes128gcm16"), 1)}, ah));
    CHECK_FALSE(select({}, {offered(esp("aes128gcm16"), 1)}, {}));
    CHECK_FALSE(select({esp("aes128gcm16")}, {}, {}));
}

TEST_CASE("TRAPS 10: an answer is one of what was offered, whole and single") {
    const Proposals offer = {offered(ike("aes128-aes256-sha256-sha1-x25519-ecp256"), 1),
                             offered(ike("aes128gcm16-prfsha256-x25519"), 2)};
    const Proposal good = offered(ike("aes256-sha1-prfsha256-ecp256"), 1);
    const auto suite = check_answer(offer, good);
    REQUIRE(suite);
    CHECK(*suite == Suite{Encr::aes_cbc, 256, Integ::hmac_sha1_96, Prf::hmac_sha2_256, Group::ecp256, false});
    CHECK_FALSE(check_answer(offer, offered(good, 2)));  // another proposal's transforms
    CHECK_FALSE(check_answer(offer, offered(good, 3)));
    CHECK_FALSE(check_answer(offer, offered(good, 0)));
    for (const auto type : {TransformType::encr, TransformType::integ, TransformType::prf, TransformType::ke}) {
        CHECK_FALSE(check_answer(offer, without(good, type)));
        Proposal twice = good;
        for (const auto& t : good.transforms) {
            if (t.type == type) twice.transforms.push_back(t);
        }
        CHECK_FALSE(check_answer(offer, twice));
    }
    for (std::size_t i = 0; i < good.transforms.size(); ++i) {
        Proposal other = good;
        other.transforms[i].id = 99;
        CHECK_FALSE(check_answer(offer, other));
        other = good;
        other.transforms[i].key_bits = 192;
        CHECK_FALSE(check_answer(offer, other));
    }
    CHECK_FALSE(check_answer(offer, with(good, {TransformType::esn, 0, 0})));
    CHECK_FALSE(check_answer(offer, with(good, {TransformType{6}, 0, 0})));
}

TEST_CASE("What select() chooses, check_answer() accepts with the same suite") {
    const Proposals offer = {offered(esp("aes256gcm16-aes128gcm16-esn-noesn"), 1),
                             offered(esp("aes128-aes256-sha256-sha512-esn-noesn"), 2),
                             offered(esp("chacha20poly1305-x25519-ecp256-none"), 3)};
    for (const auto text : {"aes128gcm16", "aes256-sha512-esn", "chacha20poly1305-ecp256", "chacha20poly1305"}) {
        const auto selection = select({esp(text)}, offer, {});
        REQUIRE(selection);
        const auto checked = check_answer(offer, selection->chosen);
        REQUIRE(checked);
        CHECK(*checked == selection->suite);
    }
}
