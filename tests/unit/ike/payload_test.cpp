// SPDX-License-Identifier: Apache-2.0
// SA, Notify, Delete and TS bodies against bytes laid out by hand from RFC 7296 3.3, 3.10, 3.11 and 3.13.
#include <catch2/catch.hpp>

#include "ike/payloads.hpp"
#include "tests/unit/ike/peer_record.hpp"

namespace sluice::ike {
namespace {

using ipsec::Proposal;
using ipsec::Protocol;
using ipsec::Transform;
using ipsec::TransformType;

template <class T>
T parsed(PayloadType type, std::string_view text, ExchangeType exchange = ExchangeType::ike_auth) {
    const auto payload = parse_payload(type, exchange, hex(text));
    REQUIRE(payload);
    return std::get<T>(*payload);
}
bool refused(PayloadType type, std::string_view text, ExchangeType exchange = ExchangeType::ike_auth) {
    const auto payload = parse_payload(type, exchange, hex(text));
    return !payload && payload.failure() == ParseFailure{ParseError::body, type};
}
ipsec::Proposals proposals(std::string_view text, ExchangeType exchange = ExchangeType::ike_auth) {
    return parsed<SaPayload>(PayloadType::sa, text, exchange).proposals;
}
std::string built(const Payload& payload) {
    ByteWriter out;
    write_payload_body(out, payload);
    return to_hex(out.view());
}

}  // namespace

TEST_CASE("TRAPS 10: a proposal is read with its key lengths, unknown transforms are kept, and it builds back") {
    // ESP, SPI 01020304: AES-GCM-16 128, ENCR 999, an unknown transform type 77, ESN 0.
    const std::string text =
        "00000030"
        "02030404"
        "01020304"
        "0300000c"
        "01000014"
        "800e0080"
        "03000008"
        "010003e7"
        "03000008"
        "4d000001"
        "00000008"
        "05000000";
    const auto list = proposals(text);
    REQUIRE(list.size() == 1);
    const Proposal expected{2,
                            Protocol::esp,
                            {1, 2, 3, 4},
                            {{TransformType::encr, 20, 128},
                             {TransformType::encr, 999, 0},
                             {TransformType{77}, 1, 0},
                             {TransformType::esn, 0, 0}}};
    CHECK(list[0] == expected);
    CHECK(built(SaPayload{list}) == text);
}

TEST_CASE(
    "TRAPS 10: a transform with an unknown attribute is dropped, and its proposal where none of its type is left") {
    const std::string known =
        "0000000c"
        "01000014"
        "800e0080";
    const std::string fixed_unknown =
        "0300000c"
        "0100000c"
        "80630001";
    const std::string long_unknown =
        "03000010"
        "0100000c"
        "00630004"
        "01020304";
    const std::string long_key_length =
        "0300000e"
        "0100000c"
        "000e0002"
        "0080";
    const std::string zero_key_length =
        "0300000c"
        "0100000c"
        "800e0000";
    const std::string two_key_lengths =
        "03000010"
        "0100000c"
        "800e0080"
        "800e0100";
    for (const auto& odd : {fixed_unknown, long_unknown, long_key_length, zero_key_length, two_key_lengths}) {
        INFO(odd);
        const auto length = [](std::size_t digits) {
            const ByteVec bytes = {0, static_cast<Byte>(digits / 2)};
            return to_hex(bytes);
        };
        const auto both = proposals("0000" + length(24 + odd.size() + known.size()) +
                                    "01030402"
                                    "0a0b0c0d" +
                                    odd + known);
        REQUIRE(both.size() == 1);
        CHECK(both[0].transforms == std::vector<Transform>{{TransformType::encr, 20, 128}});
        std::string alone = odd;
        alone[1] = '0';
        CHECK(proposals("0000" + length(24 + alone.size()) +
                        "01030401"
                        "0a0b0c0d" +
                        alone)
                  .empty());
    }
}

TEST_CASE("TRAPS 9: SPIs have the size that protocol and exchange want") {
    const auto proposal = [](std::string_view protocol, std::string_view size, std::string_view spi) {
        const std::size_t length = 8 + spi.size() / 2;
        return "000000" + to_hex(ByteVec{static_cast<Byte>(length)}) + "01" + std::string(protocol) +
               std::string(size) + "00" + std::string(spi);
    };
    const auto init = ExchangeType::ike_sa_init;
    const auto later = ExchangeType::create_child_sa;
    CHECK(proposals(proposal("01", "00", ""), init).size() == 1);
    CHECK(refused(PayloadType::sa, proposal("01", "08", "0102030405060708"), init));
    CHECK(proposals(proposal("01", "08", "0102030405060708"), later).size() == 1);
    CHECK(refused(PayloadType::sa, proposal("01", "00", ""), later));
    CHECK(refused(PayloadType::sa, proposal("01", "04", "01020304"), later));
    CHECK(proposals(proposal("03", "04", "01020304"), later).size() == 1);
    CHECK(refused(PayloadType::sa, proposal("03", "00", ""), later));
    CHECK(refused(PayloadType::sa, proposal("03", "08", "0102030405060708"), later));
    CHECK(refused(PayloadType::sa, proposal("02", "08", "0102030405060708"), later));
    CHECK(refused(PayloadType::sa, proposal("03", "04", "010203"), later));
}

TEST_CASE("TRAPS 14: lengths, counts and markers inside SA must agree with each other") {
    // Proposal of one 8-byte transform: length 0014.
    const auto sa = [](std::string_view head, std::string_view counts, std::string_view transform) {
        return std::string(head) + std::string(counts) + "01020304" + std::string(transform);
    };
    CHECK(proposals(sa("00000014", "01030401", "0000000805000000")).size() == 1);
    CHECK(refused(PayloadType::sa, sa("00000013", "01030401", "0000000805000000")));  // ends inside
    CHECK(refused(PayloadType::sa, sa("00000015", "01030401", "0000000805000000")));  // past the payload
    CHECK(refused(PayloadType::sa, sa("0000ffff", "01030401", "0000000805000000")));
    CHECK(refused(PayloadType::sa, sa("00000003", "01030401", "0000000805000000")));
    CHECK(refused(PayloadType::sa, sa("00000014", "01030402", "0000000805000000")));  // one transform too few
    CHECK(refused(PayloadType::sa, sa("00000014", "01030400", "0000000805000000")));  // one too many
    CHECK(refused(PayloadType::sa, sa("00000014", "010304ff", "0000000805000000")));
    CHECK(refused(PayloadType::sa, sa("00000014", "01030401", "0000000705000000")));  // transform without its id
    CHECK(refused(PayloadType::sa, sa("00000014", "01030401", "0000000905000000")));  // past its proposal
    CHECK(refused(PayloadType::sa, sa("00000014", "01030401", "0300000805000000")));  // more is promised
    CHECK(refused(PayloadType::sa, sa("02000014", "01030401", "0000000805000000")));
    CHECK(refused(PayloadType::sa, sa("00000014", "0103ff01", "0000000805000000")));      // SPI longer than all
    CHECK(refused(PayloadType::sa, sa("00000016", "01030401", "0000000a05000000800e")));  // half an attribute
    CHECK(refused(PayloadType::sa, sa("0000001a", "01030401", "0000000e050000000063000a0000")));
    CHECK(proposals("").empty());
}

TEST_CASE("Notify: SPI sizes and the contents that the engine relies on are checked") {
    const auto group = parsed<NotifyPayload>(PayloadType::notify, "00000011001f");
    CHECK(group.type == NotifyType::invalid_ke_payload);
    CHECK(group.data == ByteVec{0, 31});
    const auto rekey = parsed<NotifyPayload>(PayloadType::notify, "0304400901020304");
    CHECK(rekey == NotifyPayload{NotifyType::rekey_sa, Protocol::esp, {1, 2, 3, 4}, {}});
    CHECK(built(rekey) == "0304400901020304");
    // Without an SPI the protocol says nothing and is sent as zero (RFC 7296 3.10).
    CHECK(parsed<NotifyPayload>(PayloadType::notify, "01004000").protocol == Protocol::none);
    CHECK(parsed<NotifyPayload>(PayloadType::notify, "0000beef0102").type == NotifyType{0xbeef});

    for (const auto* bad : {"", "000000", "0001000e01",
                            "03080009"
                            "0102030405060708",
                            "0104000901020304", "0304000e010203", "000000110013ff", "0000001100", "00004006",
                            "00004004"
                            "00",
                            "00004001"
                            "000001",
                            "03004009"}) {
        INFO(bad);
        CHECK(refused(PayloadType::notify, bad));
    }
    CHECK(refused(PayloadType::notify, "00004006" + std::string(130, '0')));  // a cookie of 65
    CHECK_FALSE(refused(PayloadType::notify, "00004006" + std::string(128, '0')));
}

TEST_CASE("TRAPS 9: Delete names no SPI for IKE and 4-byte ones for ESP, as many as it says") {
    CHECK(parsed<DeletePayload>(PayloadType::del, "01000000") == DeletePayload{Protocol::ike, {}});
    const auto del = parsed<DeletePayload>(PayloadType::del,
                                           "03040002"
                                           "01020304"
                                           "c0000001");
    CHECK(del == DeletePayload{Protocol::esp, {Spi{0x01020304}, Spi{0xc0000001}}});
    CHECK(built(del) ==
          "03040002"
          "01020304"
          "c0000001");
    CHECK(built(DeletePayload{}) == "01000000");
    for (const auto* bad : {"030400", "0304000201020304", "030400010102030405060708", "0308000101020304",
                            "01040001"
                            "01020304",
                            "010800010102030405060708", "03000000", "0000000000",
                            "00040001"
                            "01020304",
                            "0304ffff01020304"}) {
        INFO(bad);
        CHECK(refused(PayloadType::del, bad));
    }
}

TEST_CASE("TRAPS 16: selectors are read with protocol and ports; unknown types and empty ranges are left out") {
    const std::string v4 =
        "07110010"
        "00350036"
        "0a010000"
        "0a0100ff";
    const std::string v6 =
        "08000028"
        "0000ffff"
        "20010db8000000000000000000000000"
        "20010db80000000000000000000000ff";
    const std::string opaque =
        "07000010"
        "ffff0000"
        "00000000"
        "ffffffff";
    const auto ts = parsed<TsI>(PayloadType::ts_i, "03000000" + v4 + v6 + opaque);
    REQUIRE(ts.selectors.size() == 3);
    CHECK(ts.selectors[0].protocol == 17);
    CHECK(ts.selectors[0].start_port == 0x35);
    CHECK(ts.selectors[0].end_port == 0x36);
    CHECK(ts.selectors[0].range.first == *net::IpAddress::parse("10.1.0.0"));
    CHECK(ts.selectors[0].range.last == *net::IpAddress::parse("10.1.0.255"));
    CHECK(ts.selectors[1].range.last == *net::IpAddress::parse("2001:db8::ff"));
    CHECK(ts.selectors[2].is_opaque());
    CHECK(built(ts) == "03000000" + v4 + v6 + opaque);

    const std::string fibre =
        "0900000c"
        "00000000"
        "01020304";
    const std::string downward =
        "07000010"
        "0000ffff"
        "0a0100ff"
        "0a010000";
    const std::string ports_downward =
        "07000010"
        "00360035"
        "0a010000"
        "0a0100ff";
    const auto rest = parsed<TsR>(PayloadType::ts_r, "04000000" + fibre + downward + ports_downward + v4);
    REQUIRE(rest.selectors.size() == 1);
    CHECK(rest.selectors[0] == ts.selectors[0]);
    CHECK(parsed<TsR>(PayloadType::ts_r, "00000000").selectors.empty());
}

TEST_CASE("TRAPS 14: counts and lengths inside TS must agree") {
    const std::string v4 =
        "07110010"
        "00350036"
        "0a010000"
        "0a0100ff";
    for (const auto& bad : {std::string("010000"), "02000000" + v4, "00000000" + v4, "01000000" + v4 + "00",
                            std::string("01000000"
                                        "0711000f"
                                        "00350036"
                                        "0a010000"
                                        "0a0100"),
                            std::string("01000000"
                                        "07110011"
                                        "00350036"
                                        "0a010000"
                                        "0a0100ffff"),
                            std::string("01000000"
                                        "08110010"
                                        "00350036"
                                        "0a010000"
                                        "0a0100ff"),
                            std::string("01000000"
                                        "09000007"
                                        "000000"),
                            std::string("01000000"
                                        "07110003")}) {
        INFO(bad);
        CHECK(refused(PayloadType::ts_i, bad));
    }
}

}  // namespace sluice::ike
