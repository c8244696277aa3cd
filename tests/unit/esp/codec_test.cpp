// SPDX-License-Identifier: Apache-2.0
#include "lib/esp/codec.hpp"

#include <catch2/catch.hpp>
#include <random>

using namespace sluice;
using namespace sluice::esp;

namespace {

ByteVec hex(std::string_view text) { return *from_hex(text); }

struct Keys {
    crypto::Encr encr;
    std::uint16_t bits;
    std::string_view encr_key;
    crypto::Integ integ = crypto::Integ::none;
    std::string_view integ_key = {};
};
crypto::CipherKeys cipher_keys(const Keys& k) {
    return {.encr = k.encr,
            .key_bits = k.bits,
            .integ = k.integ,
            .encr_key = SecretBytes(hex(k.encr_key)),
            .integ_key = SecretBytes(hex(k.integ_key))};
}

// One ESP packet that somebody else made, and what is in it.
struct Vector {
    std::string_view name;
    Keys keys;
    bool esn;
    std::uint32_t spi;
    std::uint64_t seq;
    std::string_view iv;
    std::string_view inner;
    std::uint8_t next_header;
    std::string_view packet;
};

// A datagram "hello" from 192.0.2.1 to 10.1.2.3.
constexpr std::string_view kHello = "45000021123400003f119b93c00002010a01020300351234000ddb9368656c6c6f";
constexpr std::string_view kKey16 = "404142434445464748494a4b4c4d4e4f";
constexpr std::string_view kKey32 = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f";
constexpr Keys kCbc{crypto::Encr::aes_cbc, 128, kKey16, crypto::Integ::hmac_sha2_256_128, kKey32};
constexpr Keys kNull{crypto::Encr::null, 0, "", crypto::Integ::hmac_sha2_256_128, kKey32};
constexpr Keys kGcm{crypto::Encr::aes_gcm_16, 128, "feffe9928665731c6d6a8f9467308308cafebabe"};

const Vector kVectors[] = {
    {"draft-mcgrew-gcm-test-01: 32-bit sequence number", kGcm, false, 0x0000a5f8, 0x0000000a, "facedbaddecaf888",
     "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d001000001000000000000037369700963796265726369"
     "747902646b0000010001",
     1,
     "0000a5f80000000afacedbaddecaf888deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c3de81827"
     "c10e9a4f51330d0eec416642cfbb85a5b47e48a4ec3b9ba95d918bd183b70d3aa8bc6ee4c309e9d85a41ad4a"},
    {"draft-mcgrew-gcm-test-01: extended sequence number",
     {crypto::Encr::aes_gcm_16, 128, "4c80cdefbb5d10da906ac73c3613a6342e443b68"},
     true,
     0x00004321,
     0x8765432100000000,
     "4956ed7e3b244cfe",
     "45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f736970045f756470037369700963"
     "796265726369747902646b0000210001",
     1,
     "00004321000000004956ed7e3b244cfefecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f"
     "14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732459018148f6cbe722fd04796562dfdb4"},
    {"RFC 7634 appendix A",
     {crypto::Encr::chacha20_poly1305, 256, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3"},
     false,
     0x01020304,
     5,
     "1011121314151617",
     "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f1011121314151617"
     "18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637",
     4,
     "0102030400000005101112131415161724039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099"
     "d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e0"
     "76aaa8266b7fb0f7b11b369907e1ad43"},
    {"scapy: AES-CBC with HMAC-SHA2-256", kCbc, false, 0x89abcdef, 7, "8f1e2d3c4b5a69788796a5b4c3d2e1f0", kHello, 4,
     "89abcdef000000078f1e2d3c4b5a69788796a5b4c3d2e1f01912f1518fce2d9ad4bc9beadb33e93e559131236455dd8f201bfdce"
     "e871d06ab1ffdbdd80ebb94e047827fe4b420f358f75cb754a5275d3e72c1f01a982165c"},
    {"python-cryptography: the same with the ESN high half in the ICV", kCbc, true, 0x89abcdef, 0x0102030400000007,
     "8f1e2d3c4b5a69788796a5b4c3d2e1f0", kHello, 4,
     "89abcdef000000078f1e2d3c4b5a69788796a5b4c3d2e1f01912f1518fce2d9ad4bc9beadb33e93e559131236455dd8f201bfdce"
     "e871d06ab1ffdbdd80ebb94e047827fe4b420f35593006360cd2f9e11fbbdd37eeb5fb4b"},
    {"python-cryptography: NULL with HMAC-SHA2-256", kNull, false, 0x89abcdef, 7, "", kHello, 4,
     "89abcdef0000000745000021123400003f119b93c00002010a01020300351234000ddb9368656c6c6f010104f5f300b7dcceeb1a"
     "6b5e4c5c7e8534a1"},
};

struct Sealed {
    crypto::CipherKeys keys;
    bool esn = false;
    Seq seq;
    ByteVec packet;
    OpenOutput open_with(Seq number) { return open(Codec{keys, esn}, number, packet); }
    OpenOutput open_it() { return open_with(seq); }
};

Sealed seal_one(const Keys& k, const ByteVec& inner, std::uint8_t next_header, std::uint64_t seq = 7) {
    Sealed s{.keys = cipher_keys(k), .esn = seq > UINT32_MAX, .seq = Seq(seq), .packet = {}};
    const Codec codec{s.keys, s.esn};
    const ByteVec iv(codec.layout().iv_size, 0xa5);
    s.packet.resize(codec.layout().esp_size(inner.size()));
    const SealInput input{.spi = Spi(0x1234abcd), .seq = s.seq, .iv = iv, .next_header = next_header, .inner = inner};
    REQUIRE(seal(codec, input, s.packet));
    return s;
}

// A packet whose text, trailer and all, is given: what a peer that breaks the rules could send under the right key.
Sealed seal_text(const Keys& k, ByteVec text) {
    Sealed s{.keys = cipher_keys(k), .esn = false, .seq = Seq(9), .packet = {}};
    const Layout layout = Codec{s.keys}.layout();
    s.packet = hex("1234abcd00000009");
    s.packet.resize(layout.text_offset(), 0x5a);
    ByteVec icv(layout.icv_size);
    const AuthenticatedHeader header(Spi(0x1234abcd), s.seq, false, crypto::find_encr(k.encr)->aead);
    REQUIRE(crypto::cipher_seal(s.keys, header.head(), Bytes(s.packet).subspan(8), text, icv));
    s.packet.insert(s.packet.end(), text.begin(), text.end());
    s.packet.insert(s.packet.end(), icv.begin(), icv.end());
    return s;
}

}  // namespace

TEST_CASE("Packets that others made: sealing gives their bytes, opening gives what was in them") {
    for (const Vector& v : kVectors) {
        INFO(v.name);
        const crypto::CipherKeys keys = cipher_keys(v.keys);
        const Codec codec{keys, v.esn};
        const ByteVec inner = hex(v.inner);
        ByteVec packet = hex(v.packet);
        ByteVec out(codec.layout().esp_size(inner.size()));
        const ByteVec iv = hex(v.iv);
        REQUIRE(seal(codec, {Spi(v.spi), Seq(v.seq), iv, v.next_header, inner}, out));
        CHECK(to_hex(out) == to_hex(packet));
        const OpenOutput opened = open(codec, Seq(v.seq), packet);
        CHECK(opened.fault == Fault::none);
        CHECK(opened.next_header == v.next_header);
        CHECK(to_hex(opened.inner) == to_hex(inner));
    }
}

TEST_CASE("Every algorithm and size comes back, with and without ESN") {
    const std::string key36(72, '3'), key16(32, '4'), key64(128, '5');
    const Keys all[] = {
        kGcm,
        kCbc,
        kNull,
        {crypto::Encr::aes_gcm_16, 256, key36},
        {crypto::Encr::chacha20_poly1305, 256, key36},
        {crypto::Encr::aes_ctr, 128, std::string_view(key36).substr(0, 40), crypto::Integ::hmac_sha2_256_128, kKey32},
        {crypto::Encr::aes_cbc, 128, key16, crypto::Integ::hmac_sha2_512_256, key64},
        {crypto::Encr::aes_ccm_16, 128, std::string_view(key36).substr(0, 38)},
    };
    for (const Keys& k : all) {
        for (const std::uint64_t seq : {std::uint64_t{1}, std::uint64_t{0x500000007}}) {
            for (std::size_t size = 0; size < 70; ++size) {
                ByteVec inner(size);
                for (std::size_t i = 0; i < size; ++i) inner[i] = static_cast<Byte>(i * 11 + 5);
                Sealed s = seal_one(k, inner, 17, seq);
                const OpenOutput opened = s.open_it();
                REQUIRE(opened.fault == Fault::none);
                REQUIRE(opened.next_header == 17);
                REQUIRE(equal(opened.inner, inner));
            }
        }
    }
}

TEST_CASE("TRAPS 31: each flipped bit fails the ICV, SPI and number included") {
    for (const Keys& k : {kGcm, kCbc, kNull}) {
        const Sealed good = seal_one(k, hex(kHello), 4);
        for (std::size_t bit = 0; bit < good.packet.size() * 8; ++bit) {
            Sealed bad = good;
            bad.packet[bit / 8] = static_cast<Byte>(bad.packet[bit / 8] ^ (1 << bit % 8));
            // The caller infers the low half from the packet: hand over what is on the wire.
            const Seq number(net::load<net::EspHeader>(bad.packet).sequence.host());
            const OpenOutput opened = bad.open_with(number);
            if (opened.fault != Fault::icv || !opened.inner.empty()) FAIL("bit " << bit << " passed");
        }
    }
}

TEST_CASE("TRAPS 34: the ESN's high half is part of the ICV, in AEADs and in HMACs") {
    for (const Keys& k : {kGcm, kCbc, kNull}) {
        const Sealed good = seal_one(k, hex(kHello), 4, 0x200000007);
        for (const std::uint64_t high : {0ULL, 1ULL, 3ULL, 0x80000002ULL}) {
            Sealed s = good;
            CHECK(s.open_with(Seq(high << 32 | 7)).fault == Fault::icv);
        }
        Sealed s = good;
        CHECK(s.open_it().fault == Fault::none);
        // And a packet without ESN is none with it.
        Sealed plain = seal_one(k, hex(kHello), 4, 7);
        plain.esn = true;
        CHECK(plain.open_it().fault == Fault::icv);
    }
}

TEST_CASE("Every truncation and every odd size is refused before it is read") {
    for (const Keys& k : {kGcm, kCbc, kNull}) {
        const Sealed good = seal_one(k, hex(kHello), 4);
        for (std::size_t n = 0; n < good.packet.size(); ++n) {
            Sealed cut = good;
            cut.packet.resize(n);
            cut.packet.shrink_to_fit();
            const Fault fault = cut.open_it().fault;
            const Layout layout = Codec{cut.keys}.layout();
            CHECK(fault == (layout.size_valid(n) ? Fault::icv : Fault::size));
        }
    }
}

TEST_CASE("TRAPS 32: bad trailers under a good ICV, each by its name") {
    for (const Keys& k : {kGcm, kNull}) {
        CHECK(seal_text(k, hex("aabbccdd"
                               "01020211"))
                  .open_it()
                  .fault == Fault::none);
        CHECK(seal_text(k, hex("aabbccdd"
                               "01030211"))
                  .open_it()
                  .fault == Fault::padding);
        CHECK(seal_text(k, hex("aabbccdd"
                               "00000211"))
                  .open_it()
                  .fault == Fault::padding);
        CHECK(seal_text(k, hex("aabbccdd"
                               "01020711"))
                  .open_it()
                  .fault == Fault::pad_length);
        CHECK(seal_text(k, hex("aabbccdd"
                               "0102ff11"))
                  .open_it()
                  .fault == Fault::pad_length);
        const OpenOutput dummy = seal_text(k, hex("aabbccdd"
                                                  "0102023b"))
                                     .open_it();
        CHECK(dummy.fault == Fault::dummy);
        CHECK(dummy.inner.empty());
        CHECK(seal_text(k, hex("450000ff"
                               "01020204"))
                  .open_it()
                  .fault == Fault::inner_length);
    }
}

TEST_CASE("TRAPS 32: TFC padding behind the inner packet is cut off") {
    ByteVec inner = hex(kHello);
    inner.resize(500, 0xdd);
    for (const Keys& k : {kGcm, kCbc}) {
        Sealed s = seal_one(k, inner, 4);
        const OpenOutput opened = s.open_it();
        CHECK(opened.fault == Fault::none);
        CHECK(to_hex(opened.inner) == kHello);
    }
    // An inner packet that claims to be longer than what came.
    ByteVec greedy = hex(kHello);
    greedy[3] = static_cast<Byte>(greedy[3] + 1);
    CHECK(seal_one(kGcm, greedy, 4).open_it().fault == Fault::inner_length);
}

TEST_CASE("RFC 4106 5, RFC 4303 2.2.1: where the high half of an ESN goes") {
    const AuthenticatedHeader aead(Spi(0x01020304), Seq(0x1112131415161718), true, true);
    CHECK(to_hex(aead.head()) == "010203041112131415161718");
    CHECK(aead.tail().empty());
    const AuthenticatedHeader mac(Spi(0x01020304), Seq(0x1112131415161718), true, false);
    CHECK(to_hex(mac.head()) == "0102030415161718");
    CHECK(to_hex(mac.tail()) == "11121314");
    const AuthenticatedHeader plain(Spi(0x01020304), Seq(0x15161718), false, true);
    CHECK(to_hex(plain.head()) == "0102030415161718");
    CHECK(plain.tail().empty());
}
