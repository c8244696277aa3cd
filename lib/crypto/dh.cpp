// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/dh.hpp"

#include <openssl/obj_mac.h>

#include <algorithm>

#include "lib/crypto/must.hpp"
#include "lib/crypto/openssl_ptr.hpp"

namespace sluice::crypto {
namespace {

using Number = OpensslPtr<BIGNUM>;
using NumberContext = OpensslPtr<BN_CTX>;
using Curve = OpensslPtr<EC_GROUP>;
using Point = OpensslPtr<EC_POINT>;
using Key = OpensslPtr<EVP_PKEY>;
using KeyContext = OpensslPtr<EVP_PKEY_CTX>;

Error refused(Group group, const char* why) {
    return fail(ErrorCode::invalid, std::string(find_group(group)->name) + " public value: " + why);
}

Number number(Bytes big_endian) {
    Number n(BN_bin2bn(big_endian.data(), static_cast<int>(big_endian.size()), nullptr));
    must(n != nullptr, "no memory for a number");
    return n;
}

Number secret_number(Bytes big_endian) {
    Number n = number(big_endian);
    BN_set_flags(n.get(), BN_FLG_CONSTTIME);
    return n;
}

NumberContext number_context() {
    NumberContext context(BN_CTX_new());
    must(context != nullptr, "no memory for numbers");
    return context;
}

void store(const BIGNUM* n, MutBytes out) {
    const auto size = static_cast<int>(out.size());
    must(BN_bn2binpad(n, out.data(), size) == size, "a number is longer than its field");
}

// ---- MODP: RFC 3526's safe primes with generator 2.

// Private exponents have 512 bits: at least twice the strength that RFC 3526 8 gives the largest of the groups.
constexpr std::size_t kModpPrivate = 64;

Number modp_prime(Group group) {
    Number prime;
    if (group == Group::modp2048) prime.reset(BN_get_rfc3526_prime_2048(nullptr));
    if (group == Group::modp3072) prime.reset(BN_get_rfc3526_prime_3072(nullptr));
    if (group == Group::modp4096) prime.reset(BN_get_rfc3526_prime_4096(nullptr));
    must(prime != nullptr, "a MODP prime is missing");
    return prime;
}

void modp_power(const BIGNUM* base, const SecretBytes& exponent, const BIGNUM* prime, MutBytes out) {
    const NumberContext context = number_context();
    const Number power = number({});
    const Number e = secret_number(exponent.view());
    must(BN_mod_exp_mont_consttime(power.get(), base, e.get(), prime, context.get(), nullptr) == 1,
         "an exponentiation failed");
    store(power.get(), out);
}

DhKeyPair modp_generate(Group group, Random& random) {
    DhKeyPair pair{SecretBytes(kModpPrivate), ByteVec(find_group(group)->public_value)};
    const MutBytes exponent = pair.private_key.mutable_view();
    random.fill(exponent);
    exponent[0] |= 0x80;  // one length for all, whatever the source gives: never 0 or 1
    static constexpr Byte kGenerator[] = {2};
    modp_power(number(kGenerator).get(), pair.private_key, modp_prime(group).get(), pair.public_value);
    return pair;
}

// RFC 6989 2.1: 1 < y < p - 1. With a safe prime and a fresh private value nothing more is asked.
Result<SecretBytes> modp_shared(Group group, const SecretBytes& private_key, Bytes peer_public) {
    const Number prime = modp_prime(group);
    const Number y = number(peer_public);
    const Number limit = modp_prime(group);
    must(BN_sub_word(limit.get(), 1) == 1, "a subtraction failed");
    if (BN_is_zero(y.get()) || BN_is_one(y.get())) return refused(group, "0 or 1 (RFC 6989 2.1)");
    if (BN_cmp(y.get(), limit.get()) >= 0) return refused(group, "not below p - 1 (RFC 6989 2.1)");
    SecretBytes shared(find_group(group)->public_value);
    modp_power(y.get(), private_key, prime.get(), shared.mutable_view());
    return shared;
}

// ---- ECP: NIST's curves; the public value is x | y, the shared secret x (RFC 5903 7).

Curve make_curve(int nid) {
    Curve curve(EC_GROUP_new_by_curve_name(nid));
    must(curve != nullptr, "an elliptic curve is missing");
    return curve;
}

const EC_GROUP* ecp_curve(Group group) {
    static const Curve p256 = make_curve(NID_X9_62_prime256v1);
    static const Curve p384 = make_curve(NID_secp384r1);
    static const Curve p521 = make_curve(NID_secp521r1);
    if (group == Group::ecp256) return p256.get();
    return group == Group::ecp384 ? p384.get() : p521.get();
}

Point new_point(const EC_GROUP* curve) {
    Point point(EC_POINT_new(curve));
    must(point != nullptr, "no memory for a point");
    return point;
}

struct Coordinates {
    Number x = number({});
    Number y = number({});
};

// A private key is uniform in 1..n-1: draws that lie outside are thrown away. All three orders fill their top byte's
// used bits, so a draw fails with probability 2^-32 at most.
bool ecp_private(const EC_GROUP* curve, Random& random, MutBytes out) {
    const BIGNUM* const order = EC_GROUP_get0_order(curve);
    const int unused_bits = static_cast<int>(out.size()) * 8 - BN_num_bits(order);
    for (int attempt = 0; attempt < 16; ++attempt) {
        random.fill(out);
        out[0] = static_cast<Byte>(out[0] & (0xff >> unused_bits));
        const Number d = secret_number(out);
        if (!BN_is_zero(d.get()) && BN_cmp(d.get(), order) < 0) return true;
    }
    return false;
}

Result<DhKeyPair> ecp_generate(Group group, Random& random) {
    const EC_GROUP* const curve = ecp_curve(group);
    const std::size_t field = find_group(group)->public_value / 2u;
    DhKeyPair pair{SecretBytes(field), ByteVec(2 * field)};
    if (!ecp_private(curve, random, pair.private_key.mutable_view())) {
        return fail(ErrorCode::exhausted, "the random source gives no private key");
    }
    const NumberContext context = number_context();
    const Number d = secret_number(pair.private_key.view());
    const Point q = new_point(curve);
    const Coordinates at;
    must(EC_POINT_mul(curve, q.get(), d.get(), nullptr, nullptr, context.get()) == 1 &&
             EC_POINT_get_affine_coordinates(curve, q.get(), at.x.get(), at.y.get(), context.get()) == 1,
         "a point multiplication failed");
    store(at.x.get(), MutBytes(pair.public_value).first(field));
    store(at.y.get(), MutBytes(pair.public_value).last(field));
    return pair;
}

// RFC 6989 2.3: both coordinates are field elements and the point lies on the curve. The cofactor is 1, so that every
// such point has the full order; infinity has no encoding here.
Result<SecretBytes> ecp_shared(Group group, const SecretBytes& private_key, Bytes peer_public) {
    const EC_GROUP* const curve = ecp_curve(group);
    const std::size_t field = find_group(group)->public_value / 2u;
    const NumberContext context = number_context();
    const Number x = number(peer_public.first(field));
    const Number y = number(peer_public.last(field));
    const BIGNUM* const prime = EC_GROUP_get0_field(curve);
    if (BN_cmp(x.get(), prime) >= 0 || BN_cmp(y.get(), prime) >= 0) return refused(group, "coordinate out of range");
    const Point peer = new_point(curve);
    if (EC_POINT_set_affine_coordinates(curve, peer.get(), x.get(), y.get(), context.get()) != 1 ||
        EC_POINT_is_on_curve(curve, peer.get(), context.get()) != 1) {
        return refused(group, "not a point on the curve (RFC 6989 2.3)");
    }
    const Number d = secret_number(private_key.view());
    const Point product = new_point(curve);
    const Coordinates at;
    must(EC_POINT_mul(curve, product.get(), nullptr, peer.get(), d.get(), context.get()) == 1,
         "a point multiplication failed");
    if (EC_POINT_get_affine_coordinates(curve, product.get(), at.x.get(), at.y.get(), context.get()) != 1) {
        return refused(group, "the product is the point at infinity");
    }
    SecretBytes shared(field);
    store(at.x.get(), shared.mutable_view());
    return shared;
}

// ---- X25519 and X448 (RFC 7748): public value and secret are u coordinates, little-endian.

int raw_type(Group group) { return group == Group::curve25519 ? EVP_PKEY_X25519 : EVP_PKEY_X448; }

Key raw_private(Group group, const SecretBytes& private_key) {
    Key key(EVP_PKEY_new_raw_private_key(raw_type(group), nullptr, private_key.view().data(), private_key.size()));
    must(key != nullptr, "a private key is refused");
    return key;
}

DhKeyPair raw_generate(Group group, Random& random) {
    const std::size_t size = find_group(group)->public_value;
    DhKeyPair pair{SecretBytes(size), ByteVec(size)};
    random.fill(pair.private_key.mutable_view());
    const Key key = raw_private(group, pair.private_key);
    std::size_t length = size;
    must(EVP_PKEY_get_raw_public_key(key.get(), pair.public_value.data(), &length) == 1 && length == size,
         "a point multiplication failed");
    return pair;
}

// RFC 8031 2: an all-zero result means a point of small order, and the exchange must stop. OpenSSL refuses such a
// value itself; the check here does not lean on that.
Result<SecretBytes> raw_shared(Group group, const SecretBytes& private_key, Bytes peer_public) {
    const Key own = raw_private(group, private_key);
    const Key peer(EVP_PKEY_new_raw_public_key(raw_type(group), nullptr, peer_public.data(), peer_public.size()));
    const KeyContext context(EVP_PKEY_CTX_new(own.get(), nullptr));
    must(peer != nullptr && context != nullptr && EVP_PKEY_derive_init(context.get()) == 1 &&
             EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1,
         "a key agreement cannot start");
    SecretBytes shared(peer_public.size());
    std::size_t length = shared.size();
    const bool derived = EVP_PKEY_derive(context.get(), shared.mutable_view().data(), &length) == 1;
    const SecretBytes zero(shared.size());
    if (!derived || length != shared.size() || shared == zero) return refused(group, "of small order (RFC 8031 2)");
    return shared;
}

std::size_t private_size(Group group) {
    switch (group) {
        case Group::modp2048:
        case Group::modp3072:
        case Group::modp4096:
            return kModpPrivate;
        case Group::ecp256:
        case Group::ecp384:
        case Group::ecp521:
            return find_group(group)->public_value / 2u;
        case Group::curve25519:
        case Group::curve448:
            return find_group(group)->public_value;
        case Group::none:
            break;
    }
    return 0;
}

Error unknown(Group group) {
    return fail(ErrorCode::unsupported, "key exchange group " + std::to_string(static_cast<unsigned>(group)));
}

}  // namespace

Result<DhKeyPair> dh_generate(Group group, Random& random) {
    switch (group) {
        case Group::modp2048:
        case Group::modp3072:
        case Group::modp4096:
            return modp_generate(group, random);
        case Group::ecp256:
        case Group::ecp384:
        case Group::ecp521:
            return ecp_generate(group, random);
        case Group::curve25519:
        case Group::curve448:
            return raw_generate(group, random);
        case Group::none:
            break;
    }
    return unknown(group);
}

Result<SecretBytes> dh_shared(Group group, const SecretBytes& private_key, Bytes peer_public) {
    const GroupInfo* const info = find_group(group);
    if (info == nullptr) return unknown(group);
    if (private_key.size() != private_size(group)) return fail(ErrorCode::invalid, "private key of another group");
    if (peer_public.size() != info->public_value) return refused(group, "wrong length");
    switch (group) {
        case Group::modp2048:
        case Group::modp3072:
        case Group::modp4096:
            return modp_shared(group, private_key, peer_public);
        case Group::ecp256:
        case Group::ecp384:
        case Group::ecp521:
            return ecp_shared(group, private_key, peer_public);
        case Group::curve25519:
        case Group::curve448:
            return raw_shared(group, private_key, peer_public);
        case Group::none:
            break;
    }
    return unknown(group);
}

}  // namespace sluice::crypto
