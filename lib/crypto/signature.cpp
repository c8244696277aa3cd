// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/signature.hpp"

#include <openssl/objects.h>

#include <cassert>

#include "lib/crypto/must.hpp"
#include "lib/crypto/openssl_ptr.hpp"

namespace sluice::crypto {
namespace {

struct HashInfo {
    SignatureHash hash;
    int nid;
    int rsa_nid;
    int ecdsa_nid;
    const char* name;
};
constexpr HashInfo kHashes[] = {
    {SignatureHash::sha1, NID_sha1, NID_sha1WithRSAEncryption, NID_ecdsa_with_SHA1, "SHA1"},
    {SignatureHash::sha256, NID_sha256, NID_sha256WithRSAEncryption, NID_ecdsa_with_SHA256, "SHA256"},
    {SignatureHash::sha384, NID_sha384, NID_sha384WithRSAEncryption, NID_ecdsa_with_SHA384, "SHA384"},
    {SignatureHash::sha512, NID_sha512, NID_sha512WithRSAEncryption, NID_ecdsa_with_SHA512, "SHA512"},
};

const HashInfo* find_hash(SignatureHash hash) {
    for (const HashInfo& info : kHashes)
        if (info.hash == hash) return &info;
    return nullptr;
}

bool is_edwards(SignatureKind kind) { return kind == SignatureKind::ed25519 || kind == SignatureKind::ed448; }

bool consistent(KeyType type, const SignatureScheme& scheme) {
    if (!fits(type, scheme.kind)) return false;
    return is_edwards(scheme.kind) == (scheme.hash == SignatureHash::identity) &&
           (is_edwards(scheme.kind) || find_hash(scheme.hash) != nullptr);
}

X509_ALGOR* algor(int nid, int parameter_type) {
    X509_ALGOR* made = X509_ALGOR_new();
    must(made != nullptr && X509_ALGOR_set0(made, OBJ_nid2obj(nid), parameter_type, nullptr) == 1, "no memory");
    return made;
}

// RSASSA-PSS-params of RFC 8017 A.2.3, with MGF1 over the same hash and a salt of its length.
ByteVec pss_identifier(const HashInfo& hash) {
    const OpensslPtr<RSA_PSS_PARAMS> params(RSA_PSS_PARAMS_new());
    must(params != nullptr, "no memory for PSS parameters");
    params->hashAlgorithm = algor(hash.nid, V_ASN1_NULL);
    const OpensslPtr<X509_ALGOR> inner(algor(hash.nid, V_ASN1_NULL));
    ASN1_STRING* packed = ASN1_item_pack(inner.get(), ASN1_ITEM_rptr(X509_ALGOR), nullptr);
    must(packed != nullptr, "no memory for PSS parameters");
    params->maskGenAlgorithm = X509_ALGOR_new();
    must(X509_ALGOR_set0(params->maskGenAlgorithm, OBJ_nid2obj(NID_mgf1), V_ASN1_SEQUENCE, packed) == 1, "no memory");
    params->saltLength = ASN1_INTEGER_new();
    must(ASN1_INTEGER_set(params->saltLength, EVP_MD_get_size(EVP_get_digestbynid(hash.nid))) == 1, "no memory");
    ASN1_STRING* whole = ASN1_item_pack(params.get(), ASN1_ITEM_rptr(RSA_PSS_PARAMS), nullptr);
    const OpensslPtr<X509_ALGOR> out(X509_ALGOR_new());
    must(X509_ALGOR_set0(out.get(), OBJ_nid2obj(NID_rsassaPss), V_ASN1_SEQUENCE, whole) == 1, "no memory");
    return to_der(out.get(), i2d_X509_ALGOR);
}

const HashInfo* hash_of(const X509_ALGOR* algorithm) {
    if (algorithm == nullptr) return find_hash(SignatureHash::sha1);  // RFC 8017 A.2.3: the default
    const ASN1_OBJECT* object = nullptr;
    X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
    for (const HashInfo& info : kHashes)
        if (OBJ_obj2nid(object) == info.nid) return &info;
    return nullptr;
}

std::optional<SignatureScheme> parse_pss(const X509_ALGOR* algorithm) {
    int type = 0;
    const void* value = nullptr;
    X509_ALGOR_get0(nullptr, &type, &value, algorithm);
    if (type != V_ASN1_SEQUENCE) return std::nullopt;
    const OpensslPtr<RSA_PSS_PARAMS> params(static_cast<RSA_PSS_PARAMS*>(
        ASN1_item_unpack(static_cast<const ASN1_STRING*>(value), ASN1_ITEM_rptr(RSA_PSS_PARAMS))));
    if (!params) return std::nullopt;
    const HashInfo* hash = hash_of(params->hashAlgorithm);
    if (hash == nullptr || params->maskGenAlgorithm == nullptr) return std::nullopt;
    const ASN1_OBJECT* object = nullptr;
    X509_ALGOR_get0(&object, &type, &value, params->maskGenAlgorithm);
    if (OBJ_obj2nid(object) != NID_mgf1 || type != V_ASN1_SEQUENCE) return std::nullopt;
    const OpensslPtr<X509_ALGOR> inner(
        static_cast<X509_ALGOR*>(ASN1_item_unpack(static_cast<const ASN1_STRING*>(value), ASN1_ITEM_rptr(X509_ALGOR))));
    if (!inner || hash_of(inner.get()) != hash) return std::nullopt;
    return SignatureScheme{SignatureKind::rsa_pss, hash->hash};
}

// Sets what the scheme needs beyond the digest.
bool prepare(EVP_PKEY_CTX* context, const SignatureScheme& scheme, int salt) {
    if (scheme.kind == SignatureKind::rsa_pkcs1) return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0;
    if (scheme.kind != SignatureKind::rsa_pss) return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt) > 0;
}

const EVP_MD* digest(const SignatureScheme& scheme) {
    const HashInfo* info = find_hash(scheme.hash);
    return info != nullptr ? EVP_get_digestbynid(info->nid) : nullptr;
}

std::size_t field_bytes(const PublicKey& key) { return (key.bits() + 7) / 8; }

// RFC 4754 3: r | s, each padded to the field's size.
ByteVec der_to_raw(const PublicKey& key, const ByteVec& der) {
    const Byte* at = der.data();
    const OpensslPtr<ECDSA_SIG> pair(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
    must(pair != nullptr, "an ECDSA signature of our own does not parse");
    const std::size_t field = field_bytes(key);
    ByteVec raw(2 * field);
    const auto size = static_cast<int>(field);
    must(BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), raw.data(), size) == size, "r is longer than its field");
    must(BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), raw.data() + field, size) == size, "s is longer than its field");
    return raw;
}

