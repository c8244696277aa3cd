// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <numeric>

#include "lib/crypto/prf.hpp"

using namespace sluice;
using namespace sluice::crypto;

namespace {

ByteVec hex(std::string_view text) { return *from_hex(text); }

// 00 01 02 ...
ByteVec counting(std::size_t size, Byte first = 0) {
    ByteVec bytes(size);
    std::iota(bytes.begin(), bytes.end(), first);
    return bytes;
}

std::string prf_hex(Prf id, const ByteVec& key, Bytes data) { return to_hex(prf(id, key, {data}).view()); }

struct HmacCase {
    ByteVec key;
    std::string data;
    std::string sha1;
    std::string sha256;
    std::string sha384;
    std::string sha512;
};

}  // namespace

TEST_CASE("HMAC agrees with RFC 2202 and RFC 4231") {
    const HmacCase cases[] = {
        {ByteVec(20, 0x0b), "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
         "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
         "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
         "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
        {to_vec(as_bytes("Jefe")), "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
         "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
         "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
         "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
        {ByteVec(20, 0xaa), std::string(50, '\xdd'), "125d7342b9ac11cd91a39af48aa17b4f63f175d3",
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
         "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
         "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
         "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
        {ByteVec(131, 0xaa), "Test Using Larger Than Block-Size Key - Hash Key First", "",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
         "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
         "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
         "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
        {ByteVec(80, 0xaa), "Test Using Larger Than Block-Size Key - Hash Key First",
         "aa4ae5e15272d00e95705637ce8a3b55ed402112", "", "", ""},
    };
    for (const auto& c : cases) {
        const Bytes data = as_bytes(c.data);
        if (!c.sha1.empty()) CHECK(prf_hex(Prf::hmac_sha1, c.key, data) == c.sha1);
        if (!c.sha256.empty()) CHECK(prf_hex(Prf::hmac_sha2_256, c.key, data) == c.sha256);
        if (!c.sha384.empty()) CHECK(prf_hex(Prf::hmac_sha2_384, c.key, data) == c.sha384);
        if (!c.sha512.empty()) CHECK(prf_hex(Prf::hmac_sha2_512, c.key, data) == c.sha512);
    }
}

TEST_CASE("AES-XCBC-PRF-128 agrees with RFC 3566 at every padding, TRAPS 8") {
    const ByteVec key = counting(16);
    CHECK(prf_hex(Prf::aes128_xcbc, key, {}) == "75f0251d528ac01c4573dfd584d79f29");
    CHECK(prf_hex(Prf::aes128_xcbc, key, counting(3)) == "5b376580ae2f19afe7219ceef172756f");
    CHECK(prf_hex(Prf::aes128_xcbc, key, counting(16)) == "d2a246fa349b68a79998a4394ff7a263");
    CHECK(prf_hex(Prf::aes128_xcbc, key, counting(20)) == "47f51b4564966215b8985c63055ed308");
    CHECK(prf_hex(Prf::aes128_xcbc, key, counting(32)) == "f54f0ec8d2b9f3d36807734bd5283fd4");
    CHECK(prf_hex(Prf::aes128_xcbc, key, counting(34)) == "becbb3bccdb518a30677d5481fb6b4d8");
    CHECK(prf_hex(Prf::aes128_xcbc, key, ByteVec(1000)) == "f0dafee895db30253761103b5d84528f");
}

TEST_CASE("AES-CMAC-PRF-128 agrees with RFC 4493") {
    const ByteVec key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    const ByteVec text =
        hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
            "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
    CHECK(prf_hex(Prf::aes128_cmac, key, {}) == "bb1d6929e95937287fa37d129b756746");
    CHECK(prf_hex(Prf::aes128_cmac, key, Bytes(text).first(16)) == "070a16b46b4d4144f79bdd9dd04a287c");
    CHECK(prf_hex(Prf::aes128_cmac, key, Bytes(text).first(40)) == "dfa66747de9ae63030ca32611497c827");
    CHECK(prf_hex(Prf::aes128_cmac, key, text) == "51f0bebf7e3b9d92fc49741779363cfe");
}

TEST_CASE("TRAPS 8: keys of another length are folded as RFC 4434 and RFC 4615 say") {
    ByteVec long_key = counting(16);
    long_key.push_back(0xed);
    long_key.push_back(0xcb);
    const ByteVec data = counting(20);
    CHECK(prf_hex(Prf::aes128_xcbc, counting(16), data) == "47f51b4564966215b8985c63055ed308");
    CHECK(prf_hex(Prf::aes128_xcbc, counting(10), data) == "0fa087af7d866e7653434e602fdde835");
    CHECK(prf_hex(Prf::aes128_xcbc, long_key, data) == "8cd3c93ae598a9803006ffb67c40e9e4");
    CHECK(prf_hex(Prf::aes128_cmac, counting(16), data) == "980ae87b5f4c9c5214f5b6a8455e4c2d");
    CHECK(prf_hex(Prf::aes128_cmac, counting(10), data) == "290d9e112edb09ee141fcf64c0b72f3d");
    CHECK(prf_hex(Prf::aes128_cmac, long_key, data) == "84a348a4a45d235babfffc0d2b4da09a");
}

TEST_CASE("A prf of parts is the prf of their concatenation, wherever it is cut") {
    const ByteVec key = counting(16, 0x30);
    const ByteVec data = counting(50);
    for (const Prf id : {Prf::hmac_sha1, Prf::aes128_xcbc, Prf::hmac_sha2_256, Prf::hmac_sha2_384, Prf::hmac_sha2_512,
                         Prf::aes128_cmac}) {
        const SecretBytes whole = prf(id, key, {data});
        for (std::size_t cut = 0; cut <= data.size(); ++cut) {
            const Bytes all(data);
            CHECK(prf(id, key, {all.first(cut), {}, all.subspan(cut)}) == whole);
        }
        CHECK_FALSE(prf(id, key, {Bytes(data).first(49)}) == whole);
    }
}

TEST_CASE("An empty key is a key, not the one before") {
    const ByteVec other = counting(20);
    const ByteVec data = counting(4);
    (void)prf(Prf::hmac_sha2_256, other, {data});
    CHECK(prf_hex(Prf::hmac_sha2_256, {}, {}) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    CHECK(prf_hex(Prf::aes128_xcbc, {}, {}) == "51e6fbd6939d5bd1e25cec50f0d51748");
    CHECK(prf_hex(Prf::aes128_cmac, {}, {}) == "535b12c981d8c6de784552aeab70abe4");
}

// Expected values come from an implementation of RFC 7296 2.13 in another language, over other primitives.
TEST_CASE("prf+ agrees with an independent implementation") {
    struct Case {
        Prf id;
        std::string first;        // the first 40 bytes
        std::string end_of_last;  // the last 8 bytes of 255 outputs
    };
    const Case cases[] = {
        {Prf::hmac_sha1, "9ea4c31ee68e4148f9c0ef3cf6e3c1f9f221aec7fa0eb83c3a7d5558ae273c4d2ae0182e2938defc",
         "d4167a06637dea58"},
        {Prf::hmac_sha2_256, "1747b7c5cb0d3d8ec52c87bce81efa240a89533319972f5c0d77cf879d506aa82ba565c2433c699a",
         "fa4f3ecb29d5467d"},
        {Prf::hmac_sha2_384, "54cd1b78f353697c13e029f50755490bbcedd2a7fff21ed7ed09d2f0081f75ee5c113434c127c80e",
         "1a46b4a450c9c09e"},
        {Prf::hmac_sha2_512, "7adef0dd227ba215217d3bbd47090cceafe232b1bf206904e7c6120f6cd6e0d110563a4182e4ea13",
         "282abdb58b409b28"},
        {Prf::aes128_xcbc, "156b1454d32bfaaf6d6b42da7db4912c027845c0c7631115309a09303d4efee48354b316ba8796d9",
         "f6f131ca63d35e40"},
        {Prf::aes128_cmac, "02a4fed1e6f40ca94840abdfb50307588f11f78bcb409f5b4faff5e8e813c05944b348b308e765e0",
         "d5230fe9e8377d7f"},
    };
    const ByteVec key = counting(40, 0x40);
    const Bytes seed = as_bytes("nonces and spis");
    for (const auto& c : cases) {
        CHECK(to_hex(prf_plus(c.id, key, seed, 40).view()) == c.first);
        const std::size_t most = std::size_t{255} * find_prf(c.id)->output;
        CHECK(to_hex(prf_plus(c.id, key, seed, most).view().last(8)) == c.end_of_last);
        CHECK(prf_plus(c.id, key, seed, 0).empty());
    }
}

TEST_CASE("Plain hashes agree with FIPS 180") {
    CHECK(to_hex(sha1({as_bytes("a"), as_bytes("bc")})) == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(to_hex(sha256({as_bytes("ab"), {}, as_bytes("c")})) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}
