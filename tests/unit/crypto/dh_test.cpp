// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "lib/crypto/dh.hpp"
#include "lib/crypto/prf.hpp"

using namespace sluice;
using namespace sluice::crypto;

namespace {

ByteVec hex(std::string_view text) { return *from_hex(text); }

// Hands out given bytes, over and over.
class FixedRandom final : public Random {
  public:
    explicit FixedRandom(ByteVec bytes) : bytes_(std::move(bytes)) {}
    void fill(MutBytes out) override {
        for (Byte& b : out) b = bytes_[at_++ % bytes_.size()];
    }

  private:
    ByteVec bytes_;
    std::size_t at_ = 0;
};

// 64 bytes of step * i + start: the exponents that the MODP answers were computed with.
ByteVec ramp(unsigned step, unsigned start) {
    ByteVec bytes(64);
    for (unsigned i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<Byte>(step * i + start);
    return bytes;
}

ByteVec big_endian(unsigned value, std::size_t size) {
    ByteVec bytes(size);
    bytes[size - 2] = static_cast<Byte>(value >> 8);
    bytes[size - 1] = static_cast<Byte>(value);
    return bytes;
}

std::string digest(Bytes bytes) { return to_hex(sha256({bytes})); }

DhKeyPair generate(Group group, ByteVec random_bytes) {
    FixedRandom random(std::move(random_bytes));
    return *dh_generate(group, random);
}

struct Exchange {
    Group group;
    std::string_view private_i;
    std::string_view public_i;
    std::string_view private_r;
    std::string_view public_r;
    std::string_view shared;
};

// RFC 5903 8.1, 8.2, 8.3 and RFC 7748 6.1, 6.2.
const Exchange kExchanges[] = {
    {Group::ecp256, "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
     "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
     "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
     "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
     "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
     "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
     "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"},
    {Group::ecp384, "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194",
     "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa"
     "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
     "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc",
     "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571"
     "dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
     "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746"},
    {Group::ecp521,
     "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a0"
     "95aa85a30fe1c2952c6771d937ba9777f5957b2639bab072462f68c27a57382d4a52",
     "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbe"
     "e1e3bf42e00b8e380aeae57c2d107564941885942af5a7f4601723c4195d176ced3e"
     "017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4a10a"
     "d8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f1507438bf01beb6ca3926f9582",
     "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e"
     "9c677d600b343757a3bdbf2a3163e4c2f869cca7458aa4a4effc311f5cb151685eb9",
     "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a21"
     "9b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0433ced2b6171640012d9460f"
     "015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d9852077b87"
     "220b6536c5c408a1d2aebb8e86d678ae49cb57091f4732296579ab44fcd17f0fc56a",
     "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04"
     "d1427e73ca4baa240a34786859810c06b3c715a3a8cc3151f2bee417996d19f3ddea"},
    {Group::curve25519, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
     "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
     "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
     "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
     "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
    {Group::curve448,
     "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
     "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0",
     "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b65173992d",
     "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
     "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a879"
     "d"},
};

constexpr Group kAllGroups[] = {Group::modp2048, Group::modp3072, Group::modp4096,   Group::ecp256,
                                Group::ecp384,   Group::ecp521,   Group::curve25519, Group::curve448};
constexpr Group kModpGroups[] = {Group::modp2048, Group::modp3072, Group::modp4096};

// The group's prime, as 2^n - (2^n mod p): the square of 2^(n/2) in the group, negated in n bits. That it is the right
// prime, the known answers say.
ByteVec modp_prime(Group group) {
    ByteVec base(find_group(group)->public_value);
    base[base.size() / 2 - 1] = 1;
    const SecretBytes square(big_endian(2, 64));
    ByteVec p = to_vec(dh_shared(group, square, base)->view());
    for (Byte& b : p) b = static_cast<Byte>(~b);
    p.back() = static_cast<Byte>(p.back() + 1);  // RFC 3526: the last 8 bytes of 2^n - p are 1, so no carry
    return p;
}

}  // namespace

TEST_CASE("ECP and RFC 7748 groups agree with the RFCs' exchanges, both ways") {
    for (const auto& e : kExchanges) {
        const DhKeyPair i = generate(e.group, hex(e.private_i));
        const DhKeyPair r = generate(e.group, hex(e.private_r));
        CHECK(to_hex(i.public_value) == e.public_i);
        CHECK(to_hex(r.public_value) == e.public_r);
        CHECK(to_hex(dh_shared(e.group, i.private_key, r.public_value)->view()) == e.shared);
        CHECK(to_hex(dh_shared(e.group, r.private_key, i.public_value)->view()) == e.shared);
    }
}

TEST_CASE("Key pairs are a function of the random bytes alone, and survive as bytes") {
    for (const Group group : kAllGroups) {
        const DhKeyPair a = generate(group, ramp(29, 5));
        const DhKeyPair again = generate(group, ramp(29, 5));
        const DhKeyPair b = generate(group, ramp(31, 6));
        CHECK(a.private_key == again.private_key);
        CHECK(a.public_value == again.public_value);
        CHECK(a.public_value != b.public_value);
        CHECK(a.public_value.size() == find_group(group)->public_value);
        const SecretBytes restored(a.private_key.view());  // as from a serialised exchange
        const auto one = dh_shared(group, restored, b.public_value);
        const auto two = dh_shared(group, b.private_key, a.public_value);
        REQUIRE(one);
        REQUIRE(two);
        CHECK(*one == *two);
    }
}

// Computed with another implementation, from primes that were themselves computed from pi as RFC 3526 defines them.
TEST_CASE("MODP groups agree with independently computed exchanges") {
    struct Case {
        Group group;
        unsigned n;
        std::string_view public_i;
        std::string_view public_r;
        std::string_view shared;
    };
    const Case cases[] = {
        // SHA-256 of each value
        {Group::modp2048, 8, "1fb71a1a49ce584b2fef66980d5f7f6c38ce9e072309d5db5f3219d85e136d14",
         "28d2fb7ec1debb35a759f0e48d93a98d45c215b2248d13d91137936717480552",
         "7635a9cdfb462e2a86d22a36138a9a41467eb3fb67ffb2c7bb42b7eb7026e3ca"},
        {Group::modp3072, 12, "4c4b44f89561cc7a96e42e2124e3dab29c8521a2df4a8c79cf24160f480d2bc8",
         "fab4e1b94cc4bec1caedd0704e88306a2a62eb56d79760c9c98ab779f941dfa8",
         "cea280626344e8847ccd046c7e8d19cbcdd908cb1380777bd277e1f0853a3709"},
        {Group::modp4096, 16, "d80c48a6c9ddc7701b99077a7327c32d3744af5e30fa0b44a93ff61f36c18fb0",
         "f8a988a56a541f93a7ffa10e4323c67ea55cda60652615de554a405a9dde060e",
         "796620f3117fae759f557d29de8f1c8f70102b861b091c95d52d081fedc1f639"},
    };
    for (const auto& c : cases) {
        const DhKeyPair i = generate(c.group, ramp(7, c.n + 1));
        const DhKeyPair r = generate(c.group, ramp(11, c.n + 3));
        CHECK(digest(i.public_value) == c.public_i);
        CHECK(digest(r.public_value) == c.public_r);
        CHECK(digest(dh_shared(c.group, i.private_key, r.public_value)->view()) == c.shared);
        CHECK(digest(dh_shared(c.group, r.private_key, i.public_value)->view()) == c.shared);
    }
}

TEST_CASE("Leading zeros of a shared secret are kept (RFC 7296 2.14)") {
    struct ModpCase {
        Group group;
        unsigned n;
        unsigned y;  // the least peer value whose secret begins with a zero byte
        std::string_view digest;
    };
    const ModpCase modp[] = {
        {Group::modp2048, 8, 17, "a50a125b7b77545d9bb6a6dbc8000eafa1590bfed0a16c1ff5d4dd4cdb63d26b"},
        {Group::modp3072, 12, 173, "0dbf1a6a4aab4e91c93de40c3d0f746c2c558a009767606b43ce2046d3ec501a"},
        {Group::modp4096, 16, 31, "a0b552b9f0b2a2dc330fd8ade5be1068259e8c6663f150338344ea71392d80ba"},
    };
    for (const auto& c : modp) {
        const std::size_t size = find_group(c.group)->public_value;
        const auto shared = dh_shared(c.group, generate(c.group, ramp(7, c.n + 1)).private_key, big_endian(c.y, size));
        REQUIRE(shared);
        CHECK(shared->size() == size);
        CHECK(shared->view()[0] == 0);
        CHECK(digest(shared->view()) == c.digest);
    }
    const auto p256 = dh_shared(Group::ecp256, SecretBytes(hex(kExchanges[0].private_i)),
                                hex("b27173911c0025f9cae5391a2bae96c4e77de6dfa8c487f44f5f7b8944247ecf"
                                    "52cbbc5ed3b99d62dc4fd6939384e2806aedc4606e8f899990d017c909870c48"));
    CHECK(to_hex(p256->view()) == "0046ca4f92457c842b7992451c88fe61e833773a46384393b8346a280b2358aa");
    const auto p384 = dh_shared(
        Group::ecp384, SecretBytes(hex(kExchanges[1].private_i)),
        hex("5f16d2486d71e9041bb4e78dae6b5c7614aacb79472a9aba9d56fb0027f0a569cf064c14a83fe09c4a5e764f6e95e7ce"
            "d38d5fffd8595452f5b0aab7577f9ad2f6f4f61d1e038c30fdb5013ddebb63970a0aae2e2b1e20bc4054709dd56e7671"));
    CHECK(to_hex(p384->view()) ==
          "00e29e4cf5ea384fa36af9281c487406dd7134f010d1afec069b255fa294f62d5a3cfdacac6cd26749365e67a2ee2422");
}

TEST_CASE("TRAPS 15: MODP values outside 1 < y < p - 1 are refused (RFC 6989 2.1)") {
    for (const Group group : kModpGroups) {
        const std::size_t size = find_group(group)->public_value;
        const SecretBytes own = generate(group, ramp(7, 9)).private_key;
        ByteVec y = modp_prime(group);
        CHECK(to_hex(y).starts_with("ffffffffffffffffc90fdaa22168c234"));
        REQUIRE(y.back() == 0xff);
        CHECK_FALSE(dh_shared(group, own, y));  // p
        y.back() = 0xfe;
        CHECK_FALSE(dh_shared(group, own, y));  // p - 1, of order 2
        y.back() = 0xfd;
        CHECK(dh_shared(group, own, y));  // p - 2
        CHECK_FALSE(dh_shared(group, own, ByteVec(size, 0xff)));
        CHECK_FALSE(dh_shared(group, own, big_endian(0, size)));
        CHECK_FALSE(dh_shared(group, own, big_endian(1, size)));
        CHECK(dh_shared(group, own, big_endian(2, size)));
    }
}

TEST_CASE("TRAPS 15: points off the curve and coordinates out of the field are refused (RFC 6989 2.3)") {
    for (const auto& e : kExchanges) {
        if (e.group == Group::curve25519 || e.group == Group::curve448) continue;
        const SecretBytes own(hex(e.private_i));
        const ByteVec good = hex(e.public_r);
        REQUIRE(dh_shared(e.group, own, good));
        for (std::size_t i = 0; i < good.size(); ++i) {
            ByteVec bad = good;
            bad[i] ^= 0x01;
            CHECK_FALSE(dh_shared(e.group, own, bad));
        }
        CHECK_FALSE(dh_shared(e.group, own, ByteVec(good.size())));
        CHECK_FALSE(dh_shared(e.group, own, ByteVec(good.size(), 0xff)));
    }
    // x = 0 is on P-256 with y = sqrt(b); x = p is the same field element in a form that nobody may send.
    const SecretBytes own(hex(kExchanges[0].private_i));
    const std::string y = "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4";
    CHECK(dh_shared(Group::ecp256, own, hex(std::string(64, '0') + y)));
    CHECK_FALSE(
        dh_shared(Group::ecp256, own, hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff" + y)));
}

TEST_CASE("TRAPS 15: X25519 and X448 values of small order are refused (RFC 8031 2)") {
    const SecretBytes own25519(hex(kExchanges[3].private_i));
    for (const std::string_view point : {"0000000000000000000000000000000000000000000000000000000000000000",
                                         "0100000000000000000000000000000000000000000000000000000000000000",
                                         "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                                         "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                                         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                         "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                         "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
        CHECK_FALSE(dh_shared(Group::curve25519, own25519, hex(point)));
    }
    const SecretBytes own448(hex(kExchanges[4].private_i));
    ByteVec one(56);
    CHECK_FALSE(dh_shared(Group::curve448, own448, one));
    one[0] = 1;
    CHECK_FALSE(dh_shared(Group::curve448, own448, one));
    one[0] = 5;
    CHECK(dh_shared(Group::curve448, own448, one));
}

TEST_CASE("Values of another length, keys of another group and unknown groups are refused") {
    for (const Group group : kAllGroups) {
        const DhKeyPair pair = generate(group, ramp(29, 5));
        const Bytes value(pair.public_value);
        REQUIRE(dh_shared(group, pair.private_key, value));
        CHECK_FALSE(dh_shared(group, pair.private_key, value.first(value.size() - 1)));
        CHECK_FALSE(dh_shared(group, pair.private_key, {}));
        ByteVec longer = to_vec(value);
        longer.insert(longer.begin(), 0);
        CHECK_FALSE(dh_shared(group, pair.private_key, longer));
        CHECK_FALSE(dh_shared(group, SecretBytes(pair.private_key.view().first(7)), value));
    }
    FixedRandom random(ByteVec{1, 2, 3});
    CHECK(dh_generate(Group{2}, random).error().code == ErrorCode::unsupported);
    CHECK(dh_shared(Group{2}, SecretBytes(20), ByteVec(128)).error().code == ErrorCode::unsupported);
    CHECK_FALSE(dh_generate(Group::none, random));
}

TEST_CASE("An ECP private key outside 1..n-1 is drawn again, and not for ever") {
    ByteVec draws(32, 0xff);                                               // above n: thrown away
    draws.resize(64);                                                      // zero: thrown away
    for (const Byte b : hex(kExchanges[0].private_i)) draws.push_back(b);  // taken
    CHECK(to_hex(generate(Group::ecp256, draws).public_value) == kExchanges[0].public_i);
    FixedRandom stuck(ByteVec{0});
    CHECK(dh_generate(Group::ecp256, stuck).error().code == ErrorCode::exhausted);
    FixedRandom high(ByteVec{0xff});
    CHECK(dh_generate(Group::ecp521, high).error().code == ErrorCode::exhausted);
    CHECK(dh_generate(Group::modp2048, stuck));  // the top bit is set, so even zeros give a usable exponent
}