ByteVec raw_to_der(const PublicKey& key, Bytes raw) {
    const std::size_t field = field_bytes(key);
    if (raw.size() != 2 * field) return {};
    const OpensslPtr<ECDSA_SIG> pair(ECDSA_SIG_new());
    BIGNUM* r = BN_bin2bn(raw.data(), static_cast<int>(field), nullptr);
    BIGNUM* s = BN_bin2bn(raw.data() + field, static_cast<int>(field), nullptr);
    must(pair && r != nullptr && s != nullptr && ECDSA_SIG_set0(pair.get(), r, s) == 1, "no memory for a signature");
    return to_der(pair.get(), i2d_ECDSA_SIG);
}

}  // namespace

std::string to_string(SignatureHash hash) {
    if (const HashInfo* info = find_hash(hash)) return info->name;
    return hash == SignatureHash::identity ? "identity" : "hash " + std::to_string(static_cast<unsigned>(hash));
}

std::string to_string(const SignatureScheme& scheme) {
    switch (scheme.kind) {
        case SignatureKind::rsa_pkcs1:
            return "RSA with " + to_string(scheme.hash);
        case SignatureKind::rsa_pss:
            return "RSA-PSS with " + to_string(scheme.hash);
        case SignatureKind::ecdsa:
        case SignatureKind::ecdsa_raw:
            return "ECDSA with " + to_string(scheme.hash);
        case SignatureKind::ed25519:
            return "Ed25519";
        case SignatureKind::ed448:
            return "Ed448";
    }
    return "unknown";
}

