// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/mac.hpp"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <algorithm>
#include <cassert>

#include "lib/base/secret.hpp"
#include "lib/crypto/must.hpp"
#include "lib/crypto/openssl_ptr.hpp"

namespace sluice::crypto {
namespace {

using MacAlgorithm = OpensslPtr<EVP_MAC>;
using MacContext = OpensslPtr<EVP_MAC_CTX>;

// A context that knows its algorithm and digest or cipher, and a key of zeros that nobody uses (CMAC cannot be
// duplicated without one). Fetching costs far more than a MAC of a message, so it happens once; what follows is
// EVP_MAC_CTX_dup() and a key.
MacContext make_template(const char* algorithm, const char* parameter, std::string value) {
    const MacAlgorithm fetched(EVP_MAC_fetch(nullptr, algorithm, nullptr));
    must(fetched != nullptr, "a MAC is missing");
    MacContext context(EVP_MAC_CTX_new(fetched.get()));
    must(context != nullptr, "no memory for a MAC");
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(parameter, value.data(), 0),
                                 OSSL_PARAM_construct_end()};
    static constexpr Byte kZeroKey[16] = {};
    must(EVP_MAC_init(context.get(), kZeroKey, sizeof kZeroKey, params) == 1, "a MAC's digest or cipher is missing");
    return context;
}

const EVP_MAC_CTX* template_of(Mac id) {
    static const MacContext sha1 = make_template("HMAC", OSSL_MAC_PARAM_DIGEST, "SHA1");
    static const MacContext sha256 = make_template("HMAC", OSSL_MAC_PARAM_DIGEST, "SHA256");
    static const MacContext sha384 = make_template("HMAC", OSSL_MAC_PARAM_DIGEST, "SHA384");
    static const MacContext sha512 = make_template("HMAC", OSSL_MAC_PARAM_DIGEST, "SHA512");
    static const MacContext cmac = make_template("CMAC", OSSL_MAC_PARAM_CIPHER, "AES-128-CBC");
    switch (id) {
        case Mac::hmac_sha1:
            return sha1.get();
        case Mac::hmac_sha2_256:
            return sha256.get();
        case Mac::hmac_sha2_384:
            return sha384.get();
        case Mac::hmac_sha2_512:
            return sha512.get();
        case Mac::aes128_cmac:
            return cmac.get();
        case Mac::aes128_xcbc:
            break;
    }
    return nullptr;
}

void evp_mac(Mac id, Bytes key, std::span<const Bytes> parts, MutBytes out) {
    static constexpr Byte kNoKey[1] = {};  // a null pointer would mean "keep the old key"
    const MacContext context(EVP_MAC_CTX_dup(template_of(id)));
    must(context != nullptr, "no memory for a MAC");
    const Byte* const key_data = key.empty() ? kNoKey : key.data();
    must(EVP_MAC_init(context.get(), key_data, key.size(), nullptr) == 1, "a MAC refuses its key");
    for (const Bytes part : parts) {
        if (part.empty()) continue;
        must(EVP_MAC_update(context.get(), part.data(), part.size()) == 1, "a MAC failed");
    }
    Secret<kMaxMac> full;
    std::size_t length = 0;
    must(EVP_MAC_final(context.get(), full.mutable_view().data(), &length, kMaxMac) == 1 && length >= out.size(),
         "a MAC failed");
    std::memcpy(out.data(), full.view().data(), out.size());
}

constexpr std::size_t kBlock = 16;
using Block = Secret<kBlock>;

// One AES-128 key for single blocks.
class BlockCipher {
  public:
    explicit BlockCipher(Bytes key) : context_(EVP_CIPHER_CTX_new()) {
        static const OpensslPtr<EVP_CIPHER> ecb(EVP_CIPHER_fetch(nullptr, "AES-128-ECB", nullptr));
        must(ecb != nullptr && context_ != nullptr && key.size() == kBlock, "AES-128 is missing");
        must(EVP_EncryptInit_ex2(context_.get(), ecb.get(), key.data(), nullptr, nullptr) == 1, "AES-128 failed");
    }
    Block encrypt(Bytes in) {
        Block out;
        int length = 0;
        must(EVP_EncryptUpdate(context_.get(), out.mutable_view().data(), &length, in.data(), kBlock) == 1 &&
                 length == kBlock,
             "AES-128 failed");
        return out;
    }
    // The subkey that RFC 3566 4 step 1 makes from a block of one repeated byte.
    Block subkey(Byte repeated) {
        std::array<Byte, kBlock> block;
        block.fill(repeated);
        return encrypt(block);
    }

  private:
    OpensslPtr<EVP_CIPHER_CTX> context_;
};

void xor_into(MutBytes target, Bytes source) {
    for (std::size_t i = 0; i < source.size(); ++i) target[i] = static_cast<Byte>(target[i] ^ source[i]);
}

// AES-XCBC-MAC (RFC 3566 4): a CBC-MAC under K1 whose last block is whitened with K2 if whole, else padded with
// 10..0 and whitened with K3. The last block is known only at the end, so a full one waits until more follows.
Block xcbc(Bytes key, std::span<const Bytes> parts) {
    BlockCipher master(key);
    BlockCipher k1(master.subkey(0x01).view());
    Block chain;
    Block last;
    std::size_t fill = 0;
    for (Bytes part : parts) {
        while (!part.empty()) {
            if (fill == kBlock) {
                xor_into(chain.mutable_view(), last.view());
                chain = k1.encrypt(chain.view());
                fill = 0;
            }
            const std::size_t n = std::min(kBlock - fill, part.size());
            std::memcpy(last.mutable_view().data() + fill, part.data(), n);
            fill += n;
            part = part.subspan(n);
        }
    }
    const Block whitening = master.subkey(fill == kBlock ? 0x02 : 0x03);
    if (fill < kBlock) {
        std::memset(last.mutable_view().data() + fill, 0, kBlock - fill);
        last.mutable_view()[fill] = 0x80;
    }
    xor_into(chain.mutable_view(), last.view());
    xor_into(chain.mutable_view(), whitening.view());
    return k1.encrypt(chain.view());
}

}  // namespace

std::size_t mac_size(Mac id) {
    switch (id) {
        case Mac::hmac_sha1:
            return 20;
        case Mac::hmac_sha2_256:
            return 32;
        case Mac::hmac_sha2_384:
            return 48;
        case Mac::hmac_sha2_512:
            return 64;
        case Mac::aes128_xcbc:
        case Mac::aes128_cmac:
            return 16;
    }
    return 0;
}

void mac(Mac id, Bytes key, std::span<const Bytes> parts, MutBytes out) {
    assert(out.size() <= mac_size(id));
    if (id != Mac::aes128_xcbc) return evp_mac(id, key, parts, out);
    const Block full = xcbc(key, parts);
    std::memcpy(out.data(), full.view().data(), out.size());
}

}  // namespace sluice::crypto
