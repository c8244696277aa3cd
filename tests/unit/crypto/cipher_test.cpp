// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>
#include <numeric>

#include "lib/crypto/cipher.hpp"

using namespace sluice;
using namespace sluice::crypto;

namespace {

ByteVec hex(std::string_view text) { return *from_hex(text); }

ByteVec counting(std::size_t size, Byte first = 0) {
    ByteVec bytes(size);
    std::iota(bytes.begin(), bytes.end(), first);
    return bytes;
}

struct Vector {
    Encr encr;
    std::uint16_t key_bits;
    std::string_view key;  // salt at its tail
    std::string_view aad;
    std::string_view iv;
    std::string_view plain;
    std::string_view cipher;
    std::string_view icv;  // empty: the cipher is checked beside HMAC-SHA1-96, whose ICV is checked elsewhere
};

CipherKeys keys_of(const Vector& v) {
    CipherKeys keys{v.encr, v.key_bits, Integ::none, SecretBytes(hex(v.key)), {}};
    if (v.icv.empty()) {
        keys.integ = Integ::hmac_sha1_96;
        keys.integ_key = SecretBytes(20);
    }
    return keys;
}

// The plaintext of the GCM specification's test cases 4, 10 and 16, whose nonce is salt | IV here.
constexpr std::string_view kGcmPlain =
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
constexpr std::string_view kGcmAad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
constexpr std::string_view kGcmKey128 = "feffe9928665731c6d6a8f9467308308cafebabe";
constexpr std::string_view kGcmCipher128 =
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
    "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091";
constexpr std::string_view kCounting40 =
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627";
constexpr std::string_view kCcmAad = "a0a1a2a3a4a5a6a7";
constexpr std::string_view kCcmIv = "7071727374757677";
constexpr std::string_view kCcmCipher128 =
    "8e9b83601e407fd6a7c6313bb1e9dd1714fc6dc0c48954f1864706501d25e66ed999dd8e13cd3537";
constexpr std::string_view kCcmCipher256 =
    "a59eef76cb0d8de9ebebafcb36d53f6a9e07cfdcd2f5785c30820ade0c6a4faacf9d1ad09fef97e9";
constexpr std::string_view kCcmKey128 = "101112131415161718191a1b1c1d1e1f5a1750";
constexpr std::string_view kCcmKey256 = "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f5a1750";
constexpr std::string_view kSingleBlock = "53696e676c6520626c6f636b206d7367";  // "Single block msg"

const Vector kVectors[] = {
    // The GCM specification; truncated tags are its first bytes (RFC 4106 6).
    {Encr::aes_gcm_16, 128, kGcmKey128, kGcmAad, "facedbaddecaf888", kGcmPlain, kGcmCipher128,
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {Encr::aes_gcm_12, 128, kGcmKey128, kGcmAad, "facedbaddecaf888", kGcmPlain, kGcmCipher128,
     "5bc94fbc3221a5db94fae95a"},
    {Encr::aes_gcm_8, 128, kGcmKey128, kGcmAad, "facedbaddecaf888", kGcmPlain, kGcmCipher128, "5bc94fbc3221a5db"},
    {Encr::aes_gcm_16, 192, "feffe9928665731c6d6a8f9467308308feffe9928665731ccafebabe", kGcmAad, "facedbaddecaf888",
     kGcmPlain,
     "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
     "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710",
     "2519498e80f1478f37ba55bd6d27618c"},
    {Encr::aes_gcm_16, 256, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308cafebabe", kGcmAad,
     "facedbaddecaf888", kGcmPlain,
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    // CCM with IPsec's 11-byte nonce, by an independent implementation that reproduces RFC 3610's vectors.
    {Encr::aes_ccm_8, 128, kCcmKey128, kCcmAad, kCcmIv, kCounting40, kCcmCipher128, "ef26894a83b3950a"},
    {Encr::aes_ccm_12, 128, kCcmKey128, kCcmAad, kCcmIv, kCounting40, kCcmCipher128, "b41ba29d5aa4964fa37762e1"},
    {Encr::aes_ccm_16, 128, kCcmKey128, kCcmAad, kCcmIv, kCounting40, kCcmCipher128,
     "6fef5af2ef8a2595e407f34b76a08bd2"},
    {Encr::aes_ccm_8, 192, "101112131415161718191a1b1c1d1e1f20212223242526275a1750", kCcmAad, kCcmIv, kCounting40,
     "285c6a4060b41136492ec3dc20859b19eb738de97115db80b1721bd3d8d7c39b79815ac5068f2362", "9fd35507bc02573c"},
    {Encr::aes_ccm_8, 256, kCcmKey256, kCcmAad, kCcmIv, kCounting40, kCcmCipher256, "222e7c1215cf0d09"},
    {Encr::aes_ccm_12, 256, kCcmKey256, kCcmAad, kCcmIv, kCounting40, kCcmCipher256, "d8b76968d361e137035e87e9"},
    {Encr::aes_ccm_16, 256, kCcmKey256, kCcmAad, kCcmIv, kCounting40, kCcmCipher256,
     "d07f2ff6981a229a14d2d3d3a04de482"},
    // RFC 8439 2.8.2.
    {Encr::chacha20_poly1305, 256, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f07000000",
     "50515253c0c1c2c3c4c5c6c7", "4041424344454647",
     "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920636f756c64206f"
     "6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c2073756e73637265656e20776f756c6420"
     "62652069742e",
     "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b1a71de0a9e06"
     "0b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d265"
     "86cec64b6116",
     "1ae10b594f09e26a7e902ecbd0600691"},
    // draft-mcgrew-gcm-test: GMAC covers SPI, sequence number, IV and payload (RFC 4543 3.3).
    {Encr::null_auth_aes_gmac, 128, "4c80cdefbb5d10da906ac73c3613a63422433c64", "0000432100000007", "0000000000000000",
     "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f707172737401020201",
     "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f707172737401020201",
     "f2a9a836e155106aa8dcd618e4099aaa"},
    // RFC 3602 4, cases 1 and 2.
    {Encr::aes_cbc, 128, "06a9214036b8a15b512e03d534120006", "", "3dafba429d9eb430b422da802c9fac41", kSingleBlock,
     "e353779c1079aeb82708942dbe77181a", ""},
    {Encr::aes_cbc, 128, "c286696d887c9aa0611bbb3e2025a45a", "", "562e17996d093d28ddb3ba695a2e6f58",
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1", ""},
    // RFC 3686 6, vectors 1, 2, 4 and 7; the nonce is the salt.
    {Encr::aes_ctr, 128, "ae6852f8121067cc4bf7a5765577f39e00000030", "", "0000000000000000", kSingleBlock,
     "e4095d4fb7a7b3792d6175a3261311b8", ""},
    {Encr::aes_ctr, 128, "7e24067817fae0d743d6ce1f32539163006cb6db", "", "c0543b59da48d90b",
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28", ""},
    {Encr::aes_ctr, 192, "16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb7851500000048", "", "36733c147d6d93cb",
     kSingleBlock, "4b55384fe259c9c84e7935a003cbe928", ""},
    {Encr::aes_ctr, 256, "776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c10400000060", "",
     "db5672c97aa8f0b2", kSingleBlock, "145ad01dbf824ec7560863dc71e3e0c0", ""},
};

// Every pair of transforms that fits together, with keys of counting bytes.
std::vector<CipherKeys> all_suites() {
    std::vector<CipherKeys> suites;
    const auto add = [&suites](Encr encr, Integ integ) {
        for (const std::uint16_t bits :
             {std::uint16_t{0}, std::uint16_t{128}, std::uint16_t{192}, std::uint16_t{256}}) {
            if (!key_bits_valid(encr, bits)) continue;
            const IntegInfo* const info = find_integ(integ);
            suites.push_back({encr, bits, integ, SecretBytes(counting(keymat_size(encr, bits), 0x11)),
                              SecretBytes(counting(info == nullptr ? 0 : info->key, 0x77))});
        }
    };
    for (const Encr encr : {Encr::aes_gcm_8, Encr::aes_gcm_12, Encr::aes_gcm_16, Encr::aes_ccm_8, Encr::aes_ccm_12,
                            Encr::aes_ccm_16, Encr::chacha20_poly1305, Encr::null_auth_aes_gmac}) {
        add(encr, Integ::none);
    }
    for (const Encr encr : {Encr::null, Encr::aes_cbc, Encr::aes_ctr}) {
        for (const Integ integ : {Integ::hmac_sha1_96, Integ::aes_xcbc_96, Integ::aes_cmac_96, Integ::hmac_sha2_256_128,
                                  Integ::hmac_sha2_384_192, Integ::hmac_sha2_512_256}) {
            add(encr, integ);
        }
    }
    return suites;
}

// A sealed packet and the parts that its ICV must cover.
struct Sealed {
    CipherKeys keys;
    ByteVec aad;
    ByteVec iv;
    ByteVec text;
    ByteVec icv;
    ByteVec tail;

    Result<void> open() { return cipher_open(keys, aad, iv, text, icv, tail); }
};

Sealed seal(const CipherKeys& keys, std::size_t text_size) {
    Sealed s{keys,
             counting(12, 0xa0),
             counting(cipher_iv_size(keys), 0x50),
             counting(text_size),
             ByteVec(cipher_icv_size(keys)),
             {}};
    if (keys.integ != Integ::none) s.tail = counting(4, 0xe0);
    REQUIRE(cipher_seal(keys, s.aad, s.iv, s.text, s.icv, s.tail));
    return s;
}

}  // namespace

TEST_CASE("Ciphers agree with the RFCs' vectors") {
    for (const auto& v : kVectors) {
        CAPTURE(find_encr(v.encr)->name, v.key_bits, v.cipher);
        const CipherKeys keys = keys_of(v);
        ByteVec text = hex(v.plain);
        ByteVec icv(cipher_icv_size(keys));
        REQUIRE(cipher_seal(keys, hex(v.aad), hex(v.iv), text, icv));
        CHECK(to_hex(text) == v.cipher);
        if (!v.icv.empty()) CHECK(to_hex(icv) == v.icv);
        REQUIRE(cipher_open(keys, hex(v.aad), hex(v.iv), text, icv));
        CHECK(to_hex(text) == v.plain);
    }
}

TEST_CASE("TRAPS 13: integrity transforms give the first bytes of their MAC (RFC 4868 2.7, RFC 2404, 3566, 4494)") {
    struct Case {
        Integ integ;
        ByteVec key;
        ByteVec data;
        std::string_view icv;
    };
    const ByteVec hi = to_vec(as_bytes("Hi There"));
    const Case cases[] = {
        {Integ::hmac_sha1_96, ByteVec(20, 0x0b), hi, "b617318655057264e28bc0b6"},
        {Integ::hmac_sha2_256_128, ByteVec(32, 0x0b), hi, "198a607eb44bfbc69903a0f1cf2bbdc5"},
        {Integ::hmac_sha2_384_192, ByteVec(48, 0x0b), hi, "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973"},
        {Integ::hmac_sha2_512_256, ByteVec(64, 0x0b), hi,
         "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"},
        {Integ::aes_xcbc_96, counting(16), counting(20), "47f51b4564966215b8985c63"},
        {Integ::aes_cmac_96, hex("2b7e151628aed2a6abf7158809cf4f3c"), hex("6bc1bee22e409f96e93d7e117393172a"),
         "070a16b46b4d4144f79bdd9d"},
    };
    for (const auto& c : cases) {
        const CipherKeys keys{Encr::null, 0, c.integ, {}, SecretBytes(c.key)};
        // Cut in every place: associated data | text | tail are one message to the MAC.
        for (std::size_t cut = 0; cut <= c.data.size(); ++cut) {
            const Bytes all(c.data);
            ByteVec text = to_vec(all.subspan(cut));
            ByteVec tail;
            if (cut % 2 == 1) std::swap(text, tail);
            ByteVec icv(cipher_icv_size(keys));
            REQUIRE(cipher_seal(keys, all.first(cut), {}, text, icv, tail));
            CHECK(to_hex(icv) == c.icv);
        }
    }
}

TEST_CASE("What is sealed opens, for every suite and many sizes") {
    for (const auto& keys : all_suites()) {
        CAPTURE(find_encr(keys.encr)->name, keys.key_bits, static_cast<int>(keys.integ));
        for (const std::size_t blocks : {0u, 1u, 2u, 3u, 15u, 16u, 17u, 100u}) {
            const std::size_t size = blocks * cipher_block_size(keys);
            Sealed s = seal(keys, size);
            const bool encrypts = keys.encr != Encr::null && keys.encr != Encr::null_auth_aes_gmac;
            if (size >= 15) CHECK((s.text != counting(size)) == encrypts);
            REQUIRE(s.open());
            CHECK(s.text == counting(size));
        }
    }
}

TEST_CASE("TRAPS 13: a flipped bit in any part is refused and leaves no plaintext") {
    for (const auto& keys : all_suites()) {
        CAPTURE(find_encr(keys.encr)->name, keys.key_bits, static_cast<int>(keys.integ));
        const Sealed good = seal(keys, 32);
        const ByteVec gone(32);
        for (ByteVec Sealed::*part : {&Sealed::aad, &Sealed::iv, &Sealed::text, &Sealed::icv, &Sealed::tail}) {
            for (std::size_t i = 0; i < (good.*part).size(); ++i) {
                for (const Byte bit : {Byte{0x01}, Byte{0x80}}) {
                    Sealed bad = good;
                    (bad.*part)[i] ^= bit;
                    const auto opened = bad.open();
                    REQUIRE_FALSE(opened);
                    CHECK(opened.error().code == ErrorCode::auth);
                    CHECK(bad.text == gone);
                }
            }
        }
        for (std::size_t i = 0; i < keys.encr_key.size() && keys.encr != Encr::null; ++i) {
            Sealed bad = good;
            bad.keys.encr_key.mutable_view()[i] ^= 1;
            if (find_encr(keys.encr)->aead) CHECK_FALSE(bad.open());  // the salt's bytes too
        }
        for (std::size_t i = 0; i < keys.integ_key.size(); ++i) {
            Sealed bad = good;
            bad.keys.integ_key.mutable_view()[i] ^= 1;
            CHECK_FALSE(bad.open());
        }
    }
}

TEST_CASE("An empty text is authenticated like any other") {
    for (const auto& keys : all_suites()) {
        CAPTURE(find_encr(keys.encr)->name, keys.key_bits, static_cast<int>(keys.integ));
        const Sealed good = seal(keys, 0);
        for (std::size_t i = 0; i < good.icv.size(); ++i) {
            Sealed bad = good;
            bad.icv[i] ^= 0x10;
            CHECK_FALSE(bad.open());
        }
        Sealed bad = good;
        bad.aad[3] ^= 1;
        CHECK_FALSE(bad.open());
    }
}

TEST_CASE("TRAPS 13: a truncated, lengthened or missing ICV is refused before anything is read") {
    for (const auto& keys : all_suites()) {
        const Sealed good = seal(keys, 16);
        for (std::size_t size = 0; size <= 40; ++size) {
            Sealed bad = good;
            bad.icv.resize(size);
            CHECK(bad.open().ok() == (size == good.icv.size()));
        }
    }
}

TEST_CASE("Sizes and suites that do not fit are errors, and nothing is written") {
    const Sealed good = seal(all_suites().front(), 16);
    const auto refused = [](Sealed s) {
        const ByteVec before = s.text;
        const auto opened = s.open();
        const auto sealed = cipher_seal(s.keys, s.aad, s.iv, s.text, s.icv, s.tail);
        return !opened && !sealed && opened.error().code != ErrorCode::auth && s.text == before;
    };
    Sealed s = good;
    CHECK_FALSE(refused(s));
    s.iv.pop_back();
    CHECK(refused(s));
    s = good;
    s.tail = counting(4);
    CHECK(refused(s));  // an AEAD has no MAC tail
    s = good;
    s.keys.encr_key = SecretBytes(s.keys.encr_key.view().first(16));  // no salt
    CHECK(refused(s));
    s = good;
    s.keys.integ = Integ::hmac_sha1_96;
    s.keys.integ_key = SecretBytes(20);
    CHECK(refused(s));
    s = good;
    s.keys.key_bits = 0;
    CHECK(refused(s));
    s = good;
    s.keys.encr = Encr{3};
    CHECK(refused(s));

    const CipherKeys cbc{Encr::aes_cbc, 128, Integ::hmac_sha2_256_128, SecretBytes(16), SecretBytes(32)};
    Sealed block = seal(cbc, 16);
    block.text.push_back(0);
    CHECK(refused(block));  // not whole blocks
    block.text.pop_back();
    block.keys.integ = Integ::none;  // encryption without integrity
    block.keys.integ_key = {};
    block.icv.clear();
    CHECK(refused(block));
}
