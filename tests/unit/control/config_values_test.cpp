// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "control/config/node.hpp"
#include "control/config/schema.hpp"
#include "control/config/values.hpp"

using namespace sluice;
using namespace sluice::control;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_CASE("Durations are whole numbers with swanctl's units") {
    CHECK(parse_duration("0") == seconds(0));
    CHECK(parse_duration("90") == seconds(90));
    CHECK(parse_duration("30s") == seconds(30));
    CHECK(parse_duration("5m") == seconds(300));
    CHECK(parse_duration("1h") == seconds(3600));
    CHECK(parse_duration("2d") == seconds(172800));
    for (const char* bad : {"", "s", "1w", "-1", "1.5h", "1 h", "h1", "99999999999999999999", "9999999999d", "1ms"}) {
        INFO(bad);
        CHECK_FALSE(parse_duration(bad));
    }
}

TEST_CASE("Fractional seconds round to milliseconds") {
    CHECK(parse_fractional_seconds("4.0") == milliseconds(4000));
    CHECK(parse_fractional_seconds("0.25") == milliseconds(250));
    CHECK(parse_fractional_seconds("2s") == milliseconds(2000));
    for (const char* bad : {"", "s", "-1", "nan", "inf", "1e400", "1h"}) CHECK_FALSE(parse_fractional_seconds(bad));
}

TEST_CASE("Byte counts take k, m and g") {
    CHECK(parse_byte_count("7") == 7);
    CHECK(parse_byte_count("2k") == 2048);
    CHECK(parse_byte_count("1M") == 1048576);
    CHECK(parse_byte_count("3g") == 3221225472);
    for (const char* bad : {"", "k", "1t", "-1", "1.5k", "99999999999999g"}) CHECK_FALSE(parse_byte_count(bad));
}

TEST_CASE("Truth has swanctl's spellings and no others") {
    for (const char* text : {"yes", "true", "enabled", "1"}) CHECK(parse_bool(text) == true);
    for (const char* text : {"no", "false", "disabled", "0"}) CHECK(parse_bool(text) == false);
    for (const char* text : {"", "Yes", "on", "2"}) CHECK_FALSE(parse_bool(text));
}

TEST_CASE("RFC 4648 10: base64 vectors, padded or not") {
    const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                           {"Zg==", "f"},
                                                           {"Zm8=", "fo"},
                                                           {"Zm9v", "foo"},
                                                           {"Zm9vYg==", "foob"},
                                                           {"Zm9vYmE=", "fooba"},
                                                           {"Zm9vYmFy", "foobar"},
                                                           {"Zm9vYg", "foob"}};
    for (const auto& [coded, plain] : vectors) {
        const auto bytes = parse_base64(coded);
        REQUIRE(bytes);
        CHECK(as_text(bytes->view()) == plain);
    }
    for (const char* bad : {"Z", "Zm9vY", "Zm9v!A==", "Zm 9v"}) CHECK_FALSE(parse_base64(bad));
}

TEST_CASE("Secrets are text, hex behind 0x or base64 behind 0s") {
    CHECK(as_text(parse_secret("plain 0x")->view()) == "plain 0x");
    CHECK(to_hex(parse_secret("0x0aFF")->view()) == "0aff");
    CHECK(as_text(parse_secret("0sZm9v")->view()) == "foo");
    CHECK_FALSE(parse_secret("0x0"));
    CHECK_FALSE(parse_secret("0xzz"));
    CHECK_FALSE(parse_secret("0s!"));
}

TEST_CASE("Interface addresses keep their host bits") {
    CHECK(parse_interface_address("192.0.2.1/24")->address.to_string() == "192.0.2.1");
    CHECK(parse_interface_address("192.0.2.1/24")->length == 24);
    CHECK(parse_interface_address("192.0.2.1")->length == 32);
    CHECK(parse_interface_address("2001:db8::1")->length == 128);
    for (const char* bad : {"", "192.0.2.1/33", "2001:db8::1/129", "192.0.2.1/", "192.0.2.1/x", "/24", "a/24"}) {
        CHECK_FALSE(parse_interface_address(bad));
    }
}

TEST_CASE("Endpoints put IPv6 in brackets") {
    CHECK(parse_endpoint("127.0.0.1:9464")->to_string() == "127.0.0.1[9464]");
    CHECK(parse_endpoint("[::1]:80")->port == 80);
    for (const char* bad :
         {"", ":80", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:80", "[127.0.0.1]:80", "x:80"}) {
        INFO(bad);
        CHECK_FALSE(parse_endpoint(bad));
    }
}

TEST_CASE("A list is an array or a text with commas") {
    const auto texts = [](const ConfigNode& node) {
        std::vector<std::string> out;
        for (const ListItem& item : list_items(node)) out.push_back(item.text);
        return out;
    };
    using Texts = std::vector<std::string>;
    CHECK(texts(ConfigNode::list("k", {"a", "b,c"})) == Texts{"a", "b,c"});
    CHECK(texts(ConfigNode::scalar("k", " a , b")) == Texts{"a", "b"});
    CHECK(texts(ConfigNode::scalar("k", "a,")) == Texts{"a", ""});
    CHECK(texts(ConfigNode::scalar("k", "")) == Texts{});
}

TEST_CASE("A suggestion is near, or none") {
    const std::vector<std::string_view> keys{"local_ts", "remote_ts", "mode"};
    CHECK(suggestion("remtoe_ts", keys) == "remote_ts");
    CHECK(suggestion("remote_t", keys) == "remote_ts");
    CHECK(suggestion("modes", keys) == "mode");
    CHECK_FALSE(suggestion("colour", keys));
    CHECK_FALSE(suggestion("x", keys));
    CHECK_FALSE(suggestion(std::string(10000, 'x'), keys));
}
