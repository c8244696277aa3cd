// SPDX-License-Identifier: Apache-2.0
// The workers' engine over IPsec-MB against the reference codec over OpenSSL, for every algorithm.
#include "dataplane/crypto_engine.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "lib/crypto/random.hpp"
#include "lib/esp/codec.hpp"

using namespace sluice;
using namespace sluice::dataplane;

namespace {

struct Bench {
    crypto::SystemRandom random;
    std::unique_ptr<CryptoEngine> engine = std::move(*CryptoEngine::make(random));
    KeyExpander expander = std::move(*KeyExpander::make());
};

using Rng = std::mt19937_64;
ByteVec random_bytes(Rng& rng, std::size_t size) {
    ByteVec bytes(size);
    for (Byte& b : bytes) b = static_cast<Byte>(rng());
    return bytes;
}

crypto::CipherKeys random_keys(const Algorithm& a, Rng& rng) {
    return {a.encr, a.key_bits, a.integ, SecretBytes(random_bytes(rng, std::size_t{a.key} + a.salt)),
            SecretBytes(random_bytes(rng, a.integ_key))};
}

// An algorithm under random keys, in both forms.
struct Key {
    Key(const Bench& bench, const Algorithm& algorithm, Rng& rng) : a(algorithm), keys(random_keys(algorithm, rng)) {
        REQUIRE(bench.expander.expand(keys, expanded));
    }
    const Algorithm& a;
    crypto::CipherKeys keys;
    CryptoKey expanded;
};

// One packet: the inner bytes, the reference's ESP, and a buffer for the engine with something on either side that it
// must leave alone.
struct Sample {
    static constexpr std::size_t kMargin = 64;
    const Key* key;
    bool esn;
    Spi spi;
    Seq seq;
    ByteVec sealed;
    ByteVec buffer;
    std::size_t text_length;

    Sample(const Key& k, bool with_esn, std::size_t inner_size, Rng& rng)
        : key(&k), esn(with_esn), spi(static_cast<std::uint32_t>(rng())), seq(with_esn ? rng() : rng() & 0xffffffff) {
        const esp::Codec codec{k.keys, esn};
        const esp::Layout layout = codec.layout();
        const ByteVec inner = random_bytes(rng, inner_size);
        const ByteVec iv = random_bytes(rng, layout.iv_size);
        sealed.resize(layout.esp_size(inner_size));
        REQUIRE(esp::seal(codec, {spi, seq, iv, 17, inner}, sealed));
        text_length = layout.text_size(inner_size);
        buffer.assign(sealed.size() + 2 * kMargin, 0xee);
        MutBytes packet = esp();
        std::copy_n(sealed.begin(), layout.text_offset(), packet.begin());
        std::copy(inner.begin(), inner.end(), packet.begin() + static_cast<std::ptrdiff_t>(layout.text_offset()));
        esp::write_trailer(packet.subspan(layout.text_offset() + inner_size, text_length - inner_size), 17);
        plain = buffer;
    }
    MutBytes esp() { return MutBytes(buffer).subspan(kMargin, sealed.size()); }
    ByteVec plain;  // the buffer before it is sealed

    CryptoOp op() {
        CryptoOp o{};
        o.key = &key->expanded;
        o.esp = esp().data();
        o.text_length = static_cast<std::uint32_t>(text_length);
        o.seq_high = static_cast<std::uint32_t>(seq.value >> 32);
        o.esn = esn;
        return o;
    }
    bool margins_whole() const {
        const auto untouched = [](Byte b) { return b == 0xee; };
        return std::all_of(buffer.begin(), buffer.begin() + kMargin, untouched) &&
               std::all_of(buffer.end() - kMargin, buffer.end(), untouched);
    }
    // Header, IV and text as they were before sealing.
    bool is_plain() {
        const std::size_t size = sealed.size() - key->a.icv;
        return std::equal(esp().begin(), esp().begin() + static_cast<std::ptrdiff_t>(size), plain.begin() + kMargin);
    }
};

std::string where(const Sample& s) {
    return name_of(s.key->a) + (s.esn ? " with ESN, " : ", ") + std::to_string(s.text_length) + " bytes of text";
}

// The engine's bytes are the reference's, and the reference's bytes open.
void run_burst(Bench& bench, std::vector<Sample>& burst) {
    std::vector<CryptoOp> ops;
    for (Sample& s : burst) ops.push_back(s.op());
    bench.engine->seal_burst(ops);
    for (Sample& s : burst) {
        if (!equal(s.esp(), s.sealed)) FAIL("sealed otherwise than the reference: " << where(s));
        if (!s.margins_whole()) FAIL("wrote beside the packet: " << where(s));
    }
    bench.engine->open_burst(ops);
    for (std::size_t i = 0; i < burst.size(); ++i) {
        if (!ops[i].verified) FAIL("does not verify: " << where(burst[i]));
        if (!burst[i].is_plain()) FAIL("opened otherwise than it was sealed: " << where(burst[i]));
        if (!burst[i].margins_whole()) FAIL("wrote beside the packet: " << where(burst[i]));
    }
}

Rng seeded() {
    const auto seed = std::random_device{}();
    UNSCOPED_INFO("seed " << seed);
    return Rng(seed);
}

}  // namespace

