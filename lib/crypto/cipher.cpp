// SPDX-License-Identifier: Apache-2.0
#include "lib/crypto/cipher.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "lib/crypto/mac.hpp"
#include "lib/crypto/must.hpp"
#include "lib/crypto/openssl_ptr.hpp"

namespace sluice::crypto {
namespace {

constexpr std::size_t kMaxIcv = 32;
constexpr std::size_t kMaxBytes = 1 << 30;  // OpenSSL counts in int; no packet comes near

using Algorithm = OpensslPtr<EVP_CIPHER>;
using Context = OpensslPtr<EVP_CIPHER_CTX>;

Algorithm fetch(const std::string& name) {
    Algorithm algorithm(EVP_CIPHER_fetch(nullptr, name.c_str(), nullptr));
    must(algorithm != nullptr, "a cipher is missing");
    return algorithm;
}

// A mode of AES with its three key lengths, fetched once.
class AesMode {
  public:
    explicit AesMode(const std::string& mode)
        : algorithms_{fetch("AES-128-" + mode), fetch("AES-192-" + mode), fetch("AES-256-" + mode)} {}
    const EVP_CIPHER* of(std::uint16_t key_bits) const { return algorithms_[key_bits / 64u - 2].get(); }

  private:
    std::array<Algorithm, 3> algorithms_;
};

// key_bits are valid for id already; never null but for Encr::null.
const EVP_CIPHER* algorithm_of(Encr id, std::uint16_t key_bits) {
    static const AesMode cbc("CBC");
    static const AesMode ctr("CTR");
    static const AesMode ccm("CCM");
    static const AesMode gcm("GCM");
    static const Algorithm chacha = fetch("ChaCha20-Poly1305");
    switch (id) {
        case Encr::aes_cbc:
            return cbc.of(key_bits);
        case Encr::aes_ctr:
            return ctr.of(key_bits);
        case Encr::aes_ccm_8:
        case Encr::aes_ccm_12:
        case Encr::aes_ccm_16:
            return ccm.of(key_bits);
        case Encr::aes_gcm_8:
        case Encr::aes_gcm_12:
        case Encr::aes_gcm_16:
        case Encr::null_auth_aes_gmac:
            return gcm.of(key_bits);
        case Encr::chacha20_poly1305:
            return chacha.get();
        case Encr::none:
        case Encr::null:
            break;
    }
    return nullptr;
}

bool is_ccm(Encr id) { return id == Encr::aes_ccm_8 || id == Encr::aes_ccm_12 || id == Encr::aes_ccm_16; }

std::optional<Mac> mac_of(Integ id) {
    switch (id) {
        case Integ::hmac_sha1_96:
            return Mac::hmac_sha1;
        case Integ::aes_xcbc_96:
            return Mac::aes128_xcbc;
        case Integ::aes_cmac_96:
            return Mac::aes128_cmac;
        case Integ::hmac_sha2_256_128:
            return Mac::hmac_sha2_256;
        case Integ::hmac_sha2_384_192:
            return Mac::hmac_sha2_384;
        case Integ::hmac_sha2_512_256:
            return Mac::hmac_sha2_512;
        case Integ::none:
            break;
    }
    return std::nullopt;
}

// Everything that one call works on.
struct Job {
    const CipherKeys& keys;
    const EncrInfo& encr;
    Bytes aad;
    Bytes iv;
    MutBytes text;
    Bytes mac_tail;

