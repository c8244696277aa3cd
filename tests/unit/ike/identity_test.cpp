// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "ike/config.hpp"
#include "tests/unit/ike/peer_record.hpp"
#include "tests/unit/ike/seeded_random.hpp"

namespace sluice::ike {
namespace {

Identity text_id(IdType type, std::string_view text) { return {type, to_vec(as_bytes(text))}; }

}  // namespace

TEST_CASE("An identity is guessed from its text as swanctl does") {
    const std::vector<std::pair<std::string_view, Identity>> table = {
        {"%any", {}},
        {"0.0.0.0", {}},
        {"::", {}},
        {"192.0.2.1", {IdType::ipv4, {192, 0, 2, 1}}},
        {"2001:db8::1", {IdType::ipv6, hex("20010db8000000000000000000000001")}},
        {"moon.sluice.test", text_id(IdType::fqdn, "moon.sluice.test")},
        {"carol@sluice.test", text_id(IdType::email, "carol@sluice.test")},
        {"@moon", text_id(IdType::fqdn, "moon")},
        {"@@carol", text_id(IdType::email, "carol")},
        {"@#0aff", {IdType::key_id, {0x0a, 0xff}}},
        {"keyid:group one", text_id(IdType::key_id, "group one")},
        {"fqdn:192.0.2.1", text_id(IdType::fqdn, "192.0.2.1")},
        {"ipv4:192.0.2.1", {IdType::ipv4, {192, 0, 2, 1}}},
        {"{13}:#00", {IdType{13}, {0}}},
    };
    for (const auto& [text, expected] : table) {
        INFO(text);
        const auto id = Identity::parse(text);
        REQUIRE(id.ok());
        CHECK(*id == expected);
    }
}

TEST_CASE("What is no identity is refused with what was expected") {
    for (const auto* text : {"", "@", "@#", "@#xyz", "keyid:", "ipv4:2001:db8::1", "ipv6:192.0.2.1", "ipv4:#0102",
                             "email:#", "email:#414"}) {
        INFO(text);
        const auto id = Identity::parse(text);
        REQUIRE_FALSE(id.ok());
        CHECK(id.error().text.find("expected") != std::string::npos);
    }
    const auto dn = Identity::parse("C=CH, O=Sluice, CN=moon");
    REQUIRE(dn.ok());
    CHECK(dn->type == IdType::dn);
    CHECK(dn->to_string() == "C=CH, O=Sluice, CN=moon");
    CHECK_FALSE(Identity::parse("XYZZY=moon").ok());
}

TEST_CASE("An identity is written so that it reads back as itself") {
    CHECK(Identity{}.to_string() == "%any");
    CHECK(Identity::parse("192.0.2.1")->to_string() == "192.0.2.1");
    CHECK(Identity::parse("carol@sluice.test")->to_string() == "carol@sluice.test");
    CHECK(Identity::parse("keyid:group")->to_string() == "keyid:group");
    // A peer's name that looks like something else, or would break a log line, is shown in hex.
    CHECK(text_id(IdType::fqdn, "192.0.2.1").to_string() == "fqdn:#3139322e302e322e31");
    CHECK(text_id(IdType::fqdn, "a\nb").to_string() == "fqdn:#610a62");
    CHECK(text_id(IdType::fqdn, "%any").to_string() == "fqdn:#25616e79");
    CHECK(Identity{IdType::ipv4, {0, 0, 0, 0}}.to_string() == "ipv4:#00000000");
    CHECK(Identity{IdType{13}, {0}}.to_string() == "{13}:#00");
}

TEST_CASE("Any identity with data survives being written and read") {
    const std::uint64_t seed = 20260;
    INFO("seed " << seed);
    SeededRandom random(seed);
    const std::string_view alphabet = "a.@:#%*={}13 ";
    for (int i = 0; i < 2000; ++i) {
        const std::vector<IdType> types = {IdType::fqdn, IdType::email, IdType::dn, IdType::key_id, IdType{13}};
        Identity id{types[random.below(types.size())], {}};
        const std::size_t size = 1 + random.below(8);
        for (std::size_t k = 0; k < size; ++k)
            id.data.push_back(random.below(8) == 0 ? random.bytes(1)[0]
                                                   : static_cast<Byte>(alphabet[random.below(alphabet.size())]));
        const std::string text = id.to_string();
        INFO(text);
        const auto again = Identity::parse(text);
        REQUIRE(again.ok());
        CHECK(*again == id);
    }
}

}  // namespace sluice::ike
