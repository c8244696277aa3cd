// SPDX-License-Identifier: Apache-2.0
#include "ike/cookie.hpp"

#include "lib/base/byte_writer.hpp"
#include "lib/crypto/prf.hpp"

namespace sluice::ike {
namespace {

// The address and the SPI have fixed sizes behind the family and stand before the nonce, so no two claims read alike.
ByteVec cookie_of(const Secret<32>& secret, std::uint8_t version, const CookieClaim& claim) {
    ByteWriter input;
    input.u64(claim.initiator_spi);
    input.u8(static_cast<std::uint8_t>(claim.address.family()));
    input.raw(claim.address.bytes());
    input.raw(claim.nonce);
    const SecretBytes mac = crypto::prf(crypto::Prf::hmac_sha2_256, secret.view(), {input.view()});
    ByteWriter cookie;
    cookie.u8(version);
    cookie.raw(mac.view());
    return std::move(cookie).take();
}

}  // namespace

CookieSecrets::CookieSecrets(crypto::Random& random, Instant now) : random_(&random), made_(now) {
    random_->fill(current_.mutable_view());
    random_->fill(previous_.mutable_view());
}

void CookieSecrets::rotate(Instant now) {
    const Duration age = now - made_;
    if (age < kLifetime) return;
    previous_ = current_;
    random_->fill(current_.mutable_view());
    if (age >= 2 * kLifetime) random_->fill(previous_.mutable_view());  // it ended while nobody asked
    ++version_;
    made_ = now;
}

ByteVec CookieSecrets::make(const CookieClaim& claim, Instant now) {
    rotate(now);
    return cookie_of(current_, version_, claim);
}

bool CookieSecrets::check(const CookieClaim& claim, Bytes cookie, Instant now) {
    rotate(now);
    if (cookie.size() != kSize) return false;
    const bool is_current = cookie.front() == version_;
    if (!is_current && cookie.front() != static_cast<std::uint8_t>(version_ - 1)) return false;
    return constant_time_equal(cookie_of(is_current ? current_ : previous_, cookie.front(), claim), cookie);
}

}  // namespace sluice::ike
