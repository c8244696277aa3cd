// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <intel-ipsec-mb.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "dataplane/algorithm.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/secret.hpp"

namespace sluice::dataplane {

struct MbManagerDeleter {
    void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); }
};
using MbManager = std::unique_ptr<IMB_MGR, MbManagerDeleter>;
Result<MbManager> make_mb_manager();
// One that hashes SHA-1 and SHA-256 with the processor's instructions for them. Null where it has none.
MbManager make_sha_ni_manager();
// "AVX512", "AVX2", "AVX", "SSE": the code path that IPsec-MB took for this machine.
const char* mb_code_path(const IMB_MGR& manager);

// Expanded keys of one direction of an SA, in the form that IPsec-MB reads. Made by control, then read only; wiped when
// it dies.
class alignas(64) CryptoKey {
  public:
    struct HmacStates {
        alignas(16) Byte inner[64];  // after the block of key xor ipad (RFC 2104)
        alignas(16) Byte outer[64];
    };
    struct AesMacKeys {
        alignas(16) std::uint32_t expanded[4 * 11];  // of the key (CMAC) or of K1 (XCBC)
        alignas(16) Byte k2[16];                     // CMAC: K1, for a last block that is whole
        alignas(16) Byte k3[16];                     // CMAC: K2
    };
    // A cipher and a MAC. What AES-128 to encrypt and HMAC read is at the front.
    struct SeparateKeys {
        HmacStates hmac;
        alignas(16) Byte encrypt[16 * 15];
        alignas(16) Byte decrypt[16 * 15];
        AesMacKeys aes_mac;
    };
    union Material {
        gcm_key_data gcm;
        SeparateKeys separate;
        Byte chacha[32];
    };

    CryptoKey() { wipe_all(); }
    ~CryptoKey() { wipe_all(); }
    CryptoKey(const CryptoKey&) = delete;
    CryptoKey& operator=(const CryptoKey&) = delete;

    const Algorithm& algorithm() const { return *algorithm_; }
    std::uint32_t salt() const { return salt_; }  // as it lies in memory, zeros behind a shorter one
    const Material& material() const { return *reinterpret_cast<const Material*>(material_); }

    // What every packet reads, stages before its crypto: the first `front` lines, with the cipher's and the HMAC's keys
    // (front_lines()), and the last two, with the algorithm and the lowest powers of GCM's hash key.
    void prefetch(unsigned front) const {
        const auto* p = reinterpret_cast<const char*>(this);
        for (unsigned line = 0; line < front; ++line) __builtin_prefetch(p + 64 * line);
        __builtin_prefetch(p + 64 * (kLines - 2));
        __builtin_prefetch(p + 64 * (kLines - 1));
    }
    static unsigned front_lines(const Algorithm& algorithm);
    // GCM: the higher powers, as far as a text of this length needs them (four a line, 48 in all).
    void prefetch_powers(std::size_t text_length) const {
        const auto* p = reinterpret_cast<const char*>(this);
        const std::size_t lines = std::min<std::size_t>(text_length / 64 + 1, 12);
        for (std::size_t line = 2; line < lines; ++line) __builtin_prefetch(p + 64 * (kLines - 1 - line));
    }
    void prefetch_decrypt() const {
        for (std::size_t line = 0; line < 4; ++line) __builtin_prefetch(material().separate.decrypt + 64 * line);
    }

  private:
    friend class KeyExpander;
    static constexpr std::size_t kLines = 16;
    // Without the padding that aligns it: the rest of the key goes there.
    static constexpr std::size_t kMaterialSize = offsetof(gcm_key_data, ghash_keys) + sizeof(gcm_key_data::ghash_keys);
    static_assert(sizeof(SeparateKeys) <= kMaterialSize);
    Material& writable() { return *reinterpret_cast<Material*>(material_); }
    void wipe_all() { wipe({material_, kMaterialSize}); }

    alignas(Material) Byte material_[kMaterialSize];
    const Algorithm* algorithm_ = nullptr;
    std::uint32_t salt_ = 0;
};
static_assert(sizeof(CryptoKey) == 16 * 64);

// Expands keys, on the control thread.
class KeyExpander {
  public:
    static Result<KeyExpander> make();
    // From here on keys of other algorithms are refused: those that failed their self-test (self_test.hpp).
    void restrict_to(const AlgorithmSet& usable) { usable_ = usable; }
    // unsupported: no such algorithm, or it failed its self-test; invalid: as require_algorithm().
    Result<void> expand(const crypto::CipherKeys& keys, CryptoKey& out) const;

  private:
    explicit KeyExpander(MbManager manager) : manager_(std::move(manager)) {}
    void expand_cipher(const Algorithm& algorithm, const Byte* key, CryptoKey::SeparateKeys& out) const;
    void expand_mac(const Algorithm& algorithm, Bytes key, CryptoKey::SeparateKeys& out) const;
    void expand_hmac(const Algorithm& algorithm, Bytes key, CryptoKey::HmacStates& out) const;
    MbManager manager_;
    AlgorithmSet usable_ = AlgorithmSet{}.set();
};

}  // namespace sluice::dataplane