ByteVec algorithm_identifier(const SignatureScheme& scheme) {
    assert(scheme.kind != SignatureKind::ecdsa_raw);
    const HashInfo* hash = find_hash(scheme.hash);
    if (scheme.kind == SignatureKind::rsa_pss) return pss_identifier(*hash);
    int nid = scheme.kind == SignatureKind::ed25519 ? NID_ED25519 : NID_ED448;
    if (scheme.kind == SignatureKind::rsa_pkcs1) nid = hash->rsa_nid;
    if (scheme.kind == SignatureKind::ecdsa) nid = hash->ecdsa_nid;
    const int parameter = scheme.kind == SignatureKind::rsa_pkcs1 ? V_ASN1_NULL : V_ASN1_UNDEF;
    const OpensslPtr<X509_ALGOR> made(algor(nid, parameter));
    return to_der(made.get(), i2d_X509_ALGOR);
}

std::optional<SignatureScheme> parse_algorithm_identifier(Bytes der) {
    const Byte* at = der.data();
    const OpensslPtr<X509_ALGOR> parsed(d2i_X509_ALGOR(nullptr, &at, static_cast<long>(der.size())));
    ERR_clear_error();
    if (!parsed || at != der.data() + der.size()) return std::nullopt;
    const ASN1_OBJECT* object = nullptr;
    X509_ALGOR_get0(&object, nullptr, nullptr, parsed.get());
    const int nid = OBJ_obj2nid(object);
    if (nid == NID_rsassaPss) {
        const auto pss = parse_pss(parsed.get());
        ERR_clear_error();
        return pss;
    }
    if (nid == NID_ED25519) return SignatureScheme{SignatureKind::ed25519, SignatureHash::identity};
    if (nid == NID_ED448) return SignatureScheme{SignatureKind::ed448, SignatureHash::identity};
    for (const HashInfo& info : kHashes) {
        if (nid == info.rsa_nid) return SignatureScheme{SignatureKind::rsa_pkcs1, info.hash};
        if (nid == info.ecdsa_nid) return SignatureScheme{SignatureKind::ecdsa, info.hash};
    }
    return std::nullopt;
}

bool fits(KeyType type, SignatureKind kind) {
    switch (kind) {
        case SignatureKind::rsa_pkcs1:
        case SignatureKind::rsa_pss:
            return type == KeyType::rsa;
        case SignatureKind::ecdsa:
        case SignatureKind::ecdsa_raw:
            return type == KeyType::ecdsa;
        case SignatureKind::ed25519:
            return type == KeyType::ed25519;
        case SignatureKind::ed448:
            return type == KeyType::ed448;
    }
    return false;
}

Result<ByteVec> sign(const PrivateKey& key, const SignatureScheme& scheme, Bytes data) {
    if (!consistent(key.public_key().type(), scheme))
        return fail(ErrorCode::invalid,
                    "a key of type " + to_string(key.public_key().type()) + " cannot sign with " + to_string(scheme));
    const OpensslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* parameters = nullptr;
    if (!context || EVP_DigestSignInit(context.get(), &parameters, digest(scheme), nullptr, key.native()) != 1 ||
        !prepare(parameters, scheme, RSA_PSS_SALTLEN_DIGEST))
        return fail(ErrorCode::invalid, to_string(scheme) + ": " + openssl_reason());
    std::size_t size = 0;
    if (EVP_DigestSign(context.get(), nullptr, &size, data.data(), data.size()) != 1)
        return fail(ErrorCode::invalid, to_string(scheme) + ": " + openssl_reason());
    ByteVec signature(size);
    if (EVP_DigestSign(context.get(), signature.data(), &size, data.data(), data.size()) != 1)
        return fail(ErrorCode::invalid, to_string(scheme) + ": " + openssl_reason());
    signature.resize(size);
    return scheme.kind == SignatureKind::ecdsa_raw ? der_to_raw(key.public_key(), signature) : signature;
}

bool verify(const PublicKey& key, const SignatureScheme& scheme, Bytes data, Bytes signature) {
    if (!consistent(key.type(), scheme)) return false;
    ByteVec der;
    if (scheme.kind == SignatureKind::ecdsa_raw) {
        der = raw_to_der(key, signature);
        signature = der;
    }
    const OpensslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* parameters = nullptr;
    const bool verified =
        context && EVP_DigestVerifyInit(context.get(), &parameters, digest(scheme), nullptr, key.native()) == 1 &&
        prepare(parameters, scheme, RSA_PSS_SALTLEN_AUTO) &&
        EVP_DigestVerify(context.get(), signature.data(), signature.size(), data.data(), data.size()) == 1;
    ERR_clear_error();
    return verified;
}

}  // namespace sluice::crypto
