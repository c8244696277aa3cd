// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"
#include "lib/base/secret.hpp"

struct evp_pkey_st;  // OpenSSL's key; its headers stay in .cpp files

namespace sluice::crypto {

// Keys that sign. Values: copies share one immutable OpenSSL object, which wipes itself when the last one goes. Any
// thread may use a copy.

enum class KeyType : std::uint8_t { rsa, ecdsa, ed25519, ed448 };
std::string to_string(KeyType type);

class PublicKey {
  public:
    // A SubjectPublicKeyInfo in DER (RFC 5280 4.1). unsupported: none of the types above, or a curve that is not
    // P-256, P-384 or P-521; invalid: not a key, or RSA outside of 1024 to 16384 bits.
    static Result<PublicKey> from_spki(Bytes der);
    // The same, or PEM ("BEGIN PUBLIC KEY").
    static Result<PublicKey> parse(Bytes data);

    KeyType type() const { return type_; }
    unsigned bits() const { return bits_; }  // of RSA's modulus, of the curve's field
    const ByteVec& spki() const { return spki_; }
    friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.spki_ == b.spki_; }

    evp_pkey_st* native() const { return key_.get(); }

  private:
    friend Result<class PrivateKey> private_key_of(std::shared_ptr<evp_pkey_st> key);
    static Result<PublicKey> of(std::shared_ptr<evp_pkey_st> key);
    std::shared_ptr<evp_pkey_st> key_;
    KeyType type_ = KeyType::rsa;
    unsigned bits_ = 0;
    ByteVec spki_;
};

class PrivateKey {
  public:
    // PEM or DER of PKCS#8 (encrypted or not), PKCS#1 or SEC 1. An empty passphrase is none. auth: it is encrypted and
    // the passphrase does not open it.
    static Result<PrivateKey> parse(Bytes data, const SecretBytes& passphrase);

    const PublicKey& public_key() const { return public_; }
    evp_pkey_st* native() const { return public_.native(); }

  private:
    friend Result<PrivateKey> private_key_of(std::shared_ptr<evp_pkey_st> key);
    PublicKey public_;  // its OpenSSL object holds the private half too
};
// Of an OpenSSL object that holds a private key.
Result<PrivateKey> private_key_of(std::shared_ptr<evp_pkey_st> key);

// SHA-1 of a SubjectPublicKeyInfo: how CERTREQ names a CA (RFC 7296 3.7), and strongSwan a key.
ByteVec key_id(const PublicKey& key);

}  // namespace sluice::crypto
