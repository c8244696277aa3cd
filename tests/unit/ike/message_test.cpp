// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "ike/message.hpp"
#include "tests/unit/ike/peer_record.hpp"

namespace sluice::ike {
namespace {

// A payload as it lies on the wire; next is filled in by wire().
struct Raw {
    std::uint8_t type = 0;
    ByteVec body;
    std::uint8_t flags = 0;
};

struct RawHeader {
    std::uint8_t version = 0x20;
    std::uint8_t exchange = 34;
    std::uint8_t flags = 0x08;
    std::uint64_t initiator_spi = 0x0102030405060708;
};

ByteVec wire(const std::vector<Raw>& payloads, const RawHeader& header = {}) {
    ByteWriter out;
    out.u64(header.initiator_spi);
    out.u64(0);
    out.u8(payloads.empty() ? 0 : payloads.front().type);
    out.u8(header.version);
    out.u8(header.exchange);
    out.u8(header.flags);
    out.u32(7);
    out.u32(0);
    for (std::size_t i = 0; i < payloads.size(); ++i) {
        out.u8(i + 1 < payloads.size() ? payloads[i + 1].type : 0);
        out.u8(payloads[i].flags);
        out.u16(static_cast<std::uint16_t>(4 + payloads[i].body.size()));
        out.raw(payloads[i].body);
    }
    out.patch_u32(24, out.size());
    return std::move(out).take();
}

const ByteVec kNonce(32, 0x5a);

ParseFailure failure_of(const ByteVec& bytes) {
    const auto parsed = parse_message(bytes);
    REQUIRE_FALSE(parsed);
    return parsed.failure();
}

}  // namespace

TEST_CASE("A header is read from fixed bytes and written back") {
    const ByteVec bytes =
        hex("a1a2a3a4a5a6a7a8b1b2b3b4b5b6b7b8002025200102030400"
            "00001c");
    const auto message = parse_message(bytes);
    REQUIRE(message);
    CHECK(message->header.initiator_spi == 0xa1a2a3a4a5a6a7a8);
    CHECK(message->header.responder_spi == 0xb1b2b3b4b5b6b7b8);
    CHECK(message->header.exchange == ExchangeType::informational);
    CHECK_FALSE(message->header.initiator);
    CHECK(message->header.response);
    CHECK(message->header.message_id == 0x01020304);
    CHECK(message->payloads.empty());
    CHECK(build_message(*message) == bytes);
}

TEST_CASE("TRAPS 11: a higher minor version and reserved flags are accepted, another major version is not") {
    RawHeader header;
    header.version = 0x2f;
    header.flags = 0xdf;
    const auto message = parse_message(wire({{40, kNonce, 0x7f}}, header));
    REQUIRE(message);
    CHECK(message->header.initiator);
    CHECK_FALSE(message->header.response);

    header.version = 0x30;
    const ParseFailure newer = failure_of(wire({{40, kNonce}}, header));
    CHECK(newer == ParseFailure{ParseError::major_version, PayloadType::none, 3});
    CHECK(newer.answer() == NotifyType::invalid_major_version);
    header.version = 0x10;
    CHECK(failure_of(wire({{40, kNonce}}, header)).answer() == std::nullopt);
}

TEST_CASE("TRAPS 11: an unknown payload is skipped, or refused where it is critical") {
    const auto message = parse_message(wire({{200, {1, 2, 3}}, {40, kNonce}}));
    REQUIRE(message);
    REQUIRE(message->payloads.size() == 2);
    CHECK(std::get<OpaquePayload>(message->payloads[0]).body == ByteVec{1, 2, 3});
    CHECK(message->find<NoncePayload>() != nullptr);

    const ParseFailure critical = failure_of(wire({{200, {1, 2, 3}, 0x80}, {40, kNonce}}));
    CHECK(critical.error == ParseError::critical_payload);
    CHECK(critical.detail == 200);
    CHECK(critical.answer() == NotifyType::unsupported_critical_payload);
    // On a payload that is understood the bit means nothing (RFC 7296 3.2).
    CHECK(parse_message(wire({{40, kNonce, 0x80}})));
}

TEST_CASE("TRAPS 12: payloads come in any order, and what stands once is refused twice") {
    const ByteVec ke = {0, 31, 0, 0, 1};
    CHECK(parse_message(wire({{40, kNonce}, {34, ke}, {33, {}}})));
    CHECK(parse_message(wire({{33, {}}, {34, ke}, {40, kNonce}})));
    const ByteVec id = {2, 0, 0, 0, 'a'};
    const std::vector<Raw> single = {{33, {}},           {34, ke},     {35, id},           {36, id},
                                     {39, {2, 0, 0, 0}}, {40, kNonce}, {44, {0, 0, 0, 0}}, {45, {0, 0, 0, 0}},
                                     {47, {1, 0, 0, 0}}, {48, {1}}};
    for (const Raw& raw : single) {
        INFO("payload " << unsigned{raw.type});
        CHECK(parse_message(wire({raw})));
        const ParseFailure failure = failure_of(wire({raw, {43, {}}, raw}));
        CHECK(failure == ParseFailure{ParseError::duplicate_payload, PayloadType{raw.type}});
        CHECK(failure.answer() == NotifyType::invalid_syntax);
    }
    for (const Raw& raw :
         std::vector<Raw>{{37, {4, 1}}, {38, {4, 1}}, {41, {0, 0, 0x40, 0}}, {42, {1, 0, 0, 0}}, {43, {1}}})
        CHECK(parse_message(wire({raw, raw})));
}

TEST_CASE("TRAPS 14: the number of payloads is bounded") {
    const std::vector<Raw> most(kMaxPayloads, Raw{43, {}});
    CHECK(parse_message(wire(most)));
    const std::vector<Raw> too_many(kMaxPayloads + 1, Raw{43, {}});
    CHECK(failure_of(wire(too_many)).error == ParseError::too_many_payloads);
}

TEST_CASE("TRAPS 14: no payload length is trusted") {
    const ByteVec good = wire({{43, {1, 2, 3}}, {40, kNonce}});
    const auto with_length = [&](std::size_t length) {
        ByteVec bytes = good;
        bytes[kHeaderSize + 2] = static_cast<Byte>(length >> 8);
        bytes[kHeaderSize + 3] = static_cast<Byte>(length);
        return bytes;
    };
    REQUIRE(parse_message(with_length(7)));
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{3}, good.size() - kHeaderSize + 1, std::size_t{0xffff}})
        CHECK(failure_of(with_length(length)).error == ParseError::payload_length);

    // A chain that ends before the message does, and one that ends after it.
    ByteWriter longer;
    longer.raw(good);
    longer.u8(0);
    longer.patch_u32(24, longer.size());
    CHECK(failure_of(to_vec(longer.view())).error == ParseError::payload_length);
    ByteWriter endless;
    endless.raw(wire({{43, {}}}));
    endless.patch_u8(kHeaderSize, 43);
    CHECK(failure_of(to_vec(endless.view())).error == ParseError::payload_length);
}

