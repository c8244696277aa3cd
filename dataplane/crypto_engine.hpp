// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <intel-ipsec-mb.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/algorithm.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/secret.hpp"
#include "lib/crypto/random.hpp"

namespace sluice::dataplane {

inline constexpr unsigned kMaxBurst = 64;

// Expanded keys of one direction of an SA, in the form that IPsec-MB reads. Made by control, then read only; wiped when
// it dies. A packet's crypto touches the first lines of it, so they are prefetched stages before.
class alignas(64) CryptoKey {
  public:
    struct BlockKeys {
        alignas(16) Byte encrypt[16 * 15];
        alignas(16) Byte decrypt[16 * 15];
        alignas(16) Byte inner[64];  // HMAC state after the key xor ipad block
        alignas(16) Byte outer[64];
    };
    union Material {
        gcm_key_data gcm;
        BlockKeys block;
        Byte chacha[32];
    };

    CryptoKey() { wipe_all(); }
    ~CryptoKey() { wipe_all(); }
    CryptoKey(const CryptoKey&) = delete;
    CryptoKey& operator=(const CryptoKey&) = delete;

    const Algorithm& algorithm() const { return *algorithm_; }
    std::uint32_t salt() const { return salt_; }  // as it lies in memory
    const Material& material() const { return material_; }
    void prefetch() const {
        const auto* p = reinterpret_cast<const char*>(&material_);
        for (unsigned line = 0; line < 5; ++line) __builtin_prefetch(p + 64 * line);
    }

  private:
    friend class KeyExpander;
    void wipe_all() { wipe({reinterpret_cast<Byte*>(&material_), sizeof(material_)}); }

    Material material_;
    const Algorithm* algorithm_ = nullptr;
    std::uint32_t salt_ = 0;
};

struct MbManagerDeleter {
    void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};
using MbManager = std::unique_ptr<IMB_MGR, MbManagerDeleter>;
Result<MbManager> make_mb_manager();
// "AVX512", "AVX2", "AVX", "SSE": the code path that IPsec-MB took for this machine.
const char* mb_code_path(const IMB_MGR& manager);

// Expands keys, on the control thread.
class KeyExpander {
  public:
    static Result<KeyExpander> make();
    // unsupported, invalid: as require_algorithm().
    Result<void> expand(const crypto::CipherKeys& keys, CryptoKey& out) const;

  private:
    explicit KeyExpander(MbManager manager) : manager_(std::move(manager)) {}
    void expand_hmac(const crypto::CipherKeys& keys, CryptoKey& out) const;
    MbManager manager_;
};

// One packet's work. esp points at the ESP header; IV, text and ICV follow it without a gap. The text length is that of
// payload, padding and trailer.
struct alignas(64) CryptoOp {
    const CryptoKey* key;
    Byte* esp;
    std::uint32_t text_length;
    std::uint32_t seq_high;  // host order, used where esn
    bool esn;
    bool verified;               // out, open_burst() only
    alignas(16) Byte nonce[16];  // salt | IV, written by prepare_nonce(); a CBC IV whole
    alignas(16) Byte aad[16];    // SPI | [high half] | low half

    Byte* iv() const { return esp + 8; }
    Byte* text() const { return esp + 8 + key->algorithm().iv; }
    Byte* icv() const { return text() + text_length; }
};

// A worker's own IPsec-MB state: one per thread, nothing shared. Bursts are run to completion: no job stays behind.
class CryptoEngine {
  public:
    static Result<std::unique_ptr<CryptoEngine>> make(crypto::Random& random);

    // Encrypts in place and writes the ICVs. The IV must be in the packet. Any mix of algorithms, at most kMaxBurst.
    void seal_burst(std::span<CryptoOp> ops);
    // Checks ICVs and decrypts in place. Where verified is false the text is rubbish and must not be used.
    void open_burst(std::span<CryptoOp> ops);
    // 16 bytes that nobody outside can predict and that do not repeat in this engine's life: AES under a random key of
    // this engine over a counter (NIST SP 800-38A appendix C; TRAPS 36, 61).
    void unpredictable_iv(Byte* out);

    const char* code_path() const { return mb_code_path(*manager_); }

  private:
    explicit CryptoEngine(MbManager manager) : manager_(std::move(manager)) {}
    void prepare(CryptoOp& op) const;
    void submit(CryptoOp& op, unsigned index, IMB_CIPHER_DIRECTION direction);
    void flush();
    void seal_gcm(CryptoOp& op);
    void open_gcm(CryptoOp& op);

    MbManager manager_;
    std::array<aes_gcm_enc_dec_t, 3> gcm_seal_{};
    std::array<aes_gcm_enc_dec_t, 3> gcm_open_{};
    gcm_context_data gcm_context_{};
    struct alignas(64) Tags {
        Byte computed[64];
        Byte received[64];
    };
    std::array<Tags, kMaxBurst> tags_{};
    alignas(16) std::array<Byte, 16 * 15> iv_key_{};
    std::uint64_t iv_counter_ = 0;
};

}  // namespace sluice::dataplane
