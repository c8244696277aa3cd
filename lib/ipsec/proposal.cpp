// SPDX-License-Identifier: Apache-2.0
#include "lib/ipsec/proposal.hpp"

#include <algorithm>
#include <array>

namespace sluice::ipsec {
namespace {

using crypto::Encr;
using crypto::Group;
using crypto::Integ;
using crypto::Prf;

template <class Id>
constexpr std::uint16_t number(Id id) {
    return static_cast<std::uint16_t>(id);
}

struct Keyword {
    std::string_view word;
    Transform transform;
};

constexpr Transform encr(Encr id, std::uint16_t bits) { return {TransformType::encr, number(id), bits}; }
constexpr Transform integ(Integ id) { return {TransformType::integ, number(id), 0}; }
constexpr Transform prf(Prf id) { return {TransformType::prf, number(id), 0}; }
constexpr Transform ke(Group id) { return {TransformType::ke, number(id), 0}; }
constexpr Transform kNoEsn{TransformType::esn, 0, 0};
constexpr Transform kEsn{TransformType::esn, 1, 0};

// Words of swanctl.conf but for AES, whose words are composed: see find_aes().
constexpr std::array kKeywords = {
    Keyword{"null", encr(Encr::null, 0)},
    Keyword{"chacha20poly1305", encr(Encr::chacha20_poly1305, 0)},
    Keyword{"sha", integ(Integ::hmac_sha1_96)},
    Keyword{"sha1", integ(Integ::hmac_sha1_96)},
    Keyword{"sha256", integ(Integ::hmac_sha2_256_128)},
    Keyword{"sha2_256", integ(Integ::hmac_sha2_256_128)},
    Keyword{"sha384", integ(Integ::hmac_sha2_384_192)},
    Keyword{"sha2_384", integ(Integ::hmac_sha2_384_192)},
    Keyword{"sha512", integ(Integ::hmac_sha2_512_256)},
    Keyword{"sha2_512", integ(Integ::hmac_sha2_512_256)},
    Keyword{"aesxcbc", integ(Integ::aes_xcbc_96)},
    Keyword{"aescmac", integ(Integ::aes_cmac_96)},
    Keyword{"prfsha1", prf(Prf::hmac_sha1)},
    Keyword{"prfsha256", prf(Prf::hmac_sha2_256)},
    Keyword{"prfsha384", prf(Prf::hmac_sha2_384)},
    Keyword{"prfsha512", prf(Prf::hmac_sha2_512)},
    Keyword{"prfaesxcbc", prf(Prf::aes128_xcbc)},
    Keyword{"prfaescmac", prf(Prf::aes128_cmac)},
    Keyword{"none", ke(Group::none)},
    Keyword{"modpnone", ke(Group::none)},
    Keyword{"modp2048", ke(Group::modp2048)},
    Keyword{"modp3072", ke(Group::modp3072)},
    Keyword{"modp4096", ke(Group::modp4096)},
    Keyword{"ecp256", ke(Group::ecp256)},
    Keyword{"ecp384", ke(Group::ecp384)},
    Keyword{"ecp521", ke(Group::ecp521)},
    Keyword{"curve25519", ke(Group::curve25519)},
    Keyword{"x25519", ke(Group::curve25519)},
    Keyword{"curve448", ke(Group::curve448)},
    Keyword{"x448", ke(Group::curve448)},
    Keyword{"noesn", kNoEsn},
    Keyword{"esn", kEsn},
};

// Beginnings of words that swanctl.conf knows and this gateway does not implement: too weak, or out of use.
constexpr std::array<std::string_view, 20> kNotImplemented = {
    "des",     "3des",     "blowfish", "camellia", "cast",    "serpent", "twofish", "md5",   "prfmd5", "prfcamellia",
    "modp768", "modp1024", "modp1536", "modp6144", "modp819", "ecp192",  "ecp224",  "kyber", "ntru",   "mlkem"};

constexpr std::string_view kExpected =
    "expected an encryption (aes128, aes256gcm16, chacha20poly1305, ...), an integrity (sha256, ...), a prf "
    "(prfsha256, ...), a group (x25519, ecp256, modp2048, ...), esn or noesn";

struct AesMode {
    std::string_view suffix;  // ICV in bytes or, twice as strongSwan has it, in bits
    Encr id;
};
constexpr std::array kAesModes = {
    AesMode{"", Encr::aes_cbc},
    AesMode{"ctr", Encr::aes_ctr},
    AesMode{"ccm8", Encr::aes_ccm_8},
    AesMode{"ccm64", Encr::aes_ccm_8},
    AesMode{"ccm12", Encr::aes_ccm_12},
    AesMode{"ccm96", Encr::aes_ccm_12},
    AesMode{"ccm16", Encr::aes_ccm_16},
    AesMode{"ccm128", Encr::aes_ccm_16},
    AesMode{"ccm", Encr::aes_ccm_16},
    AesMode{"gcm8", Encr::aes_gcm_8},
    AesMode{"gcm64", Encr::aes_gcm_8},
    AesMode{"gcm12", Encr::aes_gcm_12},
    AesMode{"gcm96", Encr::aes_gcm_12},
    AesMode{"gcm16", Encr::aes_gcm_16},
    AesMode{"gcm128", Encr::aes_gcm_16},
    AesMode{"gcm", Encr::aes_gcm_16},
    AesMode{"gmac", Encr::null_auth_aes_gmac},
};

// "aes" [ "128" | "192" | "256" ] mode; "aes" alone is aes128.
std::optional<Transform> find_aes(std::string_view word) {
    if (word == "aes") return encr(Encr::aes_cbc, 128);
    if (!word.starts_with("aes")) return std::nullopt;
    word.remove_prefix(3);
    for (const std::uint16_t bits : {std::uint16_t{128}, std::uint16_t{192}, std::uint16_t{256}}) {
        if (!word.starts_with(std::to_string(bits))) continue;
        const auto mode = std::ranges::find(kAesModes, word.substr(3), &AesMode::suffix);
        if (mode != kAesModes.end()) return encr(mode->id, bits);
    }
    return std::nullopt;
}

std::optional<Transform> find_keyword(std::string_view word) {
    const auto keyword = std::ranges::find(kKeywords, word, &Keyword::word);
    return keyword != kKeywords.end() ? std::optional(keyword->transform) : find_aes(word);
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

Error refuse(ErrorCode code, std::string_view text, const std::string& why) {
    return fail(code, "proposal " + quoted(text) + ": " + why);
}

bool is_aead(const Transform& t) {
    const crypto::EncrInfo* const info = crypto::find_encr(Encr{t.id});
    return t.type == TransformType::encr && info != nullptr && info->aead;
}

std::vector<Transform> of_type(const Proposal& proposal, TransformType type) {
    std::vector<Transform> found;
    std::ranges::copy_if(proposal.transforms, std::back_inserter(found),
                         [type](const Transform& t) { return t.type == type; });
    return found;
}

void add(Proposal& proposal, const Transform& t) {
    if (std::ranges::find(proposal.transforms, t) == proposal.transforms.end()) proposal.transforms.push_back(t);
}

// Whether the word may stand in a proposal of this protocol; the reason where it may not.
std::string misplaced(const Transform& t, Protocol protocol) {
    const bool ike = protocol == Protocol::ike;
    if (ike && t.type == TransformType::esn) return "is for ESP only";
    if (!ike && t.type == TransformType::prf) return "is for IKE only";
    if (ike && t == ke(Group::none)) return "is for ESP only: IKE needs a key exchange";
    if (ike && t.type == TransformType::encr &&
        (t.id == number(Encr::null) || t.id == number(Encr::null_auth_aes_gmac)))
        return "does not encrypt and is for ESP only";
    return {};
}

Result<Transform> parse_word(std::string_view text, std::string_view word, Protocol protocol) {
    const auto found = find_keyword(word);
    if (!found) {
        const bool known = std::ranges::any_of(kNotImplemented, [word](auto start) { return word.starts_with(start); });
        if (known) return refuse(ErrorCode::unsupported, text, quoted(word) + " is not supported");
        if (word == "default") return refuse(ErrorCode::invalid, text, "\"default\" stands alone");
        return refuse(ErrorCode::invalid, text, "unknown word " + quoted(word) + ", " + std::string(kExpected));
    }
    const std::string why = misplaced(*found, protocol);
    if (!why.empty()) return refuse(ErrorCode::invalid, text, quoted(word) + " " + why);
    return *found;
}

// RFC 7296 3.3: an AEAD stands without an integrity algorithm, every other cipher with one; the two kinds do not mix.
Result<void> check_encryption(const Proposal& proposal, std::string_view text) {
    const auto ciphers = of_type(proposal, TransformType::encr);
    if (ciphers.empty())
        return refuse(ErrorCode::invalid, text, "no encryption algorithm, expected one like aes128gcm16");
    const auto aeads = std::ranges::count_if(ciphers, is_aead);
    if (aeads != 0 && static_cast<std::size_t>(aeads) != ciphers.size()) {
        return refuse(ErrorCode::invalid, text,
                      "impossible: an AEAD and another cipher, expected them in two proposals");
    }
    const bool integrity = proposal.has(TransformType::integ);
    if (aeads != 0 && integrity) {
        return refuse(
            ErrorCode::invalid, text,
            "impossible: an AEAD beside an integrity algorithm, expected none (a prf is named like prfsha256)");
    }
    if (aeads == 0 && !integrity) {
        return refuse(
            ErrorCode::invalid, text,
            "impossible: encryption without integrity, expected one like sha256, or an AEAD like aes128gcm16");
    }
    return {};
}

Prf prf_of(Integ id) {
    switch (id) {
        case Integ::hmac_sha1_96:
            return Prf::hmac_sha1;
        case Integ::aes_xcbc_96:
            return Prf::aes128_xcbc;
        case Integ::aes_cmac_96:
            return Prf::aes128_cmac;
        case Integ::hmac_sha2_256_128:
            return Prf::hmac_sha2_256;
        case Integ::hmac_sha2_384_192:
            return Prf::hmac_sha2_384;
        case Integ::hmac_sha2_512_256:
            return Prf::hmac_sha2_512;
        case Integ::none:
            break;
    }
    return Prf::none;
}

Result<void> complete(Proposal& proposal, std::string_view text) {
    if (auto good = check_encryption(proposal, text); !good) return good;
    if (proposal.protocol == Protocol::esp) {
        if (!proposal.has(TransformType::esn)) add(proposal, kNoEsn);
        return {};
    }
    if (!proposal.has(TransformType::prf)) {
        for (const auto& t : of_type(proposal, TransformType::integ)) add(proposal, prf(prf_of(Integ{t.id})));
    }
    if (!proposal.has(TransformType::prf)) {
        return refuse(ErrorCode::invalid, text, "impossible: no prf, expected one like prfsha256");
    }
    if (!proposal.has(TransformType::ke)) {
        return refuse(ErrorCode::invalid, text, "impossible: no key exchange group, expected one like x25519");
    }
    return {};
}

// What "default" stands for. As strongSwan's it holds AEADs and CBC in two proposals, strong first, and is broad enough
// that two defaults always meet; ESP has no group, so that it is the peer who asks for PFS.
std::vector<std::string_view> default_texts(Protocol protocol) {
    if (protocol == Protocol::ike) {
        return {
            "aes128gcm16-aes192gcm16-aes256gcm16-chacha20poly1305-prfsha256-prfsha384-prfsha512-"
            "x25519-ecp256-ecp384-ecp521-x448-modp3072-modp4096-modp2048",
            "aes128-aes192-aes256-sha256-sha384-sha512-sha1-prfsha256-prfsha384-prfsha512-prfsha1-"
            "x25519-ecp256-ecp384-ecp521-x448-modp3072-modp4096-modp2048"};
    }
    return {"aes128gcm16-aes192gcm16-aes256gcm16-chacha20poly1305-noesn",
            "aes128-aes192-aes256-sha256-sha384-sha512-sha1-noesn"};
}

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Takes what stands before the next separator off the front of rest; rest is empty and done is set after the last.
struct Splitter {
    std::string_view rest;
    char separator;
    bool done = false;

    std::string_view next() {
        const auto at = rest.find(separator);
        const auto head = rest.substr(0, at);
        done = at == std::string_view::npos;
        rest = done ? std::string_view{} : rest.substr(at + 1);
        return head;
    }
};

template <class Info>
std::string name_of(const Info* info, const Transform& t) {
    return info != nullptr ? std::string(info->name) : "(" + std::to_string(t.id) + ")";
}

std::string transform_name(const Transform& t) {
    switch (t.type) {
        case TransformType::encr: {
            const std::string name = name_of(crypto::find_encr(Encr{t.id}), t);
            return t.key_bits == 0 ? name : name + "_" + std::to_string(t.key_bits);
        }
        case TransformType::prf:
            return name_of(crypto::find_prf(Prf{t.id}), t);
        case TransformType::integ:
            return t.id == 0 ? "NONE" : name_of(crypto::find_integ(Integ{t.id}), t);
        case TransformType::ke:
            return t.id == 0 ? "NONE" : name_of(crypto::find_group(Group{t.id}), t);
        case TransformType::esn:
            return t.id == 0 ? "NO_EXT_SEQ" : t.id == 1 ? "EXT_SEQ" : "(" + std::to_string(t.id) + ")";
    }
    return "(" + std::to_string(static_cast<unsigned>(t.type)) + ":" + std::to_string(t.id) + ")";
}

}  // namespace

bool Proposal::has(TransformType type) const {
    return std::ranges::any_of(transforms, [type](const Transform& t) { return t.type == type; });
}

Result<Proposal> parse_proposal(std::string_view text, Protocol protocol) {
    if (protocol != Protocol::ike && protocol != Protocol::esp) {
        return refuse(ErrorCode::unsupported, text, "only IKE and ESP have proposals here");
    }
    Proposal proposal;
    proposal.protocol = protocol;
    Splitter words{text, '-'};
    while (!words.done) {
        const auto transform = parse_word(text, words.next(), protocol);
        if (!transform) return transform.error();
        add(proposal, *transform);
    }
    if (const auto whole = complete(proposal, text); !whole) return whole.error();
    return proposal;
}

Result<Proposals> parse_proposals(const std::vector<std::string>& texts, Protocol protocol) {
    Proposals proposals;
    const auto append = [&](std::string_view text) -> Result<void> {
        auto parsed = parse_proposal(text, protocol);
        if (!parsed) return parsed.error();
        if (std::ranges::find(proposals, *parsed) == proposals.end()) proposals.push_back(*std::move(parsed));
        return {};
    };
    for (const std::string& text : texts) {
        Splitter items{text, ','};
        while (!items.done) {
            const std::string_view item = trim(items.next());
            const auto expanded = item == "default" ? default_texts(protocol) : std::vector{item};
            for (const auto one : expanded) {
                if (auto good = append(one); !good) return good.error();
            }
        }
    }
    return proposals;
}

std::string to_string(const Proposal& proposal) {
    std::string text;
    for (const auto type :
         {TransformType::encr, TransformType::integ, TransformType::prf, TransformType::ke, TransformType::esn}) {
        for (const auto& t : of_type(proposal, type)) text += (text.empty() ? "" : "/") + transform_name(t);
    }
    for (const auto& t : proposal.transforms) {  // types that RFC 7296 does not have
        if (t.type < TransformType::encr || t.type > TransformType::esn) text += "/" + transform_name(t);
    }
    return text;
}

}  // namespace sluice::ipsec
