// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <set>

#include "ike/protect.hpp"
#include "lib/crypto/prf.hpp"
#include "tests/unit/ike/peer_record.hpp"
#include "tests/unit/ike/seeded_random.hpp"

namespace sluice::ike {
namespace {

struct Choice {
    Encr encr;
    std::uint16_t key_bits;
    Integ integ;
};
constexpr Choice kChoices[] = {
    {Encr::aes_gcm_16, 128, Integ::none},        {Encr::aes_gcm_12, 192, Integ::none},
    {Encr::aes_gcm_8, 256, Integ::none},         {Encr::aes_ccm_16, 128, Integ::none},
    {Encr::chacha20_poly1305, 256, Integ::none}, {Encr::aes_cbc, 128, Integ::hmac_sha2_256_128},
    {Encr::aes_cbc, 256, Integ::hmac_sha1_96},   {Encr::aes_ctr, 128, Integ::hmac_sha2_512_256},
    {Encr::null, 0, Integ::hmac_sha2_384_192},
};

crypto::CipherKeys keys_for(const Choice& choice, SeededRandom& random) {
    const auto* integ = crypto::find_integ(choice.integ);
    return {choice.encr, choice.key_bits, choice.integ,
            SecretBytes(random.bytes(crypto::keymat_size(choice.encr, choice.key_bits))),
            SecretBytes(random.bytes(integ == nullptr ? 0 : integ->key))};
}

const Header kHeader{0x0102030405060708, 0x1112131415161718, ExchangeType::informational, true, false, 9};

std::vector<Payload> some_payloads(std::size_t vendor_size) {
    return {DeletePayload{ipsec::Protocol::esp, {Spi{0xc0ffee01}}},
            OpaquePayload{PayloadType::vendor, ByteVec(vendor_size, 3)}};
}

// An SK message around text as it is, padding included: what seal() would never make.
ByteVec seal_text(const Header& header, PayloadType first, ByteVec text, const crypto::CipherKeys& keys, Bytes iv) {
    const std::size_t icv = crypto::cipher_icv_size(keys);
    const std::size_t size = kGenericHeaderSize + iv.size() + text.size() + icv;
    ByteWriter out;
    write_header(out, header, PayloadType::sk, kHeaderSize + size);
    out.u8(static_cast<std::uint8_t>(first));
    out.u8(0);
    out.u16(static_cast<std::uint16_t>(size));
    ByteVec mac(icv);
    REQUIRE(crypto::cipher_seal(keys, out.view(), iv, text, mac).ok());
    out.raw(iv);
    out.raw(text);
    out.raw(mac);
    return std::move(out).take();
}

}  // namespace

TEST_CASE("What is sealed opens into the same payloads, for every cipher and every padding") {
    SeededRandom random(9);
    for (const Choice& choice : kChoices) {
        const auto keys = keys_for(choice, random);
        for (std::size_t size = 0; size < 40; ++size) {
            const auto payloads = some_payloads(size);
            const auto sealed = seal(kHeader, payloads, keys, random.bytes(crypto::cipher_iv_size(keys)));
            REQUIRE(sealed.ok());
            const auto opened = open(*sealed, keys);
            REQUIRE(opened);
            CHECK(opened->header == kHeader);
            CHECK(opened->payloads == payloads);
        }
        const auto empty = seal(kHeader, {}, keys, random.bytes(crypto::cipher_iv_size(keys)));
        REQUIRE(empty.ok());
        REQUIRE(open(*empty, keys));
        CHECK(open(*empty, keys)->payloads.empty());
    }
}

TEST_CASE("TRAPS 13: one changed bit anywhere and the message does not open, for every cipher") {
    SeededRandom random(10);
    for (const Choice& choice : kChoices) {
        const auto keys = keys_for(choice, random);
        const auto sealed = seal(kHeader, some_payloads(11), keys, random.bytes(crypto::cipher_iv_size(keys)));
        REQUIRE(sealed.ok());
        for (std::size_t bit = 0; bit < 8 * sealed->size(); ++bit) {
            ByteVec flipped = *sealed;
            flipped[bit / 8] ^= static_cast<Byte>(1U << bit % 8);
            const auto opened = open(flipped, keys);
            INFO("bit " << bit);
            REQUIRE_FALSE(opened);
            CHECK(opened.failure().error != OpenError::inner);
        }
    }
}

TEST_CASE("TRAPS 13: the pad length is looked at only once the ICV has verified") {
    SeededRandom random(11);
    for (const Choice& choice : kChoices) {
        const auto keys = keys_for(choice, random);
        const ByteVec iv = random.bytes(crypto::cipher_iv_size(keys));
        ByteVec text(16, 0);
        text.back() = 15;  // nothing but padding
        const auto whole = open(seal_text(kHeader, PayloadType::none, text, keys, iv), keys);
        REQUIRE(whole);
        CHECK(whole->payloads.empty());
        for (const unsigned pad : {16U, 17U, 255U}) {
            text.back() = static_cast<Byte>(pad);
            ByteVec message = seal_text(kHeader, PayloadType::none, text, keys, iv);
            const auto longer = open(message, keys);
            REQUIRE_FALSE(longer);
            CHECK(longer.failure().error == OpenError::inner);
            CHECK(longer.failure().parse == ParseFailure{ParseError::body, PayloadType::sk});
            message.back() ^= 1;  // the same, forged: the bad padding must not show
            const auto forged = open(message, keys);
            REQUIRE_FALSE(forged);
            CHECK(forged.failure().error == OpenError::icv);
        }
    }
}

TEST_CASE("Authentic but malformed inside is told apart, with what to answer") {
    SeededRandom random(12);
    const auto keys = keys_for(kChoices[0], random);
    const ByteVec iv = random.bytes(8);
    const auto opened = open(seal_text(kHeader, PayloadType{200}, {0, 0x80, 0, 4, 0}, keys, iv), keys);
    REQUIRE_FALSE(opened);
    CHECK(opened.failure().error == OpenError::inner);
    CHECK(opened.failure().parse.answer() == NotifyType::unsupported_critical_payload);
    CHECK(opened.failure().parse.detail == 200);
    const auto short_chain = open(seal_text(kHeader, PayloadType::vendor, {0, 0, 0, 5, 0}, keys, iv), keys);
    REQUIRE_FALSE(short_chain);
    CHECK(short_chain.failure().parse.answer() == NotifyType::invalid_syntax);
    // SK inside SK.
    const auto nested = open(seal_text(kHeader, PayloadType::sk, {0, 0, 0, 5, 1, 0}, keys, iv), keys);
    REQUIRE_FALSE(nested);
    CHECK(nested.failure().error == OpenError::inner);
}

TEST_CASE("Payloads before SK are authenticated and do not count as protected") {
    SeededRandom random(13);
    const auto keys = keys_for(kChoices[0], random);
    const ByteVec iv = random.bytes(8);
    ByteVec text = {0};
    ByteVec mac(16);
    ByteWriter out;
    const std::size_t sk = kGenericHeaderSize + iv.size() + text.size() + mac.size();
    write_header(out, kHeader, PayloadType::del, kHeaderSize + 8 + sk);
    out.raw(
        hex("2e000008"
            "01000000"));  // DELETE of the IKE SA, in clear
    out.u16(0);
    out.u16(static_cast<std::uint16_t>(sk));
    REQUIRE(crypto::cipher_seal(keys, out.view(), iv, text, mac).ok());
    out.raw(iv);
    out.raw(text);
    out.raw(mac);
    const auto opened = open(out.view(), keys);
    REQUIRE(opened);
    CHECK(opened->payloads.empty());
    out.patch_u8(kHeaderSize + 4, 3);
    CHECK_FALSE(open(out.view(), keys));
}

TEST_CASE("A message without SK, with SKF, or under other keys does not open") {
    SeededRandom random(14);
    const auto keys = keys_for(kChoices[0], random);
    const auto other = keys_for(kChoices[0], random);
    const Message clear{kHeader, some_payloads(1)};
    CHECK(open(build_message(clear), keys).failure().error == OpenError::outer);
    const auto sealed = seal(kHeader, some_payloads(1), keys, random.bytes(8));
    REQUIRE(sealed.ok());
    CHECK(open(*sealed, other).failure().error == OpenError::icv);
    ByteVec fragment = *sealed;
    fragment[16] = 53;
    CHECK(open(fragment, keys).failure().error == OpenError::outer);
}

TEST_CASE("An SK payload too short for IV, ICV and pad length, or not of whole blocks, does not open") {
    SeededRandom random(15);
    for (const Choice& choice : kChoices) {
        const auto keys = keys_for(choice, random);
        for (std::size_t size = 0; size < 100; ++size) {
            const Message message{kHeader, {SkPayload{PayloadType::sk, PayloadType::none, random.bytes(size)}}};
            const auto opened = open(build_message(message), keys);
            REQUIRE_FALSE(opened);
            CHECK(opened.failure().error == OpenError::icv);
        }
    }
}

TEST_CASE("TRAPS 13: CBC text that is no multiple of the block does not open, though its MAC be right") {
    SeededRandom random(16);
    const auto keys = keys_for({Encr::aes_cbc, 128, Integ::hmac_sha2_256_128}, random);
    for (const std::size_t text : {0U, 1U, 15U, 17U, 31U}) {
        const ByteVec body = random.bytes(16 + text);
        ByteWriter out;
        write_header(out, kHeader, PayloadType::sk, kHeaderSize + kGenericHeaderSize + body.size() + 16);
        out.u16(0);
        out.u16(static_cast<std::uint16_t>(kGenericHeaderSize + body.size() + 16));
        out.raw(body);
        const SecretBytes mac = crypto::prf(Prf::hmac_sha2_256, keys.integ_key.view(), {out.view()});
        out.raw(mac.view().first(16));
        const auto opened = open(out.view(), keys);
        REQUIRE_FALSE(opened);
        CHECK(opened.failure().error == OpenError::icv);
    }
}

TEST_CASE("The counter IV has node, incarnation and counter in 4, 16 and 44 bits, and no two are alike") {
    CHECK(to_hex(counter_iv(NodeId{0xa}, Incarnation{0xbcde}, 0xf0123456789)) == "abcdef0123456789");
    CHECK(to_hex(counter_iv(NodeId{0}, Incarnation{1}, 2)) == "0000100000000002");
    std::set<std::string> seen;
    for (const unsigned node : {0U, 1U, 15U})
        for (const unsigned incarnation : {0U, 1U, 65535U})
            for (const std::uint64_t counter : {std::uint64_t{0}, std::uint64_t{1}, (std::uint64_t{1} << 44) - 1})
                seen.insert(to_hex(counter_iv(NodeId{static_cast<std::uint8_t>(node)},
                                              Incarnation{static_cast<std::uint16_t>(incarnation)}, counter)));
    CHECK(seen.size() == 27);
    CHECK(needs_random_iv(Encr::aes_cbc));
    CHECK_FALSE(needs_random_iv(Encr::aes_gcm_16));
    CHECK_FALSE(needs_random_iv(Encr::aes_ctr));
}

}  // namespace sluice::ike
