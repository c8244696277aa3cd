// SPDX-License-Identifier: Apache-2.0
#include "dataplane/crypto_engine.hpp"

#include <cassert>
#include <cstring>
#include <utility>

#include "lib/base/be.hpp"

namespace sluice::dataplane {

namespace {

// Constant time; lengths 8 to 32.
bool tags_equal(const Byte* a, const Byte* b, unsigned length) {
    unsigned difference = 0;
    for (unsigned i = 0; i < length; ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
    return difference == 0;
}

IMB_HASH_ALG hash_of(crypto::Integ integ) {
    switch (integ) {
        case crypto::Integ::hmac_sha2_256_128:
            return IMB_AUTH_HMAC_SHA_256;
        case crypto::Integ::hmac_sha2_384_192:
            return IMB_AUTH_HMAC_SHA_384;
        case crypto::Integ::hmac_sha2_512_256:
            return IMB_AUTH_HMAC_SHA_512;
        default:
            return IMB_AUTH_NULL;
    }
}

void fill_aead_job(IMB_JOB& job, const CryptoOp& op) {
    job.cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    job.hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    job.enc_keys = job.dec_keys = op.key->material().chacha;
    job.src = op.text();
    job.dst = op.text();
    job.cipher_start_src_offset_in_bytes = 0;
    job.hash_start_src_offset_in_bytes = 0;
    job.msg_len_to_hash_in_bytes = op.text_length;
    job.iv_len_in_bytes = 12;
    job.u.CHACHA20_POLY1305.aad = op.aad;
    job.u.CHACHA20_POLY1305.aad_len_in_bytes = op.esn ? 12 : 8;
}

void fill_hmac_job(IMB_JOB& job, const CryptoOp& op) {
    const Algorithm& a = op.key->algorithm();
    const CryptoKey::BlockKeys& keys = op.key->material().block;
    job.cipher_mode = a.random_iv ? IMB_CIPHER_CBC : IMB_CIPHER_NULL;
    job.hash_alg = hash_of(a.integ);
    job.enc_keys = keys.encrypt;
    job.dec_keys = keys.decrypt;
    job.src = op.esp;
    job.dst = op.text();
    job.cipher_start_src_offset_in_bytes = 8U + a.iv;
    job.hash_start_src_offset_in_bytes = 0;
    // The high half of an extended sequence number stands right behind the ciphertext while the MAC is made.
    job.msg_len_to_hash_in_bytes = 8U + a.iv + op.text_length + (op.esn ? 4U : 0U);
    job.iv_len_in_bytes = a.iv;
    job.u.HMAC._hashed_auth_key_xor_ipad = keys.inner;
    job.u.HMAC._hashed_auth_key_xor_opad = keys.outer;
}

// HMAC's state after one block of key xor pad (RFC 2104).
void hmac_half(const IMB_MGR& m, const Algorithm& a, Bytes key, Byte pad, Byte* state) {
    alignas(16) Byte block[128];
    const std::size_t size = a.integ == crypto::Integ::hmac_sha2_256_128 ? 64 : 128;
    std::memset(block, pad, sizeof(block));
    for (std::size_t i = 0; i < key.size() && i < size; ++i) block[i] = static_cast<Byte>(pad ^ key[i]);
    switch (a.integ) {
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

Result<KeyExpander> KeyExpander::make() {
    auto manager = make_mb_manager();
    if (!manager) return manager.error();
    return KeyExpander{std::move(*manager)};
}

Result<void> KeyExpander::expand(const crypto::CipherKeys& keys, CryptoKey& out) const {
    const auto found = require_algorithm(keys);
    if (!found) return found.error();
    const Algorithm& a = **found;
    const Bytes cipher = keys.encr_key.view().first(a.key);
    const Bytes salt = keys.encr_key.view().subspan(a.key);
    out.algorithm_ = &a;
    if (!salt.empty()) std::memcpy(&out.salt_, salt.data(), salt.size());
    CryptoKey::Material& m = out.material_;
    IMB_MGR* const mgr = manager_.get();
    if (a.engine == Engine::gcm) {
        if (a.variant == 0) mgr->gcm128_pre(cipher.data(), &m.gcm);
        if (a.variant == 1) mgr->gcm192_pre(cipher.data(), &m.gcm);
        if (a.variant == 2) mgr->gcm256_pre(cipher.data(), &m.gcm);
        return {};
    }
    if (a.aead) {
        std::memcpy(m.chacha, cipher.data(), sizeof(m.chacha));
        return {};
    }
    if (a.key == 16) mgr->keyexp_128(cipher.data(), m.block.encrypt, m.block.decrypt);
    if (a.key == 24) mgr->keyexp_192(cipher.data(), m.block.encrypt, m.block.decrypt);
    if (a.key == 32) mgr->keyexp_256(cipher.data(), m.block.encrypt, m.block.decrypt);
    expand_hmac(keys, out);
    return {};
}

void KeyExpander::expand_hmac(const crypto::CipherKeys& keys, CryptoKey& out) const {
    CryptoKey::BlockKeys& block = out.material_.block;
    hmac_half(*manager_, *out.algorithm_, keys.integ_key.view(), 0x36, block.inner);
    hmac_half(*manager_, *out.algorithm_, keys.integ_key.view(), 0x5c, block.outer);
}

Result<std::unique_ptr<CryptoEngine>> CryptoEngine::make(crypto::Random& random) {
    auto manager = make_mb_manager();
    if (!manager) return manager.error();
    std::unique_ptr<CryptoEngine> engine{new CryptoEngine{std::move(*manager)}};
    IMB_MGR& m = *engine->manager_;
    engine->gcm_seal_ = {m.gcm128_enc, m.gcm192_enc, m.gcm256_enc};
    engine->gcm_open_ = {m.gcm128_dec, m.gcm192_dec, m.gcm256_dec};
    Secret<16> key;
    random.fill(key.mutable_view());
    alignas(16) Byte unused[16 * 15];
    m.keyexp_128(key.view().data(), engine->iv_key_.data(), unused);
    wipe(unused);
    return engine;
}

void CryptoEngine::unpredictable_iv(Byte* out) {
    alignas(16) static constexpr Byte kZeros[16] = {};
    alignas(16) std::uint64_t block[2] = {iv_counter_++, 0};
    manager_->aes128_cfb_one(out, kZeros, block, iv_key_.data(), 16);
}

// Nonce and additional data are made for the whole burst before the first call: stored just before it, in pieces, they
// cost a failed store-to-load forward each.
void CryptoEngine::prepare(CryptoOp& op) const {
    const Algorithm& a = op.key->algorithm();
    if (a.aead) {
        std::uint64_t iv;
        std::memcpy(&iv, op.iv(), 8);
        const std::uint64_t words[2] = {op.key->salt() | iv << 32, iv >> 32};
        std::memcpy(op.nonce, words, 16);
        std::uint64_t spi_seq;
        std::memcpy(&spi_seq, op.esp, 8);
        const std::uint64_t high = byte_swap(op.seq_high);
        const std::uint64_t aad_esn[2] = {(spi_seq & 0xffffffff) | high << 32, spi_seq >> 32};
        const std::uint64_t aad[2] = {op.esn ? aad_esn[0] : spi_seq, aad_esn[1]};
        std::memcpy(op.aad, aad, 16);
    } else if (a.iv != 0) {
        std::memcpy(op.nonce, op.iv(), 16);
    }
}

void CryptoEngine::seal_gcm(CryptoOp& op) {
    const Algorithm& a = op.key->algorithm();
    gcm_seal_[a.variant](&op.key->material().gcm, &gcm_context_, op.text(), op.text(), op.text_length, op.nonce, op.aad,
                         op.esn ? 12 : 8, op.icv(), a.icv);
}

void CryptoEngine::open_gcm(CryptoOp& op) {
    const Algorithm& a = op.key->algorithm();
    alignas(16) Byte tag[16];
    gcm_open_[a.variant](&op.key->material().gcm, &gcm_context_, op.text(), op.text(), op.text_length, op.nonce, op.aad,
                         op.esn ? 12 : 8, tag, a.icv);
    op.verified = tags_equal(tag, op.icv(), a.icv);
}

void CryptoEngine::submit(CryptoOp& op, unsigned index, IMB_CIPHER_DIRECTION direction) {
    const Algorithm& a = op.key->algorithm();
    Tags& tags = tags_[index];
    if (direction == IMB_DIR_DECRYPT) std::memcpy(tags.received, op.icv(), a.icv);
    if (!a.aead && op.esn) {
        const Be32 high = Be32::of(op.seq_high);
        std::memcpy(op.icv(), &high, sizeof(high));
    }
    IMB_JOB& job = *IMB_GET_NEXT_JOB(manager_.get());
    a.aead ? fill_aead_job(job, op) : fill_hmac_job(job, op);
    job.key_len_in_bytes = a.key;
    job.msg_len_to_cipher_in_bytes = op.text_length;
    job.iv = op.nonce;
    job.auth_tag_output = tags.computed;
    job.auth_tag_output_len_in_bytes = a.icv;
    job.cipher_direction = direction;
    job.chain_order = direction == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    IMB_SUBMIT_JOB_NOCHECK(manager_.get());
}

void CryptoEngine::flush() {
    while (IMB_FLUSH_JOB(manager_.get()) != nullptr) {
    }
}

void CryptoEngine::seal_burst(std::span<CryptoOp> ops) {
    assert(ops.size() <= kMaxBurst);
    for (CryptoOp& op : ops) prepare(op);
    bool jobs = false;
    for (unsigned i = 0; i < ops.size(); ++i) {
        if (ops[i].key->algorithm().engine == Engine::gcm) {
            seal_gcm(ops[i]);
        } else {
            submit(ops[i], i, IMB_DIR_ENCRYPT);
            jobs = true;
        }
    }
    if (!jobs) return;
    flush();
    for (unsigned i = 0; i < ops.size(); ++i) {
        const Algorithm& a = ops[i].key->algorithm();
        if (a.engine == Engine::job) std::memcpy(ops[i].icv(), tags_[i].computed, a.icv);
    }
}

void CryptoEngine::open_burst(std::span<CryptoOp> ops) {
    assert(ops.size() <= kMaxBurst);
    for (CryptoOp& op : ops) prepare(op);
    bool jobs = false;
    for (unsigned i = 0; i < ops.size(); ++i) {
        if (ops[i].key->algorithm().engine == Engine::gcm) {
            open_gcm(ops[i]);
        } else {
            submit(ops[i], i, IMB_DIR_DECRYPT);
            jobs = true;
        }
    }
    if (!jobs) return;
    flush();
    for (unsigned i = 0; i < ops.size(); ++i) {
        const Algorithm& a = ops[i].key->algorithm();
        if (a.engine == Engine::job) ops[i].verified = tags_equal(tags_[i].computed, tags_[i].received, a.icv);
    }
}

}  // namespace sluice::dataplane
