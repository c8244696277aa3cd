// SPDX-License-Identifier: Apache-2.0
#include "dataplane/self_test.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "lib/crypto/random.hpp"

namespace sluice::dataplane {

namespace {

using crypto::Encr;
using crypto::Integ;

constexpr std::size_t kFront = 4;  // what GMAC borrows
constexpr std::size_t kHeader = 8;

struct Answer {
    Encr encr;
    std::uint16_t key_bits;
    Integ integ;
    std::uint64_t fold;
};
// Of the reference codec over OpenSSL, which is held to the RFCs' vectors; self_test_test.cpp compares the two.
constexpr Answer kAnswers[] = {
    {Encr::aes_gcm_16, 128, Integ::none, 0x6304aa8feb82bc66},
    {Encr::aes_gcm_16, 192, Integ::none, 0xd2a718a9e4011728},
    {Encr::aes_gcm_16, 256, Integ::none, 0x6eb833d1f951c7d3},
    {Encr::aes_gcm_12, 128, Integ::none, 0xf7358f04cf3d0a22},
    {Encr::aes_gcm_12, 192, Integ::none, 0x7bc2e4dd594cc223},
    {Encr::aes_gcm_12, 256, Integ::none, 0x2d04e9fafc480641},
    {Encr::aes_gcm_8, 128, Integ::none, 0x3b363f14cb2603b7},
    {Encr::aes_gcm_8, 192, Integ::none, 0xd3253646c6b7cb47},
    {Encr::aes_gcm_8, 256, Integ::none, 0xf2fbc94a80c4b7bf},
    {Encr::null_auth_aes_gmac, 128, Integ::none, 0x3e25ed903531fdf2},
    {Encr::null_auth_aes_gmac, 192, Integ::none, 0x66ab918c6db670d3},
    {Encr::null_auth_aes_gmac, 256, Integ::none, 0x3d8eca8677b08b98},
    {Encr::aes_ccm_16, 128, Integ::none, 0x5645c85639aac3ba},
    {Encr::aes_ccm_16, 192, Integ::none, 0x85fc39bea591300e},
    {Encr::aes_ccm_16, 256, Integ::none, 0xd4016b801d4adfb2},
    {Encr::aes_ccm_12, 128, Integ::none, 0x1125a9949b654b4b},
    {Encr::aes_ccm_12, 192, Integ::none, 0xfc112a76196735ac},
    {Encr::aes_ccm_12, 256, Integ::none, 0xf05d53ee4f8cd357},
    {Encr::aes_ccm_8, 128, Integ::none, 0x8796c9077db5d682},
    {Encr::aes_ccm_8, 192, Integ::none, 0x7025b6c235678336},
    {Encr::aes_ccm_8, 256, Integ::none, 0xfb4bf54339d9f403},
    {Encr::chacha20_poly1305, 256, Integ::none, 0x6460409bcd86aafd},
    {Encr::aes_cbc, 128, Integ::hmac_sha2_256_128, 0x1b5e4a432de78bad},
    {Encr::aes_cbc, 128, Integ::hmac_sha2_384_192, 0x01a733684176a1bc},
    {Encr::aes_cbc, 128, Integ::hmac_sha2_512_256, 0x94c6baab0e11647b},
    {Encr::aes_cbc, 128, Integ::hmac_sha1_96, 0x9ce76236d0b0db92},
    {Encr::aes_cbc, 128, Integ::aes_xcbc_96, 0xc75a78eba1be9887},
    {Encr::aes_cbc, 128, Integ::aes_cmac_96, 0xd143dee6a4611324},
    {Encr::aes_cbc, 192, Integ::hmac_sha2_256_128, 0xcc359da7fa2d9db2},
    {Encr::aes_cbc, 192, Integ::hmac_sha2_384_192, 0xc9ee3a89aab1fa3a},
    {Encr::aes_cbc, 192, Integ::hmac_sha2_512_256, 0x7999ad947710a2f2},
    {Encr::aes_cbc, 192, Integ::hmac_sha1_96, 0xd0e3f223ff0ab2f9},
    {Encr::aes_cbc, 192, Integ::aes_xcbc_96, 0x8d26425f05d09eeb},
    {Encr::aes_cbc, 192, Integ::aes_cmac_96, 0xff92e64e9e80d552},
    {Encr::aes_cbc, 256, Integ::hmac_sha2_256_128, 0xc1a4aeb110daee35},
    {Encr::aes_cbc, 256, Integ::hmac_sha2_384_192, 0x8a1aee3fa2537760},
    {Encr::aes_cbc, 256, Integ::hmac_sha2_512_256, 0x968ac627451482cd},
    {Encr::aes_cbc, 256, Integ::hmac_sha1_96, 0x208ee987f97f957b},
    {Encr::aes_cbc, 256, Integ::aes_xcbc_96, 0x5b60e9fae650c489},
    {Encr::aes_cbc, 256, Integ::aes_cmac_96, 0x973fe46232a1e206},
    {Encr::aes_ctr, 128, Integ::hmac_sha2_256_128, 0x01e9834688690505},
    {Encr::aes_ctr, 128, Integ::hmac_sha2_384_192, 0x3651c106cfcbda98},
    {Encr::aes_ctr, 128, Integ::hmac_sha2_512_256, 0xa77d957d78cb4eee},
    {Encr::aes_ctr, 128, Integ::hmac_sha1_96, 0x6ed9a0e5bd6879b2},
    {Encr::aes_ctr, 128, Integ::aes_xcbc_96, 0xb7e15e7917137978},
    {Encr::aes_ctr, 128, Integ::aes_cmac_96, 0xd32c5cc12a9a99c0},
    {Encr::aes_ctr, 192, Integ::hmac_sha2_256_128, 0x22898a8ae4e87569},
    {Encr::aes_ctr, 192, Integ::hmac_sha2_384_192, 0x7117cdc56af1ebb6},
    {Encr::aes_ctr, 192, Integ::hmac_sha2_512_256, 0x6dc760c0bb7cb1dc},
    {Encr::aes_ctr, 192, Integ::hmac_sha1_96, 0x387603ff3b16385c},
    {Encr::aes_ctr, 192, Integ::aes_xcbc_96, 0x46da938c0c6df299},
    {Encr::aes_ctr, 192, Integ::aes_cmac_96, 0x933b8221d3ae2a56},
    {Encr::aes_ctr, 256, Integ::hmac_sha2_256_128, 0xe74d1e4e587f8454},
    {Encr::aes_ctr, 256, Integ::hmac_sha2_384_192, 0xf2e5a3be19025f80},
    {Encr::aes_ctr, 256, Integ::hmac_sha2_512_256, 0x07b77375ab4cafa7},
    {Encr::aes_ctr, 256, Integ::hmac_sha1_96, 0x953bd750d306bebe},
    {Encr::aes_ctr, 256, Integ::aes_xcbc_96, 0xc30de1906994ba72},
    {Encr::aes_ctr, 256, Integ::aes_cmac_96, 0x8cbc9a73bf4b6705},
    {Encr::null, 0, Integ::hmac_sha2_256_128, 0x2d6d8b079e66e427},
    {Encr::null, 0, Integ::hmac_sha2_384_192, 0xa33749d2cf0d3a40},
    {Encr::null, 0, Integ::hmac_sha2_512_256, 0x714dbc05f5780789},
    {Encr::null, 0, Integ::hmac_sha1_96, 0xec5ba3a568411607},
    {Encr::null, 0, Integ::aes_xcbc_96, 0x6947036a1a42eb10},
    {Encr::null, 0, Integ::aes_cmac_96, 0x3dfaf5f23e60b63d},
};

// Whole blocks of every cipher; short and long, in an order that makes lanes end out of turn.
std::size_t text_size(unsigned index) { return index + 1 == kSelfTestPackets ? 1408 : 16 * (1 + 7 * index % 24); }

SecretBytes counting(std::size_t size, unsigned first, unsigned step) {
    SecretBytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes.mutable_view()[i] = static_cast<Byte>(first + step * i);
    return bytes;
}

// The packets of one algorithm, side by side.
struct Burst {
    Burst(const Algorithm& a, const CryptoKey& key) {
        std::size_t sizes = 0;
        for (unsigned i = 0; i < kSelfTestPackets; ++i) {
            plain[i] = self_test_packet(a, i);
            sizes += kFront + plain[i].size();
        }
        storage.resize(sizes);
        Byte* at = storage.data();
        for (unsigned i = 0; i < kSelfTestPackets; ++i) {
            packets[i] = {at + kFront, plain[i].size()};
            at += kFront + plain[i].size();
            std::copy(plain[i].begin(), plain[i].end(), packets[i].begin());
            ops[i].key = &key;
            ops[i].esp = packets[i].data();
            ops[i].text_length = static_cast<std::uint32_t>(text_size(i));
            ops[i].seq_high = kSelfTestHigh;
            ops[i].esn = true;
            covered[i] = plain[i].size() - a.icv;
        }
    }
    ByteVec storage;
    std::array<ByteVec, kSelfTestPackets> plain;
    std::array<MutBytes, kSelfTestPackets> packets;
    std::array<std::size_t, kSelfTestPackets> covered{};  // all but the ICV
    std::array<CryptoOp, kSelfTestPackets> ops{};
};

}  // namespace

ByteVec self_test_packet(const Algorithm& a, unsigned index) {
    ByteVec packet(kHeader + a.iv + text_size(index) + a.icv);
    for (std::size_t i = 0; i < packet.size() - a.icv; ++i) packet[i] = static_cast<Byte>(index * 29 + i * 7 + 1);
    return packet;
}

crypto::CipherKeys self_test_keys(const Algorithm& a) {
    return {a.encr, a.key_bits, a.integ, counting(std::size_t{a.key} + a.salt, 3, 11), counting(a.integ_key, 5, 13)};
}

std::uint64_t fold(std::uint64_t state, Bytes bytes) {
    for (const Byte b : bytes) state = (state ^ b) * 0x100000001b3;
    return state;
}

std::optional<std::uint64_t> known_answer(const Algorithm& a) {
    const auto* const found = std::find_if(std::begin(kAnswers), std::end(kAnswers), [&a](const Answer& answer) {
        return answer.encr == a.encr && answer.key_bits == a.key_bits && answer.integ == a.integ;
    });
    if (found == std::end(kAnswers)) return std::nullopt;
    return found->fold;
}

bool passes_self_test(CryptoEngine& engine, const KeyExpander& expander, const Algorithm& a, std::uint64_t answer) {
    CryptoKey key;
    if (!expander.expand(self_test_keys(a), key)) return false;
    Burst burst(a, key);
    engine.seal_burst(burst.ops);
    std::uint64_t sealed = kFoldStart;
    for (const MutBytes packet : burst.packets) sealed = fold(sealed, packet);
    if (sealed != answer) return false;
    constexpr unsigned kForged = 7;
    burst.packets[kForged].back() ^= 0x80;
    engine.open_burst(burst.ops);
    for (unsigned i = 0; i < kSelfTestPackets; ++i) {
        if (burst.ops[i].verified == (i == kForged)) return false;
        if (i != kForged && std::memcmp(burst.packets[i].data(), burst.plain[i].data(), burst.covered[i]) != 0) {
            return false;
        }
    }
    return true;
}

Result<AlgorithmSet> run_self_test(const KeyExpander& expander) {
    crypto::SystemRandom random;
    const auto engine = CryptoEngine::make(random);
    if (!engine) return engine.error();
    AlgorithmSet passed;
    for (const Algorithm& a : algorithms()) {
        const auto answer = known_answer(a);
        passed[a.row] = answer && passes_self_test(**engine, expander, a, *answer);
    }
    return passed;
}

}  // namespace sluice::dataplane