    Bytes key() const { return keys.encr_key.view().first(keys.key_bits / 8u); }
    Bytes salt() const { return keys.encr_key.view().last(encr.salt); }
};

// Whether keys, IV, text and ICV have the sizes that the transforms ask for.
Result<void> check_sizes(const CipherKeys& keys, Bytes iv, Bytes text, std::size_t icv, Bytes mac_tail) {
    const EncrInfo* const encr = find_encr(keys.encr);
    if (encr == nullptr || !key_bits_valid(keys.encr, keys.key_bits)) {
        return fail(ErrorCode::unsupported, "encryption transform or key length");
    }
    const IntegInfo* const integ = find_integ(keys.integ);
    const bool no_integ = keys.integ == Integ::none;
    if (encr->aead ? !no_integ : integ == nullptr) {
        return fail(ErrorCode::unsupported, "an AEAD takes no integrity transform, every other cipher needs one");
    }
    if (keys.encr_key.size() != keymat_size(keys.encr, keys.key_bits) ||
        keys.integ_key.size() != (no_integ ? 0 : integ->key)) {
        return fail(ErrorCode::invalid, "key of another length");
    }
    if (iv.size() != encr->iv || text.size() % encr->block != 0 || icv != cipher_icv_size(keys)) {
        return fail(ErrorCode::invalid, "IV, text or ICV of another length");
    }
    if (text.size() > kMaxBytes || (encr->aead && !mac_tail.empty())) {
        return fail(ErrorCode::invalid, "text too long, or an AEAD with a MAC tail");
    }
    return {};
}

struct Iv {
    std::array<Byte, 16> bytes{};
    std::size_t size = 0;
};

// The cipher's own IV: salt | IV for an AEAD (RFC 4106 4, RFC 4309 4, RFC 7634 2), salt | IV | 1 for CTR (RFC 3686 4),
// the IV as it is for CBC.
Iv full_iv(const Job& job) {
    Iv iv;
    const auto end =
        std::copy(job.iv.begin(), job.iv.end(), std::copy(job.salt().begin(), job.salt().end(), iv.bytes.begin()));
    iv.size = static_cast<std::size_t>(end - iv.bytes.begin());
    if (job.encr.id == Encr::aes_ctr) {
        iv.size = 16;
        iv.bytes[15] = 1;
    }
    return iv;
}

enum class Direction { seal, open };

// One pass of a cipher in place. For CCM, OpenSSL wants the tag's length (and, to open, the tag) before the key.
class Pass {
  public:
    Pass(const Job& job, Direction direction, Bytes icv) : context_(EVP_CIPHER_CTX_new()) {
        must(context_ != nullptr, "no memory for a cipher");
        const int encrypt = direction == Direction::seal ? 1 : 0;
        const EVP_CIPHER* const algorithm = algorithm_of(job.encr.id, job.keys.key_bits);
        const Iv iv = full_iv(job);
        must(EVP_CipherInit_ex2(context_.get(), algorithm, nullptr, nullptr, encrypt, nullptr) == 1, "a cipher failed");
        if (job.encr.aead) {
            control(EVP_CTRL_AEAD_SET_IVLEN, iv.size, nullptr);
            if (direction == Direction::open) {
                std::copy(icv.begin(), icv.end(), tag_.begin());
                control(EVP_CTRL_AEAD_SET_TAG, icv.size(), tag_.data());
            } else if (is_ccm(job.encr.id)) {
                control(EVP_CTRL_AEAD_SET_TAG, job.encr.icv, nullptr);
            }
        }
        must(EVP_CipherInit_ex2(context_.get(), nullptr, job.key().data(), iv.bytes.data(), encrypt, nullptr) == 1,
             "a cipher refuses its key");
        EVP_CIPHER_CTX_set_padding(context_.get(), 0);
    }

    // CCM authenticates the length of the text before anything else (RFC 3610 2.2).
    void announce(std::size_t text_size) {
        int n = 0;
        must(EVP_CipherUpdate(context_.get(), nullptr, &n, nullptr, static_cast<int>(text_size)) == 1, "CCM failed");
    }
    void authenticate(Bytes aad) {
        int n = 0;
        if (aad.empty()) return;
        must(EVP_CipherUpdate(context_.get(), nullptr, &n, aad.data(), static_cast<int>(aad.size())) == 1,
             "an AEAD failed");
    }
    // False only for CCM with a wrong tag.
    bool update(MutBytes text) {
        Byte none[1] = {};  // a null pointer would mean associated data
        Byte* const data = text.empty() ? none : text.data();
        int n = 0;
        return EVP_CipherUpdate(context_.get(), data, &n, data, static_cast<int>(text.size())) == 1;
    }
    // False only for a wrong tag.
    bool finish() {
        Byte none[16] = {};
        int n = 0;
        return EVP_CipherFinal_ex(context_.get(), none, &n) == 1;
    }
    void read_tag(MutBytes icv) { control(EVP_CTRL_AEAD_GET_TAG, icv.size(), icv.data()); }

