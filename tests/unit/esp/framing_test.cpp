// SPDX-License-Identifier: Apache-2.0
// encap.hpp and trailer.hpp: what stands around the encrypted text.
#include <catch2/catch.hpp>

#include "lib/esp/encap.hpp"
#include "lib/esp/trailer.hpp"

using namespace sluice;
using namespace sluice::esp;

namespace {

ByteVec hex(std::string_view text) { return *from_hex(text); }

}  // namespace

TEST_CASE("TRAPS 24: what port 4500 carries") {
    CHECK(classify_udp(hex("ff")) == UdpPayload::keepalive);
    CHECK(classify_udp(hex("fe")) == UdpPayload::runt);  // any other single byte: dropped all the same
    CHECK(classify_udp({}) == UdpPayload::runt);
    CHECK(classify_udp(hex("ffff")) == UdpPayload::runt);
    CHECK(classify_udp(hex("00000000")) == UdpPayload::runt);
    CHECK(classify_udp(hex("0000000011")) == UdpPayload::ike);
    CHECK(classify_udp(hex("00000001"
                           "00000001")) == UdpPayload::esp);
    CHECK(classify_udp(hex("01000000"
                           "00000001")) == UdpPayload::esp);
    CHECK(classify_udp(hex("00010000"
                           "00000001")) == UdpPayload::esp);
    CHECK(classify_udp(hex("00000100"
                           "00000001")) == UdpPayload::esp);
    CHECK(classify_udp(hex("00000001"
                           "000000")) == UdpPayload::runt);
    CHECK(classify_udp(hex("ffffffff"
                           "00000001")) == UdpPayload::esp);
}

TEST_CASE("TRAPS 32: a trailer is written as RFC 4303 2.4 says and read back, for every length") {
    for (std::size_t pad = 0; pad <= 255; ++pad) {
        ByteVec text(20 + pad + 2, 0xee);
        write_trailer(MutBytes(text).subspan(20), 4);
        for (std::size_t i = 0; i < pad; ++i) REQUIRE(text[20 + i] == i + 1);
        REQUIRE(text[20 + pad] == pad);
        const Trailer trailer = read_trailer(text);
        REQUIRE(trailer.fault == Fault::none);
        REQUIRE(trailer.next_header == 4);
        REQUIRE(trailer.payload_size == 20);
        // Each padding byte counts.
        for (std::size_t i = 0; i < pad; ++i) {
            text[20 + i] ^= 0x40;
            REQUIRE(read_trailer(text).fault == Fault::padding);
            text[20 + i] ^= 0x40;
        }
    }
}

TEST_CASE("TRAPS 32: padding longer than the text is refused at its exact bound") {
    CHECK(read_trailer({}).fault == Fault::size);
    CHECK(read_trailer(hex("04")).fault == Fault::size);
    CHECK(read_trailer(hex("0004")).fault == Fault::none);  // nothing inside: the inner length says so later
    CHECK(read_trailer(hex("0104")).fault == Fault::pad_length);
    CHECK(read_trailer(hex("010104")).fault == Fault::none);
    CHECK(read_trailer(hex("010204")).fault == Fault::pad_length);
    CHECK(read_trailer(hex("01ff04")).fault == Fault::pad_length);
    CHECK(read_trailer(hex("020204")).fault == Fault::pad_length);
    CHECK(read_trailer(hex("01020204")).fault == Fault::none);
    CHECK(read_trailer(hex("02010204")).fault == Fault::padding);
}

TEST_CASE("TRAPS 32: next header 59 is a dummy, told apart from bad ones") {
    const Trailer trailer = read_trailer(hex("aabb0102023b"));
    CHECK(trailer.fault == Fault::dummy);
    CHECK(trailer.next_header == 59);
    CHECK(trailer.payload_size == 2);
    CHECK(read_trailer(hex("aabb0103023b")).fault == Fault::padding);
}

TEST_CASE("TRAPS 32: the inner length cuts off TFC padding, and never reaches past what came") {
    ByteVec v4(100);
    v4[0] = 0x45, v4[2] = 0, v4[3] = 60;
    CHECK(inner_length(v4, 4).size == 60);
    v4[3] = 100;
    CHECK(inner_length(v4, 4).size == 100);
    v4[3] = 101;
    CHECK(inner_length(v4, 4).fault == Fault::inner_length);
    v4[2] = 1, v4[3] = 0;  // 256
    CHECK(inner_length(v4, 4).fault == Fault::inner_length);
    v4[2] = 0, v4[3] = 19;
    CHECK(inner_length(v4, 4).fault == Fault::inner_length);
    CHECK(inner_length(Bytes(v4).first(19), 4).fault == Fault::inner_length);

    ByteVec v6(100);
    v6[0] = 0x60, v6[4] = 0, v6[5] = 20;
    CHECK(inner_length(v6, 41).size == 60);
    v6[5] = 60;
    CHECK(inner_length(v6, 41).size == 100);
    v6[5] = 61;
    CHECK(inner_length(v6, 41).fault == Fault::inner_length);
    CHECK(inner_length(Bytes(v6).first(39), 41).fault == Fault::inner_length);
    CHECK(inner_length({}, 41).fault == Fault::inner_length);

    CHECK(inner_length(Bytes(v6).first(7), 17).size == 7);  // transport mode: as it is
}