TEST_CASE("The table holds every AEAD, and CBC, CTR and NULL with every integrity, each once and by name") {
    REQUIRE(algorithms().size() == 64);
    std::vector<std::string> names;
    for (const Algorithm& a : algorithms()) {
        CHECK(&a == &algorithms()[a.row]);
        names.push_back(name_of(a));
        const crypto::CipherKeys keys{a.encr, a.key_bits, a.integ, SecretBytes(std::size_t{a.key} + a.salt),
                                      SecretBytes(a.integ_key)};
        CHECK(find_algorithm(keys) == &a);
        CHECK(std::size_t{a.key} + a.salt == crypto::keymat_size(a.encr, a.key_bits));
    }
    CHECK(std::count(names.begin(), names.end(), "AES_GCM_16_128") == 1);
    CHECK(std::count(names.begin(), names.end(), "AES_CBC_256/HMAC_SHA2_256_128") == 1);
    CHECK(std::count(names.begin(), names.end(), "CHACHA20_POLY1305") == 1);
    CHECK(std::count(names.begin(), names.end(), "NULL/AES_CMAC_96") == 1);
    std::sort(names.begin(), names.end());
    CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}

TEST_CASE("Every algorithm and length, with and without ESN: the engine's bytes are the reference's") {
    Rng rng = seeded();
    Bench bench;
    std::vector<std::size_t> sizes;
    for (std::size_t n = 0; n <= 300; ++n) sizes.push_back(n);
    for (std::size_t n = 1390; n <= 1410; ++n) sizes.push_back(n);
    for (const std::size_t n : {2047U, 4000U, 8999U, 9000U, 9001U}) sizes.push_back(n);
    for (const Algorithm& a : algorithms()) {
        const Key key(bench, a, rng);
        for (const bool esn : {false, true}) {
            std::shuffle(sizes.begin(), sizes.end(), rng);
            for (std::size_t i = 0; i < sizes.size(); i += 32) {
                std::vector<Sample> burst;
                for (std::size_t k = i; k < std::min(i + 32, sizes.size()); ++k)
                    burst.emplace_back(key, esn, sizes[k], rng);
                run_burst(bench, burst);
            }
        }
    }
}

TEST_CASE("Bursts of 1, 2, 31, 32 and 64 packets that mix algorithms and keys") {
    Rng rng = seeded();
    Bench bench;
    std::vector<std::unique_ptr<Key>> keys;
    for (unsigned copy = 0; copy < 2; ++copy) {
        for (const Algorithm& a : algorithms()) keys.push_back(std::make_unique<Key>(bench, a, rng));
    }
    for (const std::size_t size : {1U, 2U, 31U, 32U, 64U}) {
        for (unsigned round = 0; round < 60; ++round) {
            const std::size_t kinds = 1 + rng() % (round % 2 == 0 ? 3 : keys.size());
            std::shuffle(keys.begin(), keys.end(), rng);
            std::vector<Sample> burst;
            for (std::size_t i = 0; i < size; ++i) {
                burst.emplace_back(*keys[rng() % kinds], rng() % 2 == 0, rng() % 400, rng);
            }
            run_burst(bench, burst);
        }
    }
}

TEST_CASE("TRAPS 13, 31: a flipped bit in any byte of header, IV, text or ICV fails, and fails alone") {
    Rng rng = seeded();
    Bench bench;
    for (const Algorithm& a : algorithms()) {
        const Key key(bench, a, rng);
        for (const bool esn : {false, true}) {
            const Sample good(key, esn, 37, rng);
            // One packet of each burst is whole: a neighbour's failure must not touch it.
            for (std::size_t first = 0; first < good.sealed.size(); first += 31) {
                const std::size_t count = std::min<std::size_t>(31, good.sealed.size() - first);
                std::vector<Sample> burst(count + 1, good);
                std::vector<CryptoOp> ops;
                for (std::size_t i = 0; i <= count; ++i) {
                    std::copy(good.sealed.begin(), good.sealed.end(), burst[i].esp().begin());
                    if (i < count) burst[i].esp()[first + i] ^= static_cast<Byte>(1U << rng() % 8);
                    ops.push_back(burst[i].op());
                }
                bench.engine->open_burst(ops);
                for (std::size_t i = 0; i < count; ++i) {
                    if (ops[i].verified) FAIL("byte " << first + i << " may be changed: " << where(good));
                }
                REQUIRE(ops[count].verified);
                REQUIRE(burst[count].is_plain());
            }
        }
    }
}

