// SPDX-License-Identifier: Apache-2.0
// AES-CCM with 192-bit keys (RFC 4309), one packet at a time, of IPsec-MB's CBC and CTR: the job manager knows 128 and
// 256 bits only.
#include <algorithm>
#include <cstring>

#include "dataplane/crypto_engine.hpp"
#include "lib/base/be.hpp"

namespace sluice::dataplane {

namespace {

constexpr std::size_t kBlock = 16;
constexpr Byte kLengthSize = 4;  // L of RFC 3610 in bytes (RFC 4309 3)

// AES-192 in one mode over one stretch of bytes.
struct Pass {
    IMB_MGR& manager;
    const Byte* keys;

    void run(IMB_CIPHER_MODE mode, const Byte* iv, const Byte* in, Byte* out, std::size_t size) const {
        IMB_JOB job{};
        job.enc_keys = keys;
        job.src = in;
        job.dst = out;
        job.msg_len_to_cipher_in_bytes = size;
        job.iv = iv;
        job.iv_len_in_bytes = kBlock;
        IMB_SUBMIT_CIPHER_BURST_NOCHECK(&manager, &job, 1, mode, IMB_DIR_ENCRYPT, IMB_KEY_192_BYTES);
    }
    // Counter block i (RFC 3610 2.3): flags | nonce | i.
    void counter_mode(const Byte* nonce, std::uint32_t first, Byte* text, std::size_t size) const {
        alignas(kBlock) Byte block[kBlock];
        block[0] = kLengthSize - 1;
        std::memcpy(block + 1, nonce, kBlock - 1 - kLengthSize);
        const Be32 counter = Be32::of(first);
        std::memcpy(block + kBlock - kLengthSize, &counter, kLengthSize);
        run(IMB_CIPHER_CNTR, block, text, text, size);
    }
    // Goes on with the CBC-MAC of whole blocks.
    void chain(Byte* mac, const Byte* in, std::size_t size) const {
        alignas(64) Byte scratch[512];
        while (size != 0) {
            const std::size_t n = std::min(size, sizeof(scratch));
            run(IMB_CIPHER_CBC, mac, in, scratch, n);
            std::memcpy(mac, scratch + n - kBlock, kBlock);
            in += n;
            size -= n;
        }
    }
};

// Blocks B0 and B1 (RFC 3610 2.2): flags | nonce | length of the text; length of the additional data | data | zeros.
void first_blocks(const CryptoOp& op, std::size_t icv, Byte* out) {
    std::memset(out, 0, 2 * kBlock);
    out[0] = static_cast<Byte>(0x40 | (icv - 2) / 2 << 3 | (kLengthSize - 1));
    std::memcpy(out + 1, op.nonce, kBlock - 1 - kLengthSize);
    const Be32 length = Be32::of(op.text_length);
    std::memcpy(out + kBlock - kLengthSize, &length, kLengthSize);
    out[kBlock + 1] = static_cast<Byte>(op.aad_length());
    std::memcpy(out + kBlock + 2, op.aad, op.aad_length());
}

void make_mac(const Pass& pass, const CryptoOp& op, std::size_t icv, Byte* mac) {
    alignas(kBlock) Byte blocks[2 * kBlock];
    first_blocks(op, icv, blocks);
    std::memset(mac, 0, kBlock);
    pass.chain(mac, blocks, sizeof(blocks));
    const std::size_t whole = op.text_length & ~(kBlock - 1);
    pass.chain(mac, op.text(), whole);
    if (whole == op.text_length) return;
    std::memset(blocks, 0, kBlock);
    std::memcpy(blocks, op.text() + whole, op.text_length - whole);
    pass.chain(mac, blocks, kBlock);
}

}  // namespace

void CryptoEngine::ccm_by_parts(const Algorithm& a, CryptoOp& op, IMB_CIPHER_DIRECTION direction, Byte* tag) {
    const Pass pass{*manager_, op.key->material().separate.encrypt};
    alignas(kBlock) Byte mac[kBlock];
    if (direction == IMB_DIR_DECRYPT) pass.counter_mode(op.nonce, 1, op.text(), op.text_length);
    make_mac(pass, op, a.icv, mac);
    if (direction == IMB_DIR_ENCRYPT) pass.counter_mode(op.nonce, 1, op.text(), op.text_length);
    pass.counter_mode(op.nonce, 0, mac, kBlock);
    std::memcpy(tag, mac, a.icv);
}

}  // namespace sluice::dataplane
