// SPDX-License-Identifier: Apache-2.0
// What IPsec-MB does by jobs: ciphers and MACs of ESP with two algorithms, ChaCha20-Poly1305 and CCM.
#include <cassert>
#include <cstring>

#include "dataplane/crypto_engine.hpp"
#include "lib/base/be.hpp"

namespace sluice::dataplane {

namespace {

IMB_HASH_ALG hash_of(crypto::Integ integ) {
    switch (integ) {
        case crypto::Integ::hmac_sha1_96:
            return IMB_AUTH_HMAC_SHA_1;
        case crypto::Integ::hmac_sha2_256_128:
            return IMB_AUTH_HMAC_SHA_256;
        case crypto::Integ::hmac_sha2_384_192:
            return IMB_AUTH_HMAC_SHA_384;
        case crypto::Integ::hmac_sha2_512_256:
            return IMB_AUTH_HMAC_SHA_512;
        case crypto::Integ::aes_xcbc_96:
            return IMB_AUTH_AES_XCBC;
        case crypto::Integ::aes_cmac_96:
            return IMB_AUTH_AES_CMAC;
        case crypto::Integ::none:
            break;
    }
    return IMB_AUTH_NULL;
}

constexpr std::size_t kLanes = 16;  // of AVX-512; AVX2 has half as many, and a burst of 16 fills them twice

bool is_aes_mac(crypto::Integ integ) {
    return integ == crypto::Integ::aes_xcbc_96 || integ == crypto::Integ::aes_cmac_96;
}

// Both halves of an ESP packet with cipher and MAC, as IPsec-MB's bursts of one algorithm read them. The MAC covers all
// from the header to the text, and the high half of an ESN behind it (RFC 4303 2.2.1).
void fill(IMB_JOB& job, const Algorithm& a, const CryptoOp& op, Byte* tag) {
    const CryptoKey::SeparateKeys& keys = op.key->material().separate;
    job.enc_keys = keys.encrypt;
    job.dec_keys = keys.decrypt;
    job.src = op.esp;
    job.dst = op.text();
    job.cipher_start_src_offset_in_bytes = 8U + a.iv;
    job.msg_len_to_cipher_in_bytes = op.text_length;
    job.iv = a.random_iv ? op.iv() : op.nonce;
    job.iv_len_in_bytes = 16;
    job.hash_start_src_offset_in_bytes = 0;
    job.msg_len_to_hash_in_bytes = 8U + a.iv + op.text_length + (op.esn ? 4U : 0U);
    job.auth_tag_output = tag;
    job.auth_tag_output_len_in_bytes = a.icv;
    job.u.HMAC._hashed_auth_key_xor_ipad = keys.hmac.inner;
    job.u.HMAC._hashed_auth_key_xor_opad = keys.hmac.outer;
    if (a.integ == crypto::Integ::aes_xcbc_96) {
        job.u.XCBC._k1_expanded = keys.aes_mac.expanded;
        job.u.XCBC._k2 = keys.aes_mac.k2;
        job.u.XCBC._k3 = keys.aes_mac.k3;
    } else if (a.integ == crypto::Integ::aes_cmac_96) {
        job.u.CMAC._key_expanded = keys.aes_mac.expanded;
        job.u.CMAC._skey1 = keys.aes_mac.k2;
        job.u.CMAC._skey2 = keys.aes_mac.k3;
    }
}

// While the MAC is made, the high half stands where the ICV will.
void append_high_half(const CryptoOp& op) {
    if (!op.esn) return;
    const Be32 high = Be32::of(op.seq_high);
    std::memcpy(op.icv(), &high, sizeof(high));
}

}  // namespace

// The first `count` of jobs_.
void CryptoEngine::cipher_burst(const Algorithm& a, IMB_CIPHER_DIRECTION direction, std::size_t count) {
    if (a.encr == crypto::Encr::null || count == 0) return;
    const IMB_CIPHER_MODE mode = a.random_iv ? IMB_CIPHER_CBC : IMB_CIPHER_CNTR;
    const auto key_size = static_cast<IMB_KEY_SIZE_BYTES>(a.key);
    [[maybe_unused]] const unsigned done = IMB_SUBMIT_CIPHER_BURST_NOCHECK(
        manager_.get(), jobs_.data(), static_cast<unsigned>(count), mode, direction, key_size);
    assert(done == count);
}

// Of the first `count` of jobs_, how many are hashed across lanes: all that fill them, and the rest too where that
// costs less than SHA-NI, packet by packet. What a packet costs on an AMD EPYC with both, in TSC cycles, SHA-256:
//
//     bytes    16 lanes full, half, one   SHA-NI
//        90    283    399    1726          200
//       540    490    847    5543          640
//      1430    905   1674   11592         1450
//
// SHA-1 is about half as much in lanes, and 170, 520, 1110 by SHA-NI. Short packets never pay for lanes.
std::size_t CryptoEngine::wide_share(crypto::Integ integ, std::size_t count) const {
    struct Break {
        std::size_t lanes;  // from how many on they are worth it
        std::size_t bytes;  // and from which mean length on
    };
    const bool sha1 = integ == crypto::Integ::hmac_sha1_96;
    if (narrow_ == nullptr || (!sha1 && integ != crypto::Integ::hmac_sha2_256_128)) return count;
    const Break least = sha1 ? Break{7, 100} : Break{11, 250};
    std::size_t bytes = 0;
    for (const IMB_JOB& job : std::span(jobs_).first(count)) bytes += job.msg_len_to_hash_in_bytes;
    if (bytes < least.bytes * count) return 0;
    const std::size_t rest = count % kLanes;
    return rest < least.lanes ? count - rest : count;
}

void CryptoEngine::mac_burst(const Algorithm& a, std::size_t count) {
    if (is_aes_mac(a.integ)) return aes_mac_burst(a, count);
    const auto hash = [&](IMB_MGR* manager, std::span<IMB_JOB> jobs) {
        if (jobs.empty()) return;
        const auto size = static_cast<unsigned>(jobs.size());
        [[maybe_unused]] const unsigned done =
            IMB_SUBMIT_HASH_BURST_NOCHECK(manager, jobs.data(), size, hash_of(a.integ));
        assert(done == size);
    };
    const std::size_t wide = wide_share(a.integ, count);
    hash(manager_.get(), std::span(jobs_).first(wide));
    hash(narrow_.get(), std::span(jobs_).subspan(wide, count - wide));
}

void CryptoEngine::aes_mac_burst(const Algorithm& a, std::size_t count) {
    for (const IMB_JOB& mac : std::span(jobs_).first(count)) {
        IMB_JOB& job = *IMB_GET_NEXT_JOB(manager_.get());
        job = mac;
        job.cipher_mode = IMB_CIPHER_NULL;
        job.cipher_direction = IMB_DIR_ENCRYPT;
        job.chain_order = IMB_ORDER_CIPHER_HASH;
        job.hash_alg = hash_of(a.integ);
        IMB_SUBMIT_JOB_NOCHECK(manager_.get());
    }
    flush_jobs();
}

void CryptoEngine::flush_jobs() {
    while (IMB_FLUSH_JOB(manager_.get()) != nullptr) {
    }
}

// Encrypt, then MAC (RFC 4303 3.3.2).
void CryptoEngine::seal_separate(const Algorithm& a, const Group& group) {
    for (std::size_t i = 0; i < group.size(); ++i) {
        append_high_half(group[i]);
        fill(jobs_[i], a, group[i], group[i].icv());
    }
    cipher_burst(a, IMB_DIR_ENCRYPT, group.size());
    mac_burst(a, group.size());
}

// The MAC first; what does not verify is not decrypted (RFC 4303 3.4.4.1).
void CryptoEngine::open_separate(const Algorithm& a, const Group& group) {
    for (std::size_t i = 0; i < group.size(); ++i) {
        CryptoOp& op = group[i];
        if (a.random_iv) op.key->prefetch_decrypt();
        received_[i] = Tag::load(op.icv(), a.icv);
        append_high_half(op);
        fill(jobs_[i], a, op, computed_[i].data());
    }
    mac_burst(a, group.size());
    std::size_t genuine = 0;
    for (std::size_t i = 0; i < group.size(); ++i) {
        group[i].verified = received_[i].equals(Tag::load(computed_[i].data(), a.icv));
        if (!group[i].verified) continue;
        if (genuine != i) jobs_[genuine] = jobs_[i];
        ++genuine;
    }
    cipher_burst(a, IMB_DIR_DECRYPT, genuine);
}

void CryptoEngine::submit_aead(const Algorithm& a, CryptoOp& op, IMB_CIPHER_DIRECTION direction, Byte* tag) {
    IMB_JOB& job = *IMB_GET_NEXT_JOB(manager_.get());
    const bool chacha = a.encr == crypto::Encr::chacha20_poly1305;
    const bool encrypt = direction == IMB_DIR_ENCRYPT;
    job.src = op.text();
    job.dst = op.text();
    job.key_len_in_bytes = a.key;
    job.cipher_start_src_offset_in_bytes = 0;
    job.msg_len_to_cipher_in_bytes = op.text_length;
    job.hash_start_src_offset_in_bytes = 0;
    job.msg_len_to_hash_in_bytes = op.text_length;
    job.iv = op.nonce;
    job.iv_len_in_bytes = std::uint64_t{a.salt} + a.iv;
    job.auth_tag_output = tag;
    job.auth_tag_output_len_in_bytes = a.icv;
    job.cipher_direction = direction;
    if (chacha) {
        job.enc_keys = job.dec_keys = op.key->material().chacha;
        job.cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
        job.hash_alg = IMB_AUTH_CHACHA20_POLY1305;
        job.chain_order = encrypt ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
        job.u.CHACHA20_POLY1305.aad = op.aad;
        job.u.CHACHA20_POLY1305.aad_len_in_bytes = op.aad_length();
    } else {
        job.enc_keys = job.dec_keys = op.key->material().separate.encrypt;
        job.cipher_mode = IMB_CIPHER_CCM;
        job.hash_alg = IMB_AUTH_AES_CCM;
        job.chain_order = encrypt ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
        job.u.CCM.aad = op.aad;
        job.u.CCM.aad_len_in_bytes = op.aad_length();
    }
    IMB_SUBMIT_JOB_NOCHECK(manager_.get());
}

void CryptoEngine::seal_jobs(const Algorithm& a, const Group& group) {
    for (std::size_t i = 0; i < group.size(); ++i) submit_aead(a, group[i], IMB_DIR_ENCRYPT, group[i].icv());
    flush_jobs();
}

void CryptoEngine::open_jobs(const Algorithm& a, const Group& group) {
    for (std::size_t i = 0; i < group.size(); ++i) submit_aead(a, group[i], IMB_DIR_DECRYPT, computed_[i].data());
    flush_jobs();
    for (std::size_t i = 0; i < group.size(); ++i) {
        group[i].verified = Tag::load(computed_[i].data(), a.icv).equals(Tag::load(group[i].icv(), a.icv));
    }
}

}  // namespace sluice::dataplane