TEST_CASE("TRAPS 34: each bit of an ESN's high half is in the ICV, and ESN itself is") {
    Rng rng = seeded();
    Bench bench;
    for (const Algorithm& a : algorithms()) {
        const Key key(bench, a, rng);
        Sample s(key, true, 50, rng);
        for (unsigned bit = 0; bit <= 33; ++bit) {  // 33: as it was sealed
            std::copy(s.sealed.begin(), s.sealed.end(), s.esp().begin());
            CryptoOp op = s.op();
            if (bit < 32) op.seq_high ^= 1U << bit;
            if (bit == 32) op.esn = false;
            bench.engine->open_burst({&op, 1});
            if (op.verified != (bit == 33)) FAIL("high half changed in bit " << bit << ": " << where(s));
        }
        Sample plain(key, false, 50, rng);
        std::copy(plain.sealed.begin(), plain.sealed.end(), plain.esp().begin());
        CryptoOp op = plain.op();
        op.esn = true;
        bench.engine->open_burst({&op, 1});
        CHECK_FALSE(op.verified);
    }
}

TEST_CASE("RFC 4303 3.4.4.1: what does not verify is not decrypted where the MAC stands apart") {
    Rng rng = seeded();
    Bench bench;
    for (const Algorithm& a : algorithms()) {
        if (a.engine != Engine::separate) continue;
        const Key key(bench, a, rng);
        Sample s(key, false, 60, rng);
        std::copy(s.sealed.begin(), s.sealed.end(), s.esp().begin());
        s.esp()[0] ^= 1;
        CryptoOp op = s.op();
        bench.engine->open_burst({&op, 1});
        CHECK_FALSE(op.verified);
        CHECK(std::equal(s.sealed.begin() + 1, s.sealed.end(), s.esp().begin() + 1));
    }
}

namespace {

// Reproducible: the same key for IVs from the same seed.
class SeededRandom final : public crypto::Random {
  public:
    explicit SeededRandom(std::uint64_t seed) : rng_(seed) {}
    void fill(MutBytes out) override {
        for (Byte& b : out) b = static_cast<Byte>(rng_());
    }

  private:
    Rng rng_;
};

using Iv = std::array<Byte, 16>;
std::vector<Iv> make_ivs(std::uint64_t seed, std::size_t count) {
    SeededRandom random(seed);
    const auto engine = std::move(*CryptoEngine::make(random));
    std::vector<Iv> ivs(count);
    for (Iv& iv : ivs) engine->unpredictable_iv(iv.data());
    return ivs;
}

// Each bit is set in half of the blocks; 7 standard deviations of 500 either way.
void check_bits(const std::vector<Iv>& blocks) {
    for (unsigned bit = 0; bit < 128; ++bit) {
        const auto set =
            std::count_if(blocks.begin(), blocks.end(), [&](const Iv& iv) { return iv[bit / 8] >> bit % 8 & 1; });
        CAPTURE(bit);
        CHECK(std::abs(set - 500'000) < 3'500);
    }
}

}  // namespace

TEST_CASE("TRAPS 36, 61: a million CBC IVs of an engine: none twice, each byte and each bit as by chance") {
    const std::uint64_t seed = std::random_device{}();
    CAPTURE(seed);
    std::vector<Iv> ivs = make_ivs(seed, 1'000'000);
    for (unsigned byte = 0; byte < 16; ++byte) {
        std::array<double, 256> seen{};
        for (const Iv& iv : ivs) ++seen[iv[byte]];
        double chi_square = 0;
        for (const double n : seen) chi_square += (n - 3906.25) * (n - 3906.25) / 3906.25;
        CAPTURE(byte);
        CHECK(std::abs(chi_square - 255) < 180);  // 255 degrees of freedom: 8 standard deviations
    }
    check_bits(ivs);
    // Nor does one tell the next: their difference is as by chance too.
    std::vector<Iv> steps(ivs.size());
    for (std::size_t i = 0; i < ivs.size(); ++i) {
        const Iv& next = ivs[(i + 1) % ivs.size()];
        for (unsigned b = 0; b < 16; ++b) steps[i][b] = ivs[i][b] ^ next[b];
    }
    check_bits(steps);
    std::sort(ivs.begin(), ivs.end());
    CHECK(std::adjacent_find(ivs.begin(), ivs.end()) == ivs.end());
    CHECK(make_ivs(seed, 100) != make_ivs(seed + 1, 100));
}
