// SPDX-License-Identifier: Apache-2.0
// Bursts, one-shot GCM and GMAC, and IVs. Ciphers with a MAC and AEADs by jobs: crypto_jobs.cpp.
#include "dataplane/crypto_engine.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <numeric>

#include "lib/base/be.hpp"

namespace sluice::dataplane {

namespace {

// RFC 3686 4: the counter block is nonce | IV | 1, most significant byte first. AEADs take 12 bytes, CCM 11, and see
// nothing of it.
constexpr std::uint64_t kFirstCounter = std::uint64_t{1} << 56;

// Nonce and additional data. They are made for the whole burst before the first call: stored just before it, in pieces,
// they cost a failed store-to-load forward each.
void prepare(CryptoOp& op) {
    const Algorithm& a = op.key->algorithm();
    if (a.iv != 8) return;
    std::uint64_t iv;
    std::memcpy(&iv, op.iv(), 8);
    const unsigned salt_bits = 8U * a.salt;
    const std::uint64_t nonce[2] = {op.key->salt() | iv << salt_bits, iv >> (64 - salt_bits) | kFirstCounter};
    std::memcpy(op.nonce, nonce, 16);
    std::uint64_t spi_seq;
    std::memcpy(&spi_seq, op.esp, 8);
    const std::uint64_t high = byte_swap(op.seq_high);
    const std::uint64_t aad_esn[2] = {(spi_seq & 0xffffffff) | high << 32, spi_seq >> 32};
    const std::uint64_t aad[2] = {op.esn ? aad_esn[0] : spi_seq, aad_esn[1]};
    std::memcpy(op.aad, aad, 16);
}

}  // namespace

CryptoEngine::CryptoEngine(MbManager manager, MbManager narrow)
    : manager_(std::move(manager)), narrow_(std::move(narrow)) {
    IMB_MGR& m = *manager_;
    gcm_seal_ = {m.gcm128_enc, m.gcm192_enc, m.gcm256_enc};
    gcm_open_ = {m.gcm128_dec, m.gcm192_dec, m.gcm256_dec};
    std::iota(places_.begin(), places_.end(), std::uint8_t{0});
}

Result<std::unique_ptr<CryptoEngine>> CryptoEngine::make(crypto::Random& random) {
    auto manager = make_mb_manager();
    if (!manager) return manager.error();
    std::unique_ptr<CryptoEngine> engine{new CryptoEngine{std::move(*manager), make_sha_ni_manager()}};
    Secret<16> key;
    random.fill(key.mutable_view());
    alignas(16) Byte unused[16 * 15];
    engine->manager_->keyexp_128(key.view().data(), engine->iv_key_.data(), unused);
    wipe(unused);
    return engine;
}

// CTR's key stream over a counter that never stands still: the blocks of one refill differ in the last four bytes, the
// refills in the first eight.
void CryptoEngine::refill_ivs() {
    iv_pool_.fill([this](MutBytes out) {
        std::memset(out.data(), 0, out.size());
        alignas(16) const std::uint64_t counter[2] = {iv_refills_++, 0};
        IMB_JOB& job = jobs_[0];
        job.enc_keys = iv_key_.data();
        job.src = out.data();
        job.dst = out.data();
        job.cipher_start_src_offset_in_bytes = 0;
        job.msg_len_to_cipher_in_bytes = out.size();
        job.iv = reinterpret_cast<const Byte*>(counter);
        job.iv_len_in_bytes = 16;
        IMB_SUBMIT_CIPHER_BURST_NOCHECK(manager_.get(), &job, 1, IMB_CIPHER_CNTR, IMB_DIR_ENCRYPT, IMB_KEY_128_BYTES);
    });
}

CryptoEngine::Tag CryptoEngine::Tag::load(const Byte* icv, std::size_t length) {
    assert(length >= 8 && length <= 32);
    const std::size_t second = std::min<std::size_t>(8, length - 8);
    const std::size_t third = length < 16 ? 0 : length - 16;
    Tag tag;
    std::memcpy(&tag.words[0], icv, 8);
    std::memcpy(&tag.words[1], icv + second, 8);
    std::memcpy(&tag.words[2], icv + third, 8);
    std::memcpy(&tag.words[3], icv + length - 8, 8);
    return tag;
}

bool CryptoEngine::Tag::equals(const Tag& other) const {
    std::uint64_t difference = 0;
    for (unsigned i = 0; i < 4; ++i) difference |= words[i] ^ other.words[i];
    return difference == 0;
}

// Calls run once for each algorithm of the burst. Almost always there is one.
template <class Run>
void CryptoEngine::for_each_group(std::span<CryptoOp> ops, Run run) {
    static_assert(kAlgorithmCount <= 64);
    std::uint64_t rows = 0;
    for (const CryptoOp& op : ops) rows |= std::uint64_t{1} << op.key->algorithm().row;
    if (std::has_single_bit(rows)) {
        return run(ops[0].key->algorithm(), Group{ops, std::span(places_).first(ops.size())});
    }
    for (; rows != 0; rows &= rows - 1) {
        const auto row = static_cast<unsigned>(std::countr_zero(rows));
        std::array<std::uint8_t, kMaxBurst> members;
        std::size_t count = 0;
        for (const std::uint8_t place : std::span(places_).first(ops.size())) {
            if (ops[place].key->algorithm().row == row) members[count++] = place;
        }
        run(algorithms()[row], Group{ops, std::span(members).first(count)});
    }
}

void CryptoEngine::seal_burst(std::span<CryptoOp> ops) {
    assert(ops.size() <= kMaxBurst);
    for (CryptoOp& op : ops) prepare(op);
    for_each_group(ops, [this](const Algorithm& a, const Group& group) { seal_group(a, group); });
}

void CryptoEngine::open_burst(std::span<CryptoOp> ops) {
    assert(ops.size() <= kMaxBurst);
    for (CryptoOp& op : ops) prepare(op);
    for_each_group(ops, [this](const Algorithm& a, const Group& group) { open_group(a, group); });
}

void CryptoEngine::seal_group(const Algorithm& a, const Group& group) {
    switch (a.engine) {
        case Engine::gcm:
            return seal_gcm(a, group);
        case Engine::gmac:
            for (std::size_t i = 0; i < group.size(); ++i) gmac(a, group[i], group[i].icv());
            return;
        case Engine::job:
            return seal_jobs(a, group);
        case Engine::ccm_parts:
            for (std::size_t i = 0; i < group.size(); ++i) {
                ccm_by_parts(a, group[i], IMB_DIR_ENCRYPT, group[i].icv());
            }
            return;
        case Engine::separate:
            return seal_separate(a, group);
    }
}

void CryptoEngine::open_group(const Algorithm& a, const Group& group) {
    switch (a.engine) {
        case Engine::gcm:
            return open_gcm(a, group);
        case Engine::job:
            return open_jobs(a, group);
        case Engine::separate:
            return open_separate(a, group);
        case Engine::gmac:
        case Engine::ccm_parts:
            return open_one_by_one(a, group);
    }
}

void CryptoEngine::seal_gcm(const Algorithm& a, const Group& group) {
    const aes_gcm_enc_dec_t seal = gcm_seal_[a.variant];
    for (std::size_t i = 0; i < group.size(); ++i) {
        CryptoOp& op = group[i];
        if (i + 1 < group.size()) group[i + 1].key->prefetch_powers(group[i + 1].text_length);
        Byte* const text = op.text();
        seal(&op.key->material().gcm, &gcm_context_, text, text, op.text_length, op.nonce, op.aad, op.aad_length(),
             text + op.text_length, a.icv);
    }
}

void CryptoEngine::open_gcm(const Algorithm& a, const Group& group) {
    const aes_gcm_enc_dec_t open = gcm_open_[a.variant];
    alignas(16) Byte tag[16];
    for (std::size_t i = 0; i < group.size(); ++i) {
        CryptoOp& op = group[i];
        if (i + 1 < group.size()) group[i + 1].key->prefetch_powers(group[i + 1].text_length);
        Byte* const text = op.text();
        open(&op.key->material().gcm, &gcm_context_, text, text, op.text_length, op.nonce, op.aad, op.aad_length(), tag,
             a.icv);
        op.verified = Tag::load(tag, a.icv).equals(Tag::load(text + op.text_length, a.icv));
    }
}

// RFC 4543 3.3: SPI | [high half] | low half | IV | text is additional data, and nothing is encrypted. The high half is
// not on the wire, so the SPI moves four bytes to the front for the time of the call.
void CryptoEngine::gmac(const Algorithm& a, CryptoOp& op, Byte* tag) {
    Byte* const front = op.esp - 4;
    std::uint64_t saved;
    std::memcpy(&saved, front, 8);
    const std::uint64_t spi_high = saved >> 32 | std::uint64_t{byte_swap(op.seq_high)} << 32;
    if (op.esn) std::memcpy(front, &spi_high, 8);
    const Byte* const first = op.esn ? front : op.esp;
    const auto length = static_cast<std::uint64_t>(op.icv() - first);
    gcm_seal_[a.variant](&op.key->material().gcm, &gcm_context_, nullptr, nullptr, 0, op.nonce, first, length, tag,
                         a.icv);
    if (op.esn) std::memcpy(front, &saved, 8);
}

void CryptoEngine::open_one_by_one(const Algorithm& a, const Group& group) {
    alignas(16) Byte tag[16];
    for (std::size_t i = 0; i < group.size(); ++i) {
        CryptoOp& op = group[i];
        a.engine == Engine::gmac ? gmac(a, op, tag) : ccm_by_parts(a, op, IMB_DIR_DECRYPT, tag);
        op.verified = Tag::load(tag, a.icv).equals(Tag::load(op.icv(), a.icv));
    }
}

}  // namespace sluice::dataplane
