// SPDX-License-Identifier: Apache-2.0
// verify_chain(): OpenSSL walks the path, and what it leaves to its callers is decided here.
#include <algorithm>

#include "lib/crypto/certificate.hpp"
#include "lib/crypto/must.hpp"
#include "lib/crypto/openssl_ptr.hpp"

namespace sluice::crypto {
namespace {

constexpr int kAuthLevel = 2;  // OpenSSL's: 112 bits, so RSA from 2048 bits and no SHA-1 in signatures
constexpr int kMaxDepth = 10;  // intermediates

Error refuse(const Certificate& about, const std::string& why) {
    return fail(ErrorCode::auth, "certificate '" + about.subject_text() + "': " + why);
}

OpensslPtr<STACK_OF(X509)> stack_of(const std::vector<Certificate>& list) {
    OpensslPtr<STACK_OF(X509)> stack(sk_X509_new_null());
    for (const Certificate& one : list) {
        X509_up_ref(one.native());
        must(stack && sk_X509_push(stack.get(), one.native()) > 0, "no memory for certificates");
    }
    return stack;
}

OpensslPtr<STACK_OF(X509_CRL)> stack_of(const std::vector<Crl>& list) {
    OpensslPtr<STACK_OF(X509_CRL)> stack(sk_X509_CRL_new_null());
    for (const Crl& one : list) {
        X509_CRL_up_ref(one.native());
        must(stack && sk_X509_CRL_push(stack.get(), one.native()) > 0, "no memory for CRLs");
    }
    return stack;
}

bool names_a_place_to_ask(X509* certificate) {
    return X509_get_ext_by_NID(certificate, NID_crl_distribution_points, -1) >= 0 ||
           X509_get_ext_by_NID(certificate, NID_info_access, -1) >= 0;
}

// Whether the path may go on although the revocation of a certificate is not known.
bool tolerates(Revocation policy, X509* certificate) {
    if (policy == Revocation::relaxed) return true;
    return policy == Revocation::ifuri && certificate != nullptr && !names_a_place_to_ask(certificate);
}

int on_verify(int ok, X509_STORE_CTX* context) {
    if (ok == 1) return 1;
    const auto* request = static_cast<const ChainRequest*>(X509_STORE_CTX_get_app_data(context));
    switch (X509_STORE_CTX_get_error(context)) {
        case X509_V_ERR_UNABLE_TO_GET_CRL:
        case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
        case X509_V_ERR_CRL_HAS_EXPIRED:
        case X509_V_ERR_CRL_NOT_YET_VALID:
            if (!tolerates(request->revocation, X509_STORE_CTX_get_current_cert(context))) return 0;
            X509_STORE_CTX_set_error(context, X509_V_OK);
            return 1;
        default:
            return 0;
    }
}

Error failure_of(X509_STORE_CTX* context, const Certificate& leaf) {
    const std::string why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
    X509* at = X509_STORE_CTX_get_current_cert(context);
    ERR_clear_error();
    if (at == nullptr) return refuse(leaf, why);
    const auto about = certificate_of(share(at));
    return refuse(about ? *about : leaf, why);
}

// RFC 4945 5.1.3.2: digitalSignature or nonRepudiation, where the extension is there at all.
bool may_sign(X509* leaf) {
    constexpr std::uint32_t kSigning = KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION;
    return (X509_get_extension_flags(leaf) & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(leaf) & kSigning) != 0;
}

// RFC 4945 5.1.3.12: absent, or one of ikeIntermediate, serverAuth, clientAuth (TLS certificates serve in practice),
// iKEEnd, anyExtendedKeyUsage.
bool may_speak_ike(X509* leaf) {
    const OpensslPtr<EXTENDED_KEY_USAGE> usages(
        static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(leaf, NID_ext_key_usage, nullptr, nullptr)));
    if (!usages) return X509_get_ext_by_NID(leaf, NID_ext_key_usage, -1) < 0;
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages.get()); ++i) {
        char oid[64] = {};
        OBJ_obj2txt(oid, sizeof oid, sk_ASN1_OBJECT_value(usages.get(), i), 1);
        for (const std::string_view good :
             {"1.3.6.1.5.5.8.2.2", "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.17", "2.5.29.37.0"})
            if (good == oid) return true;
    }
    return false;
}

Result<void> check_usages(const Certificate& leaf) {
    if (!may_sign(leaf.native())) return refuse(leaf, "its key usage does not allow signatures");
    if (!may_speak_ike(leaf.native())) return refuse(leaf, "its extended key usage does not allow IKE");
    return {};
}

}  // namespace

// 1. OpenSSL builds and checks the path. 2. The usages of the leaf. 3. The path as it was found.
Result<std::vector<Certificate>> verify_chain(const ChainRequest& request) {
    const OpensslPtr<X509_STORE> store(X509_STORE_new());
    const OpensslPtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
    must(store && context, "no memory for a certificate check");
    std::vector<Certificate> untrusted = request.intermediates;
    for (const Certificate& anchor : request.anchors) {
        if (anchor.self_signed())
            must(X509_STORE_add_cert(store.get(), anchor.native()) == 1, "a trust anchor cannot be added");
        else
            untrusted.push_back(anchor);
    }
    const auto intermediates = stack_of(untrusted);
    const auto crls = stack_of(request.crls);
    must(X509_STORE_CTX_init(context.get(), store.get(), request.leaf.native(), intermediates.get()) == 1,
         "a certificate check cannot begin");
    X509_STORE_CTX_set0_crls(context.get(), crls.get());
    X509_STORE_CTX_set_app_data(context.get(), const_cast<ChainRequest*>(&request));
    X509_STORE_CTX_set_verify_cb(context.get(), on_verify);
    X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
    X509_VERIFY_PARAM_set_time(param, static_cast<time_t>(request.now));
    X509_VERIFY_PARAM_set_auth_level(param, kAuthLevel);
    X509_VERIFY_PARAM_set_depth(param, kMaxDepth);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    if (X509_verify_cert(context.get()) != 1) return failure_of(context.get(), request.leaf);
    if (const auto usages = check_usages(request.leaf); !usages) return usages.error();
    std::vector<Certificate> chain;
    const STACK_OF(X509)* found = X509_STORE_CTX_get0_chain(context.get());
    for (int i = 0; i < sk_X509_num(found); ++i) {
        auto certificate = certificate_of(share(sk_X509_value(found, i)));
        if (!certificate) return certificate.error();
        chain.push_back(*std::move(certificate));
    }
    ERR_clear_error();
    return chain;
}

Result<void> verify_pinned(const Certificate& leaf, std::int64_t now) {
    if (now < leaf.not_before()) return refuse(leaf, "certificate is not yet valid");
    if (now > leaf.not_after()) return refuse(leaf, "certificate has expired");
    return check_usages(leaf);
}

}  // namespace sluice::crypto
