// SPDX-License-Identifier: Apache-2.0
#include "dataplane/crypto_key.hpp"

#include <cstring>

namespace sluice::dataplane {

namespace {

// The state of HMAC's hash after one block of key xor pad (RFC 2104); no key here is longer than a block (RFC 4868
// 2.1.1).
void hmac_state(const IMB_MGR& m, crypto::Integ integ, Bytes key, Byte pad, Byte* state) {
    alignas(16) Byte block[128];
    std::memset(block, pad, sizeof(block));
    for (std::size_t i = 0; i < key.size(); ++i) block[i] = static_cast<Byte>(pad ^ key[i]);
    switch (integ) {
        case crypto::Integ::hmac_sha1_96:
            m.sha1_one_block(block, state);
            break;
        case crypto::Integ::hmac_sha2_256_128:
            m.sha256_one_block(block, state);
            break;
        case crypto::Integ::hmac_sha2_384_192:
            m.sha384_one_block(block, state);
            break;
        default:
            m.sha512_one_block(block, state);
            break;
    }
    wipe(block);
}

}  // namespace

Result<MbManager> make_mb_manager() {
    MbManager manager{alloc_mb_mgr(0)};
    if (!manager) return fail(ErrorCode::exhausted, "IPsec-MB: no memory for a manager");
    IMB_ARCH arch = IMB_ARCH_NONE;
    init_mb_mgr_auto(manager.get(), &arch);
    if (arch == IMB_ARCH_NONE || arch == IMB_ARCH_NOAESNI) {
        return fail(ErrorCode::unsupported, "IPsec-MB: this processor has no AES instructions");
    }
    return manager;
}

MbManager make_sha_ni_manager() {
    MbManager manager{alloc_mb_mgr(0)};
    if (!manager || (manager->features & IMB_FEATURE_SHANI) == 0) return nullptr;
    init_mb_mgr_sse(manager.get());
    return manager;
}

const char* mb_code_path(const IMB_MGR& manager) {
    switch (manager.used_arch) {
        case IMB_ARCH_AVX512:
            return "AVX512";
        case IMB_ARCH_AVX2:
            return "AVX2";
        case IMB_ARCH_AVX:
            return "AVX";
        default:
            return "SSE";
    }
}

// AES round keys for encryption are 16 bytes each, one more than rounds; HMAC's states stand in front of them.
unsigned CryptoKey::front_lines(const Algorithm& a) {
    const unsigned rounds = 10U + 2U * a.variant;
    const unsigned cipher = (16 * (rounds + 1) + 63) / 64;
    if (a.engine == Engine::gcm || a.engine == Engine::gmac) return cipher;
    if (a.encr == crypto::Encr::chacha20_poly1305) return 1;
    return static_cast<unsigned>(sizeof(HmacStates)) / 64 + cipher;
}

Result<KeyExpander> KeyExpander::make() {
    auto manager = make_mb_manager();
    if (!manager) return manager.error();
    return KeyExpander{std::move(*manager)};
}

Result<void> KeyExpander::expand(const crypto::CipherKeys& keys, CryptoKey& out) const {
    const auto found = require_algorithm(keys);
    if (!found) return found.error();
    const Algorithm& a = **found;
    if (!usable_[a.row]) {
        return fail(ErrorCode::unsupported, name_of(a) + " has failed its self-test on this machine");
    }
    const Byte* const cipher = keys.encr_key.view().data();
    const Bytes salt = keys.encr_key.view().subspan(a.key);
    CryptoKey::Material& m = out.writable();
    out.algorithm_ = &a;
    out.salt_ = 0;
    if (!salt.empty()) std::memcpy(&out.salt_, salt.data(), salt.size());
    if (a.engine == Engine::gcm || a.engine == Engine::gmac) {
        if (a.variant == 0) manager_->gcm128_pre(cipher, &m.gcm);
        if (a.variant == 1) manager_->gcm192_pre(cipher, &m.gcm);
        if (a.variant == 2) manager_->gcm256_pre(cipher, &m.gcm);
    } else if (a.encr == crypto::Encr::chacha20_poly1305) {
        std::memcpy(m.chacha, cipher, sizeof(m.chacha));
    } else {
        expand_cipher(a, cipher, m.separate);
        expand_mac(a, keys.integ_key.view(), m.separate);
    }
    return {};
}

void KeyExpander::expand_cipher(const Algorithm& a, const Byte* key, CryptoKey::SeparateKeys& out) const {
    if (a.key == 16) manager_->keyexp_128(key, out.encrypt, out.decrypt);
    if (a.key == 24) manager_->keyexp_192(key, out.encrypt, out.decrypt);
    if (a.key == 32) manager_->keyexp_256(key, out.encrypt, out.decrypt);
}

void KeyExpander::expand_mac(const Algorithm& a, Bytes key, CryptoKey::SeparateKeys& out) const {
    CryptoKey::AesMacKeys& aes = out.aes_mac;
    switch (a.integ) {
        case crypto::Integ::none:
            break;
        case crypto::Integ::aes_xcbc_96:
            manager_->xcbc_keyexp(key.data(), aes.expanded, aes.k2, aes.k3);
            break;
        case crypto::Integ::aes_cmac_96: {
            alignas(16) Byte unused[16 * 11];
            manager_->keyexp_128(key.data(), aes.expanded, unused);
            manager_->cmac_subkey_gen_128(aes.expanded, aes.k2, aes.k3);
            wipe(unused);
            break;
        }
        default:
            expand_hmac(a, key, out.hmac);
            break;
    }
}

void KeyExpander::expand_hmac(const Algorithm& a, Bytes key, CryptoKey::HmacStates& out) const {
    hmac_state(*manager_, a.integ, key, 0x36, out.inner);
    hmac_state(*manager_, a.integ, key, 0x5c, out.outer);
}

}  // namespace sluice::dataplane
