// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/crypto/keys.hpp"

struct x509_st;
struct X509_crl_st;

namespace sluice::crypto {

// An X.509 certificate (RFC 5280). A value: copies share one immutable object, and any thread may use a copy.
class Certificate {
  public:
    // Exactly one certificate in DER. Its key need not be one of ours: public_key() says.
    static Result<Certificate> from_der(Bytes der);
    // Every certificate of a PEM text, in order (at least one), or the one of DER.
    static Result<std::vector<Certificate>> parse(Bytes data);

    const ByteVec& der() const { return der_; }
    Result<PublicKey> public_key() const;
    ByteVec subject() const;  // DER Name
    ByteVec issuer() const;
    std::string subject_text() const;
    std::string issuer_text() const;
    std::string serial_hex() const;
    ByteVec subject_key_id() const;   // empty where it has none
    std::int64_t not_before() const;  // seconds since 1970, UTC
    std::int64_t not_after() const;
    bool is_ca() const;
    bool self_signed() const;                         // issued by its own key
    bool issued_by(const Certificate& issuer) const;  // by names, key ids and signature

    // Whether the subject or a subjectAltName is the one given (RFC 4945 3.1, 5.1.3.6): dns and email compare without
    // case and take no wildcards; ip is 4 or 16 bytes; dn is a DER Name, compared with the subject; key_id is the
    // subjectKeyIdentifier. The common name counts for nothing.
    enum class Name : std::uint8_t { dns, email, ip, dn, key_id };
    bool bears(Name kind, Bytes value) const;

    x509_st* native() const { return certificate_.get(); }
    friend bool operator==(const Certificate& a, const Certificate& b) { return a.der_ == b.der_; }

  private:
    friend Result<Certificate> certificate_of(std::shared_ptr<x509_st> certificate);
    std::shared_ptr<x509_st> certificate_;
    ByteVec der_;
};
Result<Certificate> certificate_of(std::shared_ptr<x509_st> certificate);

// A certificate revocation list.
class Crl {
  public:
    static Result<Crl> parse(Bytes data);  // PEM or DER
    std::string issuer_text() const;
    const ByteVec& der() const { return der_; }
    X509_crl_st* native() const { return crl_.get(); }

  private:
    std::shared_ptr<X509_crl_st> crl_;
    ByteVec der_;
};

// PKCS#12: a key, its certificate, and the others that came along.
struct Pkcs12 {
    PrivateKey key;
    std::vector<Certificate> certificates;  // the key's first
};
// auth: the passphrase does not open it.
Result<Pkcs12> parse_pkcs12(Bytes der, const SecretBytes& passphrase);

// When a certificate whose revocation is not known is refused; one that is known to be revoked always is. swanctl's
// names. relaxed: never. ifuri: where it names a place to ask (CRL distribution point or OCSP). strict: always, and an
// outdated CRL counts as none.
enum class Revocation : std::uint8_t { relaxed, ifuri, strict };

struct ChainRequest {
    Certificate leaf;
    std::vector<Certificate> intermediates;  // from the peer and our own, untrusted
    std::vector<Certificate> anchors;        // trusted; only self-signed ones end a chain
    std::vector<Crl> crls;
    Revocation revocation = Revocation::relaxed;
    std::int64_t now = 0;  // seconds since 1970, UTC
};
// The chain from the leaf to its anchor (RFC 5280 6): signatures, validity, basic constraints with path length, key
// usage, name constraints, revocation, keys of at least 112 bits of strength; and of the leaf, key usage and extended
// key usage as RFC 4945 5.1.3.2 and 5.1.3.12 have them (absent is fine). auth with the reason and the certificate that
// it is about. Takes milliseconds: for helper threads.
Result<std::vector<Certificate>> verify_chain(const ChainRequest& request);
// A leaf that is trusted itself, without a chain: validity and usages alone.
Result<void> verify_pinned(const Certificate& leaf, std::int64_t now);

// A leaf and its issuers among the pool, without the self-signed end: what CERT payloads carry. At most 10.
std::vector<Certificate> chain_to_send(const Certificate& leaf, const std::vector<Certificate>& pool);

}  // namespace sluice::crypto
