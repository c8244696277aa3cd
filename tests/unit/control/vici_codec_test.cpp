// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "control/vici/codec.hpp"
#include "lib/base/byte_writer.hpp"

using namespace sluice;
using namespace sluice::control::vici;

namespace {

// The structure that VICI's own documentation encodes as its example, and its bytes.
Message documented_message() {
    Message m;
    m.add("key1", "value1");
    Message& section = m.add_section("section1");
    section.add_section("sub-section").add("key2", "value2");
    section.add_list("list1", {"item1", "item2"});
    return m;
}
const std::string kDocumentedBytes = std::string("\x03\x04key1\x00\x06value1", 14) + std::string("\x01\x08section1") +
                                     std::string("\x01\x0bsub-section") +
                                     std::string("\x03\x04key2\x00\x06value2", 14) + "\x02" +
                                     std::string("\x04\x05list1") + std::string("\x05\x00\x05item1", 8) +
                                     std::string("\x05\x00\x05item2", 8) + "\x06\x02";

ByteVec framed(std::string_view body) {
    ByteWriter out;
    out.u32(static_cast<std::uint32_t>(body.size()));
    out.raw(as_bytes(body));
    return std::move(out).take();
}

}  // namespace

TEST_CASE("VICI's documented example encodes to its documented bytes and back") {
    const auto bytes = encode_message(documented_message());
    REQUIRE(bytes.ok());
    CHECK(as_text(*bytes) == kDocumentedBytes);
    const auto message = decode_message(as_bytes(kDocumentedBytes));
    REQUIRE(message.ok());
    CHECK(*message == documented_message());
}

TEST_CASE("TRAPS 14: a VICI message cut short anywhere inside an element is refused") {
    // The cuts that fall between two elements of the root section are messages of their own.
    const std::set<std::size_t> whole{0, 14, kDocumentedBytes.size()};
    for (std::size_t n = 0; n <= kDocumentedBytes.size(); ++n) {
        INFO("cut at " << n);
        CHECK(decode_message(as_bytes(kDocumentedBytes).first(n)).ok() == whole.contains(n));
    }
}

TEST_CASE("VICI elements out of place are refused") {
    using namespace std::string_literals;
    const auto text = GENERATE(values<std::string>({
        "\x02"s,                             // section end without start
        "\x06"s,                             // list end without start
        "\x05\x00\x01x"s,                    // item outside a list
        "\x04\x01l\x03\x01k\x00\x01v\x06"s,  // key in a list
        "\x04\x01l\x04\x01m\x06\x06"s,       // list in a list
        "\x04\x01l\x01\x01s\x02\x06"s,       // section in a list
        "\x00"s, "\x07"s, "\xff"s,
        "\x03\xff k"s,           // name past the end
        "\x03\x01k\xff\xff v"s,  // value past the end
    }));
    const auto message = decode_message(as_bytes(text));
    REQUIRE_FALSE(message.ok());
    CHECK(message.error().code == ErrorCode::invalid);
}

TEST_CASE("Sections nest 32 deep and no deeper") {
    const auto nested = [](std::size_t depth) {
        std::string text;
        for (std::size_t i = 0; i < depth; ++i) text += "\x01\x01s";
        return text + std::string(depth, '\x02');
    };
    CHECK(decode_message(as_bytes(nested(kMaxDepth))).ok());
    CHECK_FALSE(decode_message(as_bytes(nested(kMaxDepth + 1))).ok());
    CHECK_FALSE(decode_message(as_bytes(nested(100000))).ok());
    CHECK(encode_message(*decode_message(as_bytes(nested(kMaxDepth)))).ok());
    Message message;
    Message* inner = &message;
    for (unsigned i = 0; i <= kMaxDepth; ++i) inner = &inner->add_section("s");
    CHECK_FALSE(encode_message(message).ok());
}

TEST_CASE("Names of 255 bytes and values of 65535 are the largest that encode") {
    CHECK(encode_message(Message().add(std::string(255, 'n'), std::string(65535, 'v'))).ok());
    CHECK_FALSE(encode_message(Message().add(std::string(256, 'n'), "v")).ok());
    CHECK_FALSE(encode_message(Message().add("n", std::string(65536, 'v'))).ok());
    CHECK_FALSE(encode_message(Message().add_list("n", {"a", std::string(65536, 'v')})).ok());
}

