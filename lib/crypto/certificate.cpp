// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/certificate.hpp"

#include <openssl/pem.h>

#include <algorithm>
#include <cctype>

#include "lib/crypto/distinguished_name.hpp"
#include "lib/crypto/must.hpp"
#include "lib/crypto/openssl_ptr.hpp"

namespace sluice::crypto {
namespace {

constexpr std::size_t kMaxSentChain = 10;

bool is_pem(Bytes data) { return as_text(data).find("-----BEGIN ") != std::string_view::npos; }

std::shared_ptr<X509> shared(X509* certificate) { return {certificate, OpensslFree{}}; }

Bytes bytes_of(const ASN1_STRING* text) {
    return {ASN1_STRING_get0_data(text), static_cast<std::size_t>(ASN1_STRING_length(text))};
}

bool equal_without_case(Bytes a, Bytes b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](Byte x, Byte y) { return std::tolower(x) == std::tolower(y); });
}

std::int64_t seconds_of(const ASN1_TIME* time) {
    int days = 0;
    int seconds = 0;
    ASN1_TIME* epoch = ASN1_TIME_set(nullptr, 0);
    must(epoch != nullptr && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1, "a certificate's time is no time");
    ASN1_TIME_free(epoch);
    return std::int64_t{days} * 86400 + seconds;
}

bool alt_name_is(const GENERAL_NAME* name, Certificate::Name kind, Bytes value) {
    switch (kind) {
        case Certificate::Name::dns:
            return name->type == GEN_DNS && equal_without_case(bytes_of(name->d.dNSName), value);
        case Certificate::Name::email:
            return name->type == GEN_EMAIL && equal_without_case(bytes_of(name->d.rfc822Name), value);
        case Certificate::Name::ip:
            return name->type == GEN_IPADD && equal(bytes_of(name->d.iPAddress), value);
        case Certificate::Name::dn:
            return name->type == GEN_DIRNAME && dn_equal(to_der(name->d.directoryName, i2d_X509_NAME), value);
        default:
            return false;
    }
}

}  // namespace

Result<Certificate> certificate_of(std::shared_ptr<x509_st> certificate) {
    Certificate out;
    out.der_ = to_der(certificate.get(), i2d_X509);
    // The extensions are read now, so that later uses by several threads only look.
    const bool sound = X509_check_purpose(certificate.get(), -1, 0) == 1 &&
                       ASN1_TIME_check(X509_get0_notBefore(certificate.get())) == 1 &&
                       ASN1_TIME_check(X509_get0_notAfter(certificate.get())) == 1;
    out.certificate_ = std::move(certificate);
    if (!sound || out.der_.empty()) return fail(ErrorCode::invalid, "certificate: " + openssl_reason());
    return out;
}

Result<Certificate> Certificate::from_der(Bytes der) {
    const Byte* at = der.data();
    auto parsed = shared(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (!parsed || at != der.data() + der.size()) return fail(ErrorCode::invalid, "certificate: " + openssl_reason());
    return certificate_of(std::move(parsed));
}

Result<std::vector<Certificate>> Certificate::parse(Bytes data) {
    std::vector<Certificate> list;
    if (!is_pem(data)) {
        auto one = from_der(data);
        if (!one) return one.error();
        list.push_back(*std::move(one));
        return list;
    }
    const auto in = memory_bio(data);
    while (auto parsed = shared(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr))) {
        auto one = certificate_of(std::move(parsed));
        if (!one) return one.error();
        list.push_back(*std::move(one));
    }
    const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const std::string reason = openssl_reason();
    if (!ended || list.empty()) return fail(ErrorCode::invalid, "certificate: " + reason);
    return list;
}

Result<PublicKey> Certificate::public_key() const {
    X509_PUBKEY* info = X509_get_X509_PUBKEY(certificate_.get());
    return PublicKey::from_spki(to_der(info, i2d_X509_PUBKEY));
}

ByteVec Certificate::subject() const { return to_der(X509_get_subject_name(certificate_.get()), i2d_X509_NAME); }
ByteVec Certificate::issuer() const { return to_der(X509_get_issuer_name(certificate_.get()), i2d_X509_NAME); }
std::string Certificate::subject_text() const { return dn_text(subject()); }
std::string Certificate::issuer_text() const { return dn_text(issuer()); }

std::string Certificate::serial_hex() const { return to_hex(bytes_of(X509_get0_serialNumber(certificate_.get()))); }

ByteVec Certificate::subject_key_id() const {
    const ASN1_OCTET_STRING* id = X509_get0_subject_key_id(certificate_.get());
    return id != nullptr ? to_vec(bytes_of(id)) : ByteVec{};
}

