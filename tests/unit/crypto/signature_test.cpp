// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/signature.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::crypto;

namespace {

PrivateKey make_key(const char* algorithm, const void* parameter) {
    EVP_PKEY* key = nullptr;
    const std::string name = algorithm;
    if (name == "RSA") key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", *static_cast<const std::size_t*>(parameter));
    if (name == "EC") key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", static_cast<const char*>(parameter));
    if (parameter == nullptr) key = EVP_PKEY_Q_keygen(nullptr, nullptr, algorithm);
    REQUIRE(key != nullptr);
    auto made = private_key_of({key, EVP_PKEY_free});
    REQUIRE(made);
    return *made;
}

constexpr std::size_t kBits = 2048;

struct Case {
    const char* algorithm;
    const void* parameter;
    SignatureScheme scheme;
};

}  // namespace

// RFC 7427 appendix A.
TEST_CASE("AlgorithmIdentifiers are those of RFC 7427 A and RFC 8420") {
    struct Row {
        SignatureScheme scheme;
        const char* der;
    };
    const Row rows[] = {
        {{SignatureKind::rsa_pkcs1, SignatureHash::sha1}, "300d06092a864886f70d0101050500"},
        {{SignatureKind::rsa_pkcs1, SignatureHash::sha256}, "300d06092a864886f70d01010b0500"},
        {{SignatureKind::rsa_pkcs1, SignatureHash::sha384}, "300d06092a864886f70d01010c0500"},
        {{SignatureKind::rsa_pkcs1, SignatureHash::sha512}, "300d06092a864886f70d01010d0500"},
        {{SignatureKind::ecdsa, SignatureHash::sha256}, "300a06082a8648ce3d040302"},
        {{SignatureKind::ecdsa, SignatureHash::sha384}, "300a06082a8648ce3d040303"},
        {{SignatureKind::ecdsa, SignatureHash::sha512}, "300a06082a8648ce3d040304"},
        {{SignatureKind::rsa_pss, SignatureHash::sha256},
         "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d0609608648"
         "0165030402010500a203020120"},
        {{SignatureKind::ed25519, SignatureHash::identity}, "300506032b6570"},
        {{SignatureKind::ed448, SignatureHash::identity}, "300506032b6571"},
    };
    for (const Row& row : rows) {
        CAPTURE(to_string(row.scheme));
        CHECK(to_hex(algorithm_identifier(row.scheme)) == row.der);
        const auto parsed = parse_algorithm_identifier(*from_hex(row.der));
        REQUIRE(parsed);
        CHECK(*parsed == row.scheme);
    }
}

TEST_CASE("An AlgorithmIdentifier that is unknown, cut or too long is none") {
    const ByteVec pss = algorithm_identifier({SignatureKind::rsa_pss, SignatureHash::sha384});
    REQUIRE(parse_algorithm_identifier(pss));
    for (std::size_t size = 0; size < pss.size(); ++size) CHECK(!parse_algorithm_identifier(Bytes(pss).first(size)));
    ByteVec longer = pss;
    longer.push_back(0);
    CHECK(!parse_algorithm_identifier(longer));
    CHECK(!parse_algorithm_identifier(*from_hex("300d06092a864886f70d0101040500")));  // MD5 with RSA
    // RSASSA-PSS without parameters: SHA-1 throughout, and RFC 7427 A.4.1 has them empty.
    CHECK(!parse_algorithm_identifier(*from_hex("300b06092a864886f70d01010a")));
    // SHA-256 over MGF1 with SHA-1.
    CHECK(!parse_algorithm_identifier(
        *from_hex("303e06092a864886f70d01010a3031a00f300d06096086480165030402010500a119301706092a864886f70d010108300a"
                  "06052b0e03021a0500a203020120")));
}

TEST_CASE("What is signed verifies, and nothing else does") {
    const Case cases[] = {
        {"RSA", &kBits, {SignatureKind::rsa_pkcs1, SignatureHash::sha1}},
        {"RSA", &kBits, {SignatureKind::rsa_pkcs1, SignatureHash::sha512}},
        {"RSA", &kBits, {SignatureKind::rsa_pss, SignatureHash::sha256}},
        {"EC", "P-256", {SignatureKind::ecdsa, SignatureHash::sha256}},
        {"EC", "P-384", {SignatureKind::ecdsa, SignatureHash::sha384}},
        {"EC", "P-521", {SignatureKind::ecdsa, SignatureHash::sha512}},
        {"EC", "P-256", {SignatureKind::ecdsa_raw, SignatureHash::sha256}},
        {"EC", "P-521", {SignatureKind::ecdsa_raw, SignatureHash::sha512}},
        {"ED25519", nullptr, {SignatureKind::ed25519, SignatureHash::identity}},
        {"ED448", nullptr, {SignatureKind::ed448, SignatureHash::identity}},
    };
    const ByteVec data{1, 2, 3, 4};
    for (const Case& one : cases) {
        CAPTURE(to_string(one.scheme));
        const PrivateKey key = make_key(one.algorithm, one.parameter);
        const auto signature = sign(key, one.scheme, data);
        REQUIRE(signature);
        CHECK(verify(key.public_key(), one.scheme, data, *signature));
        ByteVec other = *signature;
        other[other.size() / 2] ^= 4;
        CHECK(!verify(key.public_key(), one.scheme, data, other));
        CHECK(!verify(key.public_key(), one.scheme, ByteVec{1, 2, 3, 5}, *signature));
        CHECK(!verify(key.public_key(), one.scheme, data, {}));
        const PrivateKey stranger = make_key(one.algorithm, one.parameter);
        CHECK(!verify(stranger.public_key(), one.scheme, data, *signature));
        if (one.scheme.kind == SignatureKind::ecdsa_raw)
            CHECK(signature->size() == 2 * ((key.public_key().bits() + 7) / 8));
    }
}