TEST_CASE("Packets of every type survive a round trip, and only their own fields travel") {
    for (std::uint8_t type = 0; type <= 7; ++type) {
        const bool named = type == 0 || type == 3 || type == 4 || type == 7;
        const bool filled = type == 0 || type == 1 || type == 7;
        Packet packet{static_cast<PacketType>(type), named ? "name" : "", filled ? documented_message() : Message{}};
        const auto bytes = encode_packet(packet);
        REQUIRE(bytes.ok());
        const auto decoded = decode_packet(Bytes(*bytes).subspan(4));
        REQUIRE(decoded.ok());
        CHECK(*decoded == packet);
    }
    CHECK_FALSE(decode_packet(ByteVec{8}).ok());
    CHECK_FALSE(decode_packet(ByteVec{}).ok());
    CHECK_FALSE(decode_packet(ByteVec{5, 0}).ok());          // EVENT_CONFIRM takes nothing
    CHECK_FALSE(decode_packet(ByteVec{3, 2, 'a'}).ok());     // name past the end
    CHECK_FALSE(decode_packet(ByteVec{3, 1, 'a', 1}).ok());  // bytes behind an event's name
}

TEST_CASE("A request is length, type, name and message on the wire") {
    const auto bytes = encode_packet({PacketType::cmd_request, "version", {}});
    REQUIRE(bytes.ok());
    CHECK(to_hex(*bytes) ==
          "00000009"
          "00"
          "07"
          "76657273696f6e");
}

TEST_CASE("The deframer finds packets however the stream is cut") {
    ByteVec stream = framed("first");
    for (const char* body : {"2", "the third"}) {
        const ByteVec more = framed(body);
        stream.insert(stream.end(), more.begin(), more.end());
    }
    for (std::size_t step = 1; step <= stream.size(); ++step) {
        Deframer deframer;
        std::vector<std::string> found;
        for (std::size_t i = 0; i < stream.size(); i += step) {
            deframer.feed(Bytes(stream).subspan(i, std::min(step, stream.size() - i)));
            for (auto packet = deframer.next(); *packet; packet = deframer.next())
                found.emplace_back(as_text(**packet));
        }
        CHECK(found == std::vector<std::string>{"first", "2", "the third"});
        CHECK(deframer.buffered() == 0);
    }
}

TEST_CASE("The deframer refuses lengths of 0 and above 512 KiB before it holds anything") {
    const auto feed = [](std::initializer_list<Byte> header) {
        Deframer deframer;
        deframer.feed(ByteVec(header));
        return deframer.next().ok();
    };
    CHECK_FALSE(feed({0, 0, 0, 0}));
    CHECK(feed({0, 8, 0, 0}));  // 524288: allowed, waits for the rest
    CHECK_FALSE(feed({0, 8, 0, 1}));
    CHECK_FALSE(feed({0xff, 0xff, 0xff, 0xff}));
    Message large;
    for (int i = 0; i < 9; ++i) large.add("k", std::string(60000, 'v'));
    CHECK_FALSE(encode_packet({PacketType::cmd_response, {}, large}).ok());
}

TEST_CASE("Whatever decodes encodes to the same bytes, and nothing crashes") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    unsigned decoded = 0;
    for (int round = 0; round < 20000; ++round) {
        ByteVec bytes = to_vec(as_bytes(kDocumentedBytes));
        for (unsigned n = random() % 4; n-- > 0;) bytes[random() % bytes.size()] = static_cast<Byte>(random() % 8);
        const auto message = decode_message(bytes);
        if (!message) continue;
        ++decoded;
        const auto again = encode_message(*message);
        REQUIRE(again.ok());
        REQUIRE(*again == bytes);
    }
    CHECK(decoded > 1000);
}

TEST_CASE("JSON has every value quoted, names told apart and bad UTF-8 replaced") {
    Message m;
    m.add("a", "q\"b\\c\n\x01").add("a", "\xc3\xa9").add("b", "\xff\xc0\x80\xed\xa0\x80x");
    m.add_list("l", {"1", "2"}).add_section("s").add("n", 7);
    CHECK(to_json(m) ==
          "{\"a\":\"q\\\"b\\\\c\\u000a\\u0001\",\"a#2\":\"\xc3\xa9\","
          "\"b\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx\","
          "\"l\":[\"1\",\"2\"],\"s\":{\"n\":\"7\"}}");
}
