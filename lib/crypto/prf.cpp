// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/prf.hpp"

#include <algorithm>
#include <cassert>

#include "lib/crypto/mac.hpp"
#include "lib/crypto/must.hpp"
#include "lib/crypto/openssl_ptr.hpp"

namespace sluice::crypto {
namespace {

constexpr std::size_t kAesKey = 16;

Mac mac_of(Prf id) {
    switch (id) {
        case Prf::hmac_sha1:
            return Mac::hmac_sha1;
        case Prf::hmac_sha2_256:
            return Mac::hmac_sha2_256;
        case Prf::hmac_sha2_384:
            return Mac::hmac_sha2_384;
        case Prf::hmac_sha2_512:
            return Mac::hmac_sha2_512;
        case Prf::aes128_xcbc:
            return Mac::aes128_xcbc;
        case Prf::aes128_cmac:
            return Mac::aes128_cmac;
        case Prf::none:
            break;
    }
    must(false, "a PRF that is not implemented");
    return Mac::hmac_sha2_256;
}

// RFC 4434 2: a short XCBC key is padded with zeros. RFC 4615 3: a CMAC key of any length but 16 is hashed. Both hash a
// long one under the zero key.
SecretBytes fold_key(Mac id, Bytes key) {
    SecretBytes folded(kAesKey);
    if (key.size() == kAesKey || (id == Mac::aes128_xcbc && key.size() < kAesKey)) {
        std::copy(key.begin(), key.end(), folded.mutable_view().begin());
        return folded;
    }
    static constexpr std::array<Byte, kAesKey> kZeroKey{};
    mac(id, kZeroKey, std::span(&key, 1), folded.mutable_view());
    return folded;
}

SecretBytes prf_parts(Prf id, Bytes key, std::span<const Bytes> parts) {
    const Mac algorithm = mac_of(id);
    SecretBytes out(mac_size(algorithm));
    if (algorithm == Mac::aes128_xcbc || algorithm == Mac::aes128_cmac) {
        mac(algorithm, fold_key(algorithm, key).view(), parts, out.mutable_view());
    } else {
        mac(algorithm, key, parts, out.mutable_view());
    }
    return out;
}

void digest(const EVP_MD* algorithm, std::initializer_list<Bytes> parts, MutBytes out) {
    const OpensslPtr<EVP_MD_CTX> context(EVP_MD_CTX_new());
    must(context != nullptr && algorithm != nullptr && EVP_DigestInit_ex2(context.get(), algorithm, nullptr) == 1,
         "a hash is missing");
    for (const Bytes part : parts) {
        must(EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1, "a hash failed");
    }
    unsigned length = 0;
    must(EVP_DigestFinal_ex(context.get(), out.data(), &length) == 1 && length == out.size(), "a hash failed");
}

}  // namespace

SecretBytes prf(Prf id, Bytes key, std::initializer_list<Bytes> parts) {
    return prf_parts(id, key, {parts.begin(), parts.size()});
}

SecretBytes prf_plus(Prf id, Bytes key, Bytes seed, std::size_t size) {
    const std::size_t output = mac_size(mac_of(id));
    assert(size <= 255 * output);
    SecretBytes stream(size);
    SecretBytes last;
    Byte counter = 0;
    for (std::size_t at = 0; at < size; at += output) {
        ++counter;  // 0x01 for T1; never wraps, as size is bounded
        last = prf(id, key, {last.view(), seed, Bytes(&counter, 1)});
        const std::size_t n = std::min(output, size - at);
        std::copy_n(last.view().begin(), n, stream.mutable_view().subspan(at, n).begin());
    }
    return stream;
}

std::array<Byte, 20> sha1(std::initializer_list<Bytes> parts) {
    static const OpensslPtr<EVP_MD> algorithm(EVP_MD_fetch(nullptr, "SHA1", nullptr));
    std::array<Byte, 20> out;
    digest(algorithm.get(), parts, out);
    return out;
}

std::array<Byte, 32> sha256(std::initializer_list<Bytes> parts) {
    static const OpensslPtr<EVP_MD> algorithm(EVP_MD_fetch(nullptr, "SHA256", nullptr));
    std::array<Byte, 32> out;
    digest(algorithm.get(), parts, out);
    return out;
}

}  // namespace sluice::crypto