TEST_CASE("A header whose length is not the datagram's, or with no initiator SPI, is no message") {
    ByteVec bytes = wire({{40, kNonce}});
    bytes.push_back(0);
    CHECK(failure_of(bytes).error == ParseError::header);
    bytes.pop_back();
    bytes.pop_back();
    CHECK(failure_of(bytes).error == ParseError::header);
    RawHeader header;
    header.initiator_spi = 0;
    const ParseFailure failure = failure_of(wire({{40, kNonce}}, header));
    CHECK(failure.error == ParseError::header);
    CHECK(failure.answer() == std::nullopt);
    CHECK_FALSE(parse_header(wire({{40, kNonce}}, header)));
    CHECK_FALSE(parse_message({}));
}

TEST_CASE("SK ends a message; what it names as next is inside") {
    const ByteVec body(40, 1);
    ByteVec bytes = wire({{43, {9}}, {46, body}});
    bytes[kHeaderSize + 5] = 35;
    const auto message = parse_message(bytes);
    REQUIRE(message);
    CHECK(message->is_protected());
    CHECK(*message->find<SkPayload>() == SkPayload{PayloadType::sk, PayloadType::id_i, body});
    CHECK(build_message(*message) == bytes);
    CHECK(failure_of(wire({{46, body}, {43, {9}}})).error == ParseError::payload_after_sk);
    CHECK(failure_of(wire({{53, body}, {43, {9}}})).error == ParseError::payload_after_sk);
}

TEST_CASE("Nonces have 16 to 256 bytes") {
    for (const std::size_t size : {16U, 256U}) CHECK(parse_message(wire({{40, ByteVec(size)}})));
    for (const std::size_t size : {0U, 15U, 257U}) {
        const ParseFailure failure = failure_of(wire({{40, ByteVec(size)}}));
        CHECK(failure == ParseFailure{ParseError::body, PayloadType::nonce});
    }
}

TEST_CASE("An ID payload keeps its reserved bytes, has a type, and an address of its size") {
    const auto message = parse_message(wire({{35, {2, 7, 8, 9, 'm'}}}));
    REQUIRE(message);
    CHECK(message->find<IdI>()->body() == ByteVec{2, 7, 8, 9, 'm'});
    CHECK(parse_message(wire({{36, {1, 0, 0, 0, 1, 2, 3, 4}}})));
    for (const ByteVec& body :
         std::vector<ByteVec>{{0, 0, 0, 0, 'm'}, {1, 0, 0, 0, 1, 2, 3}, {5, 0, 0, 0, 1, 2, 3, 4}, {2, 0, 0}})
        CHECK(failure_of(wire({{36, body}})) == ParseFailure{ParseError::body, PayloadType::id_r});
}

TEST_CASE("KE, AUTH and CP that are too short for their fields are refused") {
    CHECK(failure_of(wire({{34, {0, 14, 0, 0}}})).payload == PayloadType::ke);
    CHECK(failure_of(wire({{39, {2, 0, 0}}})).payload == PayloadType::auth);
    CHECK(failure_of(wire({{47, {1, 0, 0}}})).payload == PayloadType::cp);
    CHECK(failure_of(wire({{47, {1, 0, 0, 0, 0, 1, 0, 4, 1, 2, 3}}})).payload == PayloadType::cp);
    const auto message = parse_message(wire({{47, {1, 0, 0, 0, 0x80, 1, 0, 0, 0, 3, 0, 1, 7}}}));
    REQUIRE(message);
    CHECK(message->find<CpPayload>()->attributes == std::vector<CpAttribute>{{1, {}}, {3, {7}}});
}

TEST_CASE("A message describes itself for a log") {
    const auto message =
        parse_message(wire({{33, {}},
                            {40, kNonce},
                            {41, {0, 0, 0x40, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
                            {41, {0, 0, 0xff, 0xff}},
                            {99, {}}}));
    REQUIRE(message);
    CHECK(to_string(*message) ==
          "IKE_SA_INIT request 7 [ SA Nonce N(NAT_DETECTION_SOURCE_IP) N(NOTIFY_65535) payload-99 ]");
}

}  // namespace sluice::ike