std::int64_t Certificate::not_before() const { return seconds_of(X509_get0_notBefore(certificate_.get())); }
std::int64_t Certificate::not_after() const { return seconds_of(X509_get0_notAfter(certificate_.get())); }
bool Certificate::is_ca() const { return X509_check_ca(certificate_.get()) == 1; }
bool Certificate::self_signed() const { return X509_self_signed(certificate_.get(), 1) == 1; }

bool Certificate::issued_by(const Certificate& issuer) const {
    if (X509_check_issued(issuer.native(), certificate_.get()) != X509_V_OK) return false;
    EVP_PKEY* key = X509_get0_pubkey(issuer.native());
    const bool signed_by = key != nullptr && X509_verify(certificate_.get(), key) == 1;
    ERR_clear_error();
    return signed_by;
}

bool Certificate::bears(Name kind, Bytes value) const {
    if (kind == Name::dn && dn_equal(subject(), value)) return true;
    if (kind == Name::key_id) {
        const ByteVec id = subject_key_id();
        return !id.empty() && equal(id, value);
    }
    const OpensslPtr<GENERAL_NAMES> names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate_.get(), NID_subject_alt_name, nullptr, nullptr)));
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i)
        if (alt_name_is(sk_GENERAL_NAME_value(names.get(), i), kind, value)) return true;
    return false;
}

Result<Crl> Crl::parse(Bytes data) {
    Crl out;
    X509_CRL* parsed = nullptr;
    const Byte* at = data.data();
    if (is_pem(data))
        parsed = PEM_read_bio_X509_CRL(memory_bio(data).get(), nullptr, nullptr, nullptr);
    else
        parsed = d2i_X509_CRL(nullptr, &at, static_cast<long>(data.size()));
    out.crl_ = {parsed, OpensslFree{}};
    if (parsed == nullptr) return fail(ErrorCode::invalid, "CRL: " + openssl_reason());
    out.der_ = to_der(parsed, i2d_X509_CRL);
    return out;
}

std::string Crl::issuer_text() const { return dn_text(to_der(X509_CRL_get_issuer(crl_.get()), i2d_X509_NAME)); }

Result<Pkcs12> parse_pkcs12(Bytes der, const SecretBytes& passphrase) {
    const Byte* at = der.data();
    const OpensslPtr<PKCS12> parsed(d2i_PKCS12(nullptr, &at, static_cast<long>(der.size())));
    if (!parsed) return fail(ErrorCode::invalid, "PKCS#12: " + openssl_reason());
    SecretBytes text(passphrase.size() + 1);  // with its terminator
    std::copy(passphrase.view().begin(), passphrase.view().end(), text.mutable_view().begin());
    const char* password = reinterpret_cast<const char*>(text.view().data());
    if (PKCS12_verify_mac(parsed.get(), password, static_cast<int>(passphrase.size())) != 1) {
        ERR_clear_error();
        return fail(ErrorCode::auth, "PKCS#12: the passphrase does not open it");
    }
    EVP_PKEY* key = nullptr;
    X509* leaf = nullptr;
    STACK_OF(X509)* others = nullptr;
    if (PKCS12_parse(parsed.get(), password, &key, &leaf, &others) != 1 || key == nullptr || leaf == nullptr) {
        EVP_PKEY_free(key);
        X509_free(leaf);
        return fail(ErrorCode::invalid, "PKCS#12: has no key with its certificate: " + openssl_reason());
    }
    const OpensslPtr<STACK_OF(X509)> rest(others);
    auto own = private_key_of({key, OpensslFree{}});
    auto first = certificate_of(shared(leaf));
    if (!own) return own.error();
    if (!first) return first.error();
    Pkcs12 out{*std::move(own), {*std::move(first)}};
    for (int i = 0; others != nullptr && i < sk_X509_num(others); ++i) {
        auto other = certificate_of(share(sk_X509_value(others, i)));
        if (!other) return other.error();
        out.certificates.push_back(*std::move(other));
    }
    return out;
}

std::vector<Certificate> chain_to_send(const Certificate& leaf, const std::vector<Certificate>& pool) {
    std::vector<Certificate> chain{leaf};
    while (chain.size() < kMaxSentChain && !chain.back().self_signed()) {
        const auto next =
            std::find_if(pool.begin(), pool.end(), [&](const Certificate& one) { return chain.back().issued_by(one); });
        if (next == pool.end() || next->self_signed()) break;
        chain.push_back(*next);
    }
    return chain;
}

}  // namespace sluice::crypto
