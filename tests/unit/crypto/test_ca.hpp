// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "lib/crypto/certificate.hpp"

// A certification authority for tests: keys and certificates made on the spot, at a time that the test chooses.
namespace sluice::test {

inline constexpr std::int64_t kIssued = 1700000000;  // seconds since 1970
inline constexpr std::int64_t kYear = std::int64_t{365} * 86400;

// algorithm: "RSA" (2048 bits), "P-256", "P-384", "P-521", "ED25519", "ED448".
inline crypto::PrivateKey make_key(const std::string& algorithm) {
    EVP_PKEY* key = nullptr;
    if (algorithm == "RSA")
        key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048});
    else if (algorithm.starts_with("P-"))
        key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", algorithm.c_str());
    else
        key = EVP_PKEY_Q_keygen(nullptr, nullptr, algorithm.c_str());
    if (key == nullptr) throw std::runtime_error("no key of type " + algorithm);
    auto made = crypto::private_key_of({key, EVP_PKEY_free});
    if (!made) throw std::runtime_error(made.error().text);
    return *made;
}

struct CertificateOptions {
    std::string subject = "nobody";                                 // common name
    std::vector<std::pair<std::string, std::string>> extensions{};  // as openssl.cnf has them
    std::int64_t not_before = kIssued;
    std::int64_t not_after = kIssued + kYear;
    long serial = 1;
};

struct Issued {
    crypto::Certificate certificate;
    crypto::PrivateKey key;
};

inline void add_extension(X509* certificate, X509* issuer, const std::string& name, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_nconf(nullptr, &context, name.c_str(), value.c_str());
    if (extension == nullptr) throw std::runtime_error("extension " + name + " = " + value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

// Issued by ca, or by itself where ca is null.
inline Issued issue(const crypto::PrivateKey& key, const CertificateOptions& options, const Issued* ca) {
    X509* made = X509_new();
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), options.serial);
    ASN1_TIME_set(X509_getm_notBefore(made), static_cast<time_t>(options.not_before));
    ASN1_TIME_set(X509_getm_notAfter(made), static_cast<time_t>(options.not_after));
    X509_NAME* name = X509_get_subject_name(made);
    auto add = [&](const char* type, const std::string& value) {
        X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                                   static_cast<int>(value.size()), -1, 0);
    };
    add("C", "CH");
    add("O", "Sluice");
    add("CN", options.subject);
    X509_set_pubkey(made, key.native());
    X509* issuer = ca == nullptr ? made : ca->certificate.native();
    X509_set_issuer_name(made, X509_get_subject_name(issuer));
    add_extension(made, issuer, "subjectKeyIdentifier", "hash");
    if (ca != nullptr) add_extension(made, issuer, "authorityKeyIdentifier", "keyid");
    for (const auto& [type, value] : options.extensions) add_extension(made, issuer, type, value);
    EVP_PKEY* signer = ca == nullptr ? key.native() : ca->key.native();
    const bool edwards = EVP_PKEY_is_a(signer, "ED25519") == 1 || EVP_PKEY_is_a(signer, "ED448") == 1;
    if (X509_sign(made, signer, edwards ? nullptr : EVP_sha256()) == 0) throw std::runtime_error("cannot sign");
    auto certificate = crypto::certificate_of({made, X509_free});
    if (!certificate) throw std::runtime_error(certificate.error().text);
    return {*certificate, key};
}

inline Issued make_ca(const std::string& name, const Issued* above = nullptr,
                      std::vector<std::pair<std::string, std::string>> extra = {},
                      const std::string& basic = "critical,CA:TRUE", const std::string& algorithm = "P-256") {
    extra.emplace_back("basicConstraints", basic);
    extra.emplace_back("keyUsage", "critical,keyCertSign,cRLSign");
    return issue(make_key(algorithm), {.subject = name, .extensions = std::move(extra)}, above);
}

inline Issued make_leaf(const std::string& name, const Issued& ca, const std::string& algorithm = "P-256",
                        std::vector<std::pair<std::string, std::string>> extra = {}) {
    extra.emplace_back("subjectAltName", "DNS:" + name);
    return issue(make_key(algorithm), {.subject = name, .extensions = std::move(extra)}, &ca);
}

// A CRL of ca with the serial numbers, valid for a day from at.
inline crypto::Crl make_crl(const Issued& ca, const std::vector<long>& revoked, std::int64_t at = kIssued) {
    X509_CRL* made = X509_CRL_new();
    X509_CRL_set_version(made, 1);
    X509_CRL_set_issuer_name(made, X509_get_subject_name(ca.certificate.native()));
    ASN1_TIME* time = ASN1_TIME_set(nullptr, static_cast<time_t>(at));
    X509_CRL_set1_lastUpdate(made, time);
    ASN1_TIME_set(time, static_cast<time_t>(at + 86400));
    X509_CRL_set1_nextUpdate(made, time);
    for (const long serial : revoked) {
        X509_REVOKED* entry = X509_REVOKED_new();
        ASN1_INTEGER* number = ASN1_INTEGER_new();
        ASN1_INTEGER_set(number, serial);
        X509_REVOKED_set_serialNumber(entry, number);
        ASN1_TIME_set(time, static_cast<time_t>(at));
        X509_REVOKED_set_revocationDate(entry, time);
        X509_CRL_add0_revoked(made, entry);
        ASN1_INTEGER_free(number);
    }
    ASN1_TIME_free(time);
    X509_CRL_sort(made);
    X509_CRL_sign(made, ca.key.native(), EVP_sha256());
    Byte* der = nullptr;
    const int size = i2d_X509_CRL(made, &der);
    X509_CRL_free(made);
    auto crl = crypto::Crl::parse({der, static_cast<std::size_t>(size)});
    OPENSSL_free(der);
    if (!crl) throw std::runtime_error(crl.error().text);
    return *crl;
}

}  // namespace sluice::test