  private:
    void control(int command, std::size_t size, Byte* data) {
        must(EVP_CIPHER_CTX_ctrl(context_.get(), command, static_cast<int>(size), data) == 1, "a cipher failed");
    }
    Context context_;
    std::array<Byte, 16> tag_{};
};

// What an AEAD authenticates beside the text. GMAC encrypts nothing: IV and text are associated data too, whole in
// their order on the wire (RFC 4543 3.3).
void authenticate(Pass& pass, const Job& job) {
    if (is_ccm(job.encr.id)) pass.announce(job.text.size());
    pass.authenticate(job.aad);
    if (job.encr.id != Encr::null_auth_aes_gmac) return;
    pass.authenticate(job.iv);
    pass.authenticate(job.text);
}

void seal_aead(const Job& job, MutBytes icv) {
    Pass pass(job, Direction::seal, {});
    authenticate(pass, job);
    if (job.encr.id != Encr::null_auth_aes_gmac) must(pass.update(job.text), "an AEAD failed");
    if (!is_ccm(job.encr.id)) must(pass.finish(), "an AEAD failed");
    pass.read_tag(icv);
}

// OpenSSL decrypts before it knows that the tag is right, so what it wrote is wiped where it is not. CCM knows at the
// update; for it there is nothing to finish.
bool open_aead(const Job& job, Bytes icv) {
    Pass pass(job, Direction::open, icv);
    authenticate(pass, job);
    const bool decrypted = job.encr.id == Encr::null_auth_aes_gmac || pass.update(job.text);
    const bool genuine = decrypted && (is_ccm(job.encr.id) || pass.finish());
    if (!genuine) wipe(job.text);
    return genuine;
}

void crypt(const Job& job, Direction direction) {
    if (job.encr.id == Encr::null) return;
    Pass pass(job, direction, {});
    must(pass.update(job.text) && pass.finish(), "a cipher failed");
}

void make_icv(const Job& job, MutBytes icv) {
    const std::array<Bytes, 4> parts = {job.aad, job.iv, job.text, job.mac_tail};
    mac(*mac_of(job.keys.integ), job.keys.integ_key.view(), parts, icv);
}

}  // namespace

std::size_t cipher_iv_size(const CipherKeys& keys) {
    const EncrInfo* const encr = find_encr(keys.encr);
    return encr == nullptr ? 0 : encr->iv;
}

std::size_t cipher_icv_size(const CipherKeys& keys) {
    const EncrInfo* const encr = find_encr(keys.encr);
    if (encr != nullptr && encr->aead) return encr->icv;
    const IntegInfo* const integ = find_integ(keys.integ);
    return integ == nullptr ? 0 : integ->icv;
}

std::size_t cipher_block_size(const CipherKeys& keys) {
    const EncrInfo* const encr = find_encr(keys.encr);
    return encr == nullptr ? 1 : encr->block;
}

Result<void> cipher_seal(const CipherKeys& keys, Bytes aad, Bytes iv, MutBytes text, MutBytes icv, Bytes mac_tail) {
    if (auto fits = check_sizes(keys, iv, text, icv.size(), mac_tail); !fits) return fits;
    const Job job{keys, *find_encr(keys.encr), aad, iv, text, mac_tail};
    if (job.encr.aead) {
        seal_aead(job, icv);
        return {};
    }
    crypt(job, Direction::seal);
    make_icv(job, icv);
    return {};
}

Result<void> cipher_open(const CipherKeys& keys, Bytes aad, Bytes iv, MutBytes text, Bytes icv, Bytes mac_tail) {
    if (auto fits = check_sizes(keys, iv, text, icv.size(), mac_tail); !fits) return fits;
    const Job job{keys, *find_encr(keys.encr), aad, iv, text, mac_tail};
    if (job.encr.aead) {
        if (open_aead(job, icv)) return {};
        return fail(ErrorCode::auth, "integrity check failed");
    }
    std::array<Byte, kMaxIcv> expected{};
    const MutBytes own = MutBytes(expected).first(icv.size());
    make_icv(job, own);
    const bool genuine = constant_time_equal(own, icv);
    if (!genuine) {
        wipe(text);
        return fail(ErrorCode::auth, "integrity check failed");
    }
    crypt(job, Direction::open);
    return {};
}

}  // namespace sluice::crypto
