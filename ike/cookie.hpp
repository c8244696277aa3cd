// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "lib/base/bytes.hpp"
#include "lib/base/secret.hpp"
#include "lib/base/time.hpp"
#include "lib/crypto/random.hpp"
#include "lib/net/address.hpp"

namespace sluice::ike {

// What a cookie is bound to (RFC 7296 2.6).
struct CookieClaim {
    Bytes nonce;  // Ni
    net::IpAddress address;
    std::uint64_t initiator_spi = 0;
};

// Cookies against floods of IKE_SA_INIT: nothing is kept for one. A cookie is <version byte of the secret> |
// HMAC-SHA-256(secret, Ni | IPi | SPIi). The secret is replaced every kLifetime; the one before stays valid for as
// long again, so a cookie lives between one and two lifetimes (TRAPS 6).
class CookieSecrets {
  public:
    static constexpr Duration kLifetime = std::chrono::seconds(60);
    static constexpr std::size_t kSize = 33;

    // random must outlive this.
    CookieSecrets(crypto::Random& random, Instant now);
    // Both rotate first where it is time. Time never goes back.
    ByteVec make(const CookieClaim& claim, Instant now);
    bool check(const CookieClaim& claim, Bytes cookie, Instant now);

  private:
    void rotate(Instant now);
    crypto::Random* random_;
    Secret<32> current_;
    Secret<32> previous_;
    std::uint8_t version_ = 0;  // of current_; previous_ has version_ - 1
    Instant made_;              // when current_ was made
};

}  // namespace sluice::ike
