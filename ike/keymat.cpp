// SPDX-License-Identifier: Apache-2.0
#include "ike/keymat.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "lib/base/byte_reader.hpp"
#include "lib/base/byte_writer.hpp"
#include "lib/crypto/prf.hpp"

namespace sluice::ike {
namespace {

// RFC 7296 2.14: the two PRFs that take 8 bytes of each nonce, for old times' sake.
bool takes_half_nonces(crypto::Prf prf) { return prf == crypto::Prf::aes128_xcbc || prf == crypto::Prf::aes128_cmac; }

SecretBytes join(std::initializer_list<Bytes> parts) {
    std::size_t size = 0;
    for (const Bytes part : parts) size += part.size();
    SecretBytes joined(size);
    auto* at = joined.mutable_view().data();
    for (const Bytes part : parts) at = std::copy(part.begin(), part.end(), at);
    return joined;
}

// The keys of one direction without their bytes, and how long those are.
struct KeyShape {
    crypto::CipherKeys empty;
    std::size_t encr = 0;
    std::size_t integ = 0;
};

KeyShape shape_of(const ipsec::Suite& suite) {
    const crypto::EncrInfo* encr = crypto::find_encr(suite.encr);
    assert(encr != nullptr && crypto::key_bits_valid(suite.encr, suite.key_bits));
    KeyShape shape;
    shape.empty.encr = suite.encr;
    shape.empty.key_bits = suite.key_bits;
    shape.encr = crypto::keymat_size(suite.encr, suite.key_bits);
    if (encr->aead || suite.integ == crypto::Integ::none) return shape;
    const crypto::IntegInfo* integ = crypto::find_integ(suite.integ);
    assert(integ != nullptr);
    shape.empty.integ = suite.integ;
    shape.integ = integ->key;
    return shape;
}

// Cuts a stretch of prf+ output into keys. The stretch is as long as the sum of what is taken.
class Cutter {
  public:
    explicit Cutter(const SecretBytes& material) : in_(material.view()) {}
    SecretBytes take(std::size_t size) {
        const auto bytes = in_.take(size);
        assert(bytes.has_value());
        return SecretBytes(*bytes);
    }

  private:
    ByteReader in_;
};

std::array<Byte, 16> spi_bytes(const IkeSpis& spis) {
    ByteWriter out;
    out.u64(spis.i);
    out.u64(spis.r);
    std::array<Byte, 16> bytes{};
    std::copy(out.view().begin(), out.view().end(), bytes.begin());
    return bytes;
}

}  // namespace

SecretBytes skeyseed(crypto::Prf prf, const Nonces& nonces, const SecretBytes& shared) {
    const std::size_t limit = takes_half_nonces(prf) ? 8 : 256;
    const SecretBytes key = join({nonces.i.first(std::min(limit, nonces.i.size())),  //
                                  nonces.r.first(std::min(limit, nonces.r.size()))});
    return crypto::prf(prf, key.view(), {shared.view()});
}

SecretBytes rekey_skeyseed(crypto::Prf old_prf, const SecretBytes& old_sk_d, const Nonces& nonces,
                           const SecretBytes& shared) {
    return crypto::prf(old_prf, old_sk_d.view(), {shared.view(), nonces.i, nonces.r});
}

// 1. prf+ over all that is needed. 2. Cut in the order of RFC 7296 2.14: d, ai, ar, ei, er, pi, pr.
IkeKeys derive_ike_keys(const ipsec::Suite& suite, const SecretBytes& seed, const Nonces& nonces, const IkeSpis& spis) {
    const crypto::PrfInfo* prf = crypto::find_prf(suite.prf);
    assert(prf != nullptr);
    const KeyShape shape = shape_of(suite);
    const auto spi = spi_bytes(spis);
    const SecretBytes input = join({nonces.i, nonces.r, spi});
    const std::size_t size = std::size_t{3} * prf->key + 2 * (shape.integ + shape.encr);
    const SecretBytes material = crypto::prf_plus(suite.prf, seed.view(), input.view(), size);
    Cutter cut(material);
    IkeKeys keys{{}, {}, {}, shape.empty, shape.empty};
    keys.sk_d = cut.take(prf->key);
    keys.initiator.integ_key = cut.take(shape.integ);
    keys.responder.integ_key = cut.take(shape.integ);
    keys.initiator.encr_key = cut.take(shape.encr);
    keys.responder.encr_key = cut.take(shape.encr);
    keys.sk_pi = cut.take(prf->key);
    keys.sk_pr = cut.take(prf->key);
    return keys;
}

// KEYMAT = prf+(SK_d, [g^ir (new)] | Ni | Nr); of each SA encryption comes first, then integrity.
ChildKeys derive_child_keys(crypto::Prf prf, const SecretBytes& sk_d, const Nonces& nonces, const SecretBytes& shared,
                            const ipsec::Suite& suite) {
    const KeyShape shape = shape_of(suite);
    const SecretBytes input = join({shared.view(), nonces.i, nonces.r});
    const SecretBytes material = crypto::prf_plus(prf, sk_d.view(), input.view(), 2 * (shape.encr + shape.integ));
    Cutter cut(material);
    ChildKeys keys{shape.empty, shape.empty};
    keys.i_to_r.encr_key = cut.take(shape.encr);
    keys.i_to_r.integ_key = cut.take(shape.integ);
    keys.r_to_i.encr_key = cut.take(shape.encr);
    keys.r_to_i.integ_key = cut.take(shape.integ);
    return keys;
}

}  // namespace sluice::ike
