// SPDX-License-Identifier: Apache-2.0
#include "apps/bench/limit_key.hpp"

#include <cstring>

namespace sluice::bench {

namespace {

using crypto::Encr;
using crypto::Integ;

IMB_HASH_ALG hash_of(Integ integ) {
    switch (integ) {
        case Integ::hmac_sha1_96:
            return IMB_AUTH_HMAC_SHA_1;
        case Integ::aes_xcbc_96:
            return IMB_AUTH_AES_XCBC;
        case Integ::aes_cmac_96:
            return IMB_AUTH_AES_CMAC;
        case Integ::hmac_sha2_256_128:
            return IMB_AUTH_HMAC_SHA_256;
        case Integ::hmac_sha2_384_192:
            return IMB_AUTH_HMAC_SHA_384;
        case Integ::hmac_sha2_512_256:
            return IMB_AUTH_HMAC_SHA_512;
        case Integ::none:
            break;
    }
    return IMB_AUTH_NULL;
}

void set_gcm(LimitSuite& s, const crypto::CipherKeys& suite, const IMB_MGR& m, LimitSuite::Kind kind) {
    s.kind = kind;
    s.seal = suite.key_bits == 128 ? m.gcm128_enc : suite.key_bits == 192 ? m.gcm192_enc : m.gcm256_enc;
    s.open = suite.key_bits == 128 ? m.gcm128_dec : suite.key_bits == 192 ? m.gcm192_dec : m.gcm256_dec;
}

void expand_aes(const LimitSuite& s, Bytes key, IMB_MGR& m, LimitKey::Block& out) {
    if (s.key_bytes == 16) m.keyexp_128(key.data(), out.encrypt, out.decrypt);
    if (s.key_bytes == 24) m.keyexp_192(key.data(), out.encrypt, out.decrypt);
    if (s.key_bytes == 32) m.keyexp_256(key.data(), out.encrypt, out.decrypt);
}

// HMAC's state after one block of key xor pad (RFC 2104).
void hmac_state(IMB_HASH_ALG hash, Bytes key, Byte pad, const IMB_MGR& m, Byte* state) {
    alignas(16) Byte block[128];
    std::memset(block, pad, sizeof(block));
    for (std::size_t i = 0; i < key.size(); ++i) block[i] = static_cast<Byte>(block[i] ^ key[i]);
    if (hash == IMB_AUTH_HMAC_SHA_1) m.sha1_one_block(block, state);
    if (hash == IMB_AUTH_HMAC_SHA_256) m.sha256_one_block(block, state);
    if (hash == IMB_AUTH_HMAC_SHA_384) m.sha384_one_block(block, state);
    if (hash == IMB_AUTH_HMAC_SHA_512) m.sha512_one_block(block, state);
}

void expand_mac(const LimitSuite& s, Bytes key, IMB_MGR& m, LimitKey::Block& out) {
    alignas(16) Byte unused[16 * 15];
    if (s.hash == IMB_AUTH_AES_XCBC) {
        m.xcbc_keyexp(key.data(), out.mac, out.first, out.second);
    } else if (s.hash == IMB_AUTH_AES_CMAC) {
        m.keyexp_128(key.data(), out.mac, unused);
        m.cmac_subkey_gen_128(out.mac, out.first, out.second);
    } else {
        hmac_state(s.hash, key, 0x36, m, out.mac);
        hmac_state(s.hash, key, 0x5c, m, out.first);
    }
}

}  // namespace

Result<LimitSuite> LimitSuite::of(const crypto::CipherKeys& suite, const IMB_MGR& m) {
    LimitSuite s;
    const crypto::EncrInfo* info = crypto::find_encr(suite.encr);
    if (info == nullptr) return fail(ErrorCode::unsupported, "no such encryption algorithm");
    s.salt = info->salt;
    s.key_bytes = static_cast<std::uint16_t>(suite.key_bits / 8);
    s.hash = hash_of(suite.integ);
    switch (suite.encr) {
        case Encr::aes_gcm_8:
        case Encr::aes_gcm_12:
        case Encr::aes_gcm_16:
            set_gcm(s, suite, m, Kind::gcm);
            return s;
        case Encr::null_auth_aes_gmac:
            set_gcm(s, suite, m, Kind::gmac);
            return s;
        case Encr::aes_ccm_8:
        case Encr::aes_ccm_12:
        case Encr::aes_ccm_16:
            s.kind = Kind::ccm;
            s.cipher = IMB_CIPHER_CCM;
            s.hash = IMB_AUTH_AES_CCM;
            return s;
        case Encr::chacha20_poly1305:
            s.kind = Kind::chacha;
            s.cipher = IMB_CIPHER_CHACHA20_POLY1305;
            s.hash = IMB_AUTH_CHACHA20_POLY1305;
            s.key_bytes = 32;
            return s;
        default:
            break;
    }
    if (s.hash == IMB_AUTH_NULL) return fail(ErrorCode::unsupported, "IPsec-MB limit: no integrity algorithm");
    s.kind = Kind::cipher_and_mac;
    s.cipher = suite.encr == Encr::aes_cbc   ? IMB_CIPHER_CBC
               : suite.encr == Encr::aes_ctr ? IMB_CIPHER_CNTR
                                             : IMB_CIPHER_NULL;
    return s;
}

void LimitKey::expand(const LimitSuite& s, const crypto::CipherKeys& keys, IMB_MGR& m, LimitKey& out) {
    const Bytes key = keys.encr_key.view().first(s.key_bytes);
    const Bytes salt = keys.encr_key.view().subspan(s.key_bytes);
    std::memcpy(&out.salt, salt.data(), salt.size());
    if (s.one_shot()) {
        if (s.key_bytes == 16) m.gcm128_pre(key.data(), &out.gcm);
        if (s.key_bytes == 24) m.gcm192_pre(key.data(), &out.gcm);
        if (s.key_bytes == 32) m.gcm256_pre(key.data(), &out.gcm);
    } else if (s.kind == LimitSuite::Kind::chacha) {
        std::memcpy(out.chacha, key.data(), sizeof(out.chacha));
    } else {
        expand_aes(s, key, m, out.block);
        if (s.kind == LimitSuite::Kind::cipher_and_mac) expand_mac(s, keys.integ_key.view(), m, out.block);
    }
}

}  // namespace sluice::bench
