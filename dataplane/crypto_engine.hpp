// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "dataplane/crypto_key.hpp"
#include "lib/crypto/random.hpp"
#include "lib/esp/iv.hpp"

namespace sluice::dataplane {

inline constexpr unsigned kMaxBurst = 64;

// One packet's work. esp points at the ESP header; IV, text and ICV follow it without a gap. The four bytes before the
// header are the outer header's: GMAC with ESN borrows them during the call. The text length is that of payload,
// padding and trailer.
struct alignas(64) CryptoOp {
    const CryptoKey* key;
    Byte* esp;
    std::uint32_t text_length;
    std::uint32_t seq_high;  // host order, used where esn
    bool esn;
    bool verified;               // out, open_burst() only
    alignas(16) Byte nonce[16];  // salt | IV, and what follows it in CTR's counter block; written by the engine
    alignas(16) Byte aad[16];    // SPI | [high half] | low half; written by the engine

    Byte* iv() const { return esp + 8; }
    Byte* text() const { return esp + 8 + key->algorithm().iv; }
    Byte* icv() const { return text() + text_length; }
    std::uint32_t aad_length() const { return esn ? 12 : 8; }
};

// A worker's own IPsec-MB state: one per thread, nothing shared. Bursts are run to completion: no job stays behind.
class CryptoEngine {
  public:
    static Result<std::unique_ptr<CryptoEngine>> make(crypto::Random& random);

    // Encrypts in place and writes the ICVs. The IV must be in the packet. Any mix of algorithms, at most kMaxBurst;
    // those of one algorithm share vector lanes, wherever they stand in the burst.
    void seal_burst(std::span<CryptoOp> ops);
    // Checks ICVs and decrypts in place. Where verified is false the text is rubbish and must not be used.
    void open_burst(std::span<CryptoOp> ops);
    // 16 bytes that nobody outside can predict and that do not repeat in this engine's life: AES under a random key of
    // this engine over a counter (NIST SP 800-38A appendix C; TRAPS 36, 61), made for many packets at once.
    void unpredictable_iv(Byte* out) {
        if (iv_pool_.take(std::span<Byte, 16>(out, 16))) return;
        refill_ivs();
        iv_pool_.take(std::span<Byte, 16>(out, 16));
    }

    const char* code_path() const { return mb_code_path(*manager_); }

  private:
    // The ops of one algorithm in a burst: their places.
    struct Group {
        std::span<CryptoOp> ops;
        std::span<const std::uint8_t> members;
        std::size_t size() const { return members.size(); }
        CryptoOp& operator[](std::size_t i) const { return ops[members[i]]; }
    };
    // An ICV in four words that overlap where it is shorter than 32 bytes.
    struct Tag {
        std::uint64_t words[4];
        static Tag load(const Byte* icv, std::size_t length);
        bool equals(const Tag& other) const;  // in constant time
    };

    CryptoEngine(MbManager manager, MbManager narrow);
    template <class Run>
    void for_each_group(std::span<CryptoOp> ops, Run run);
    void seal_group(const Algorithm& algorithm, const Group& group);
    void open_group(const Algorithm& algorithm, const Group& group);
    void refill_ivs();

    void seal_gcm(const Algorithm& algorithm, const Group& group);
    void open_gcm(const Algorithm& algorithm, const Group& group);
    void gmac(const Algorithm& algorithm, CryptoOp& op, Byte* tag);

    void seal_jobs(const Algorithm& algorithm, const Group& group);
    void open_jobs(const Algorithm& algorithm, const Group& group);
    void submit_aead(const Algorithm& algorithm, CryptoOp& op, IMB_CIPHER_DIRECTION direction, Byte* tag);
    void flush_jobs();

    void seal_separate(const Algorithm& algorithm, const Group& group);
    void open_separate(const Algorithm& algorithm, const Group& group);
    void cipher_burst(const Algorithm& algorithm, IMB_CIPHER_DIRECTION direction, std::size_t count);
    void mac_burst(const Algorithm& algorithm, std::size_t count);
    std::size_t wide_share(crypto::Integ integ, std::size_t count) const;
    void aes_mac_burst(const Algorithm& algorithm, std::size_t count);

    void ccm_by_parts(const Algorithm& algorithm, CryptoOp& op, IMB_CIPHER_DIRECTION direction, Byte* tag);
    void open_one_by_one(const Algorithm& algorithm, const Group& group);

    MbManager manager_;
    MbManager narrow_;  // hashes with SHA-NI, packet by packet; none where the processor cannot
    std::array<aes_gcm_enc_dec_t, 3> gcm_seal_{};
    std::array<aes_gcm_enc_dec_t, 3> gcm_open_{};
    gcm_context_data gcm_context_{};
    std::array<std::uint8_t, kMaxBurst> places_{};  // 0, 1, 2, ...: the members of a burst of one algorithm
    std::array<IMB_JOB, kMaxBurst> jobs_{};         // of the bursts of cipher and MAC
    std::array<Tag, kMaxBurst> received_{};
    alignas(64) std::array<std::array<Byte, 32>, kMaxBurst> computed_{};

    alignas(16) std::array<Byte, 16 * 15> iv_key_{};
    alignas(64) std::array<Byte, 16 * kMaxBurst> iv_storage_{};
    esp::RandomIvPool iv_pool_{iv_storage_};
    std::uint64_t iv_refills_ = 0;
};

}  // namespace sluice::dataplane
