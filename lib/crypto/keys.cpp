// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/keys.hpp"

#include <openssl/core_names.h>

#include <cstring>

#include "lib/crypto/openssl_ptr.hpp"
#include "lib/crypto/prf.hpp"

namespace sluice::crypto {
namespace {

constexpr int kMinRsaBits = 1024;
constexpr int kMaxRsaBits = 16384;  // a verification takes milliseconds up to here

std::shared_ptr<EVP_PKEY> shared(OpensslPtr<EVP_PKEY> key) { return {key.release(), OpensslFree{}}; }

Result<KeyType> type_of(const EVP_PKEY* key) {
    const int bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "RSA-PSS") == 1) {
        if (bits < kMinRsaBits || bits > kMaxRsaBits)
            return fail(ErrorCode::invalid, "RSA key of " + std::to_string(bits) + " bits, expected 1024 to 16384");
        return KeyType::rsa;
    }
    if (EVP_PKEY_is_a(key, "EC") == 1) {
        char curve[32] = {};
        EVP_PKEY_get_group_name(key, curve, sizeof curve, nullptr);
        for (const char* known : {"prime256v1", "secp384r1", "secp521r1"})
            if (std::strcmp(curve, known) == 0) return KeyType::ecdsa;
        return fail(ErrorCode::unsupported, "curve \"" + std::string(curve) + "\", expected P-256, P-384 or P-521");
    }
    if (EVP_PKEY_is_a(key, "ED25519") == 1) return KeyType::ed25519;
    if (EVP_PKEY_is_a(key, "ED448") == 1) return KeyType::ed448;
    return fail(ErrorCode::unsupported, "key type, expected RSA, ECDSA, Ed25519 or Ed448");
}

struct Passphrase {
    const SecretBytes& text;
    bool asked = false;
};
int give_passphrase(char* out, int size, int, void* context) {
    auto& passphrase = *static_cast<Passphrase*>(context);
    passphrase.asked = true;
    const Bytes text = passphrase.text.view();
    if (text.empty() || text.size() > static_cast<std::size_t>(size)) return -1;
    std::memcpy(out, text.data(), text.size());
    return static_cast<int>(text.size());
}

OpensslPtr<EVP_PKEY> decode(Bytes data, int selection, Passphrase& passphrase) {
    EVP_PKEY* key = nullptr;
    const OpensslPtr<OSSL_DECODER_CTX> decoder(
        OSSL_DECODER_CTX_new_for_pkey(&key, nullptr, nullptr, nullptr, selection, nullptr, nullptr));
    if (!decoder) return nullptr;
    OSSL_DECODER_CTX_set_pem_password_cb(decoder.get(), give_passphrase, &passphrase);
    const Byte* at = data.data();
    std::size_t size = data.size();
    OSSL_DECODER_from_data(decoder.get(), &at, &size);
    return OpensslPtr<EVP_PKEY>(key);
}

}  // namespace

std::string to_string(KeyType type) {
    switch (type) {
        case KeyType::rsa:
            return "RSA";
        case KeyType::ecdsa:
            return "ECDSA";
        case KeyType::ed25519:
            return "Ed25519";
        case KeyType::ed448:
            return "Ed448";
    }
    return "unknown";
}

Result<PublicKey> PublicKey::of(std::shared_ptr<evp_pkey_st> key) {
    const auto type = type_of(key.get());
    if (!type) return type.error();
    PublicKey out;
    out.type_ = *type;
    out.bits_ = static_cast<unsigned>(EVP_PKEY_get_bits(key.get()));
    if (out.type_ == KeyType::ecdsa && out.bits_ != 384 && out.bits_ != 521) out.bits_ = 256;
    out.spki_ = to_der(key.get(), i2d_PUBKEY);
    out.key_ = std::move(key);
    if (out.spki_.empty()) return fail(ErrorCode::invalid, "public key: " + openssl_reason());
    return out;
}

Result<PublicKey> PublicKey::from_spki(Bytes der) {
    const Byte* at = der.data();
    OpensslPtr<EVP_PKEY> key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
    if (!key || at != der.data() + der.size()) return fail(ErrorCode::invalid, "public key: " + openssl_reason());
    return of(shared(std::move(key)));
}

Result<PublicKey> PublicKey::parse(Bytes data) {
    const SecretBytes none;
    Passphrase passphrase{none};
    OpensslPtr<EVP_PKEY> key = decode(data, OSSL_KEYMGMT_SELECT_PUBLIC_KEY, passphrase);
    const std::string reason = openssl_reason();
    if (!key) return fail(ErrorCode::invalid, "public key: " + reason);
    return of(shared(std::move(key)));
}

Result<PrivateKey> PrivateKey::parse(Bytes data, const SecretBytes& passphrase) {
    Passphrase given{passphrase};
    OpensslPtr<EVP_PKEY> key = decode(data, OSSL_KEYMGMT_SELECT_KEYPAIR, given);
    const std::string reason = openssl_reason();
    if (!key && given.asked)
        return fail(ErrorCode::auth, passphrase.empty() ? "private key: is encrypted, and there is no passphrase for it"
                                                        : "private key: the passphrase does not open it");
    if (!key) return fail(ErrorCode::invalid, "private key: " + reason);
    return private_key_of(shared(std::move(key)));
}

Result<PrivateKey> private_key_of(std::shared_ptr<evp_pkey_st> key) {
    auto half = PublicKey::of(std::move(key));
    if (!half) return half.error();
    PrivateKey out;
    out.public_ = *std::move(half);
    return out;
}

ByteVec key_id(const PublicKey& key) {
    const auto hash = sha1({key.spki()});
    return {hash.begin(), hash.end()};
}

}  // namespace sluice::crypto