TEST_CASE("A scheme that does not fit the key is refused in both directions") {
    const PrivateKey ed = make_key("ED25519", nullptr);
    const PrivateKey ec = make_key("EC", "P-256");
    CHECK(!sign(ed, {SignatureKind::ecdsa, SignatureHash::sha256}, {}));
    CHECK(!sign(ec, {SignatureKind::rsa_pss, SignatureHash::sha256}, {}));
    CHECK(!sign(ec, {SignatureKind::ecdsa, SignatureHash::identity}, {}));
    const auto signature = sign(ec, {SignatureKind::ecdsa, SignatureHash::sha256}, ByteVec{1});
    CHECK(!verify(ec.public_key(), {SignatureKind::rsa_pkcs1, SignatureHash::sha256}, ByteVec{1}, *signature));
    CHECK(!verify(ec.public_key(), {SignatureKind::ecdsa, SignatureHash::sha384}, ByteVec{1}, *signature));
}

// RFC 8032 7.1, test 2.
TEST_CASE("Ed25519 gives the signature of RFC 8032") {
    const ByteVec seed = *from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    EVP_PKEY* key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size());
    const auto own = private_key_of({key, EVP_PKEY_free});
    REQUIRE(own);
    const auto signature = sign(*own, {SignatureKind::ed25519, SignatureHash::identity}, ByteVec{0x72});
    REQUIRE(signature);
    CHECK(to_hex(*signature) ==
          "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb430"
          "2aeeb00d291612bb0c00");
}

TEST_CASE("Private keys are read in every form, and a passphrase opens what is encrypted") {
    const PrivateKey key = make_key("EC", "P-384");
    auto written = [&](auto write) {
        BIO* out = BIO_new(BIO_s_mem());
        write(out);
        char* data = nullptr;
        const long size = BIO_get_mem_data(out, &data);
        ByteVec bytes(data, data + size);
        BIO_free(out);
        return bytes;
    };
    const ByteVec pem =
        written([&](BIO* out) { PEM_write_bio_PrivateKey(out, key.native(), nullptr, nullptr, 0, nullptr, nullptr); });
    const ByteVec sec1 = written([&](BIO* out) {
        PEM_write_bio_PrivateKey_traditional(out, key.native(), nullptr, nullptr, 0, nullptr, nullptr);
    });
    const ByteVec der = written([&](BIO* out) { i2d_PrivateKey_bio(out, key.native()); });
    const ByteVec locked = written([&](BIO* out) {
        PEM_write_bio_PKCS8PrivateKey(out, key.native(), EVP_aes_256_cbc(), "open sesame", 11, nullptr, nullptr);
    });
    const SecretBytes none;
    for (const ByteVec* form : {&pem, &sec1, &der}) {
        const auto read = PrivateKey::parse(*form, none);
        REQUIRE(read);
        CHECK(read->public_key() == key.public_key());
    }
    CHECK(PrivateKey::parse(locked, none).error().code == ErrorCode::auth);
    CHECK(PrivateKey::parse(locked, SecretBytes(as_bytes("open barley"))).error().code == ErrorCode::auth);
    const auto opened = PrivateKey::parse(locked, SecretBytes(as_bytes("open sesame")));
    REQUIRE(opened);
    CHECK(opened->public_key() == key.public_key());
    CHECK(!PrivateKey::parse(as_bytes("no key at all"), none));
    CHECK(!PrivateKey::parse({}, none));
}

TEST_CASE("Keys of other types, curves and sizes are refused by name") {
    const PrivateKey k256 = make_key("RSA", &kBits);
    CHECK(k256.public_key().bits() == 2048);
    EVP_PKEY* other = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "secp256k1");
    CHECK(private_key_of({other, EVP_PKEY_free}).error().text.find("secp256k1") != std::string::npos);
    other = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{512});
    CHECK(private_key_of({other, EVP_PKEY_free}).error().text.find("512 bits") != std::string::npos);
    other = EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519");
    CHECK(private_key_of({other, EVP_PKEY_free}).error().code == ErrorCode::unsupported);
}
