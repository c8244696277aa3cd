// SPDX-License-Identifier: Apache-2.0
// The benchmark's judge: a frame that is not what it should be, in any bit, is noticed.
#include "apps/bench/frames.hpp"

#include <catch2/catch.hpp>

#include "lib/esp/codec.hpp"

using namespace sluice;
using namespace sluice::bench;

namespace {

constexpr std::uint32_t kSa = 7;
constexpr Spi kSpi{0x80000007};
const PacketName kName{.sa = kSa, .seq = 5, .payload = 77};

Shape shape_of(Direction direction, net::Family outer, bool udp) {
    Shape s;
    s.gateway.outer = outer;
    s.gateway.udp = udp;
    s.direction = direction;
    return s;
}

// What the gateway would send for kName: made by the reference codec, with the headers turned round.
ByteVec sealed_by_gateway(const Shape& shape, const crypto::CipherKeys& suite) {
    const FrameShape f = FrameShape::of(shape, suite);
    const crypto::CipherKeys keys = make_keys(suite, kSa, Direction::out);
    ByteVec frame(f.sealed_size());
    REQUIRE(write_sealed_frame(frame, f, keys, kSpi, kName));
    std::swap_ranges(frame.begin(), frame.begin() + 6, frame.begin() + 6);
    std::copy(kRouterMac.bytes.begin(), kRouterMac.bytes.end(), frame.begin());
    std::copy(kWanMac.bytes.begin(), kWanMac.bytes.end(), frame.begin() + 6);
    const std::size_t addresses = f.outer == net::Family::v4 ? 26 : 22;
    const std::size_t size = f.outer == net::Family::v4 ? 4 : 16;
    const auto first = frame.begin() + static_cast<std::ptrdiff_t>(addresses);
    std::swap_ranges(first, first + static_cast<std::ptrdiff_t>(size), first + static_cast<std::ptrdiff_t>(size));
    ByteVec inner(f.inner_bytes);
    write_inner(inner, Direction::out, kName, kTtl - 1);
    ByteVec iv(f.layout.iv_size, 9);
    REQUIRE(esp::seal({keys, true}, {kSpi, Seq{kName.seq}, iv, 4, inner}, MutBytes(frame).subspan(f.esp_offset())));
    return frame;
}

Result<std::uint64_t> judge(ByteVec frame, const Shape& shape, const crypto::CipherKeys& suite) {
    return check_sealed_frame(frame, FrameShape::of(shape, suite), make_keys(suite, kSa, Direction::out), kSpi, kName);
}

}  // namespace

TEST_CASE("a sealed frame is accepted as it should be, and with any bit flipped it is not") {
    const auto suite = parse_aead(GENERATE("aes128gcm16", "aes128-sha256"));
    REQUIRE(suite);
    const Shape shape = shape_of(Direction::out, net::Family::v4, false);
    const ByteVec good = sealed_by_gateway(shape, *suite);
    const auto seq = judge(good, shape, *suite);
    REQUIRE(seq);
    CHECK(*seq == kName.seq);
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        if (bit / 8 == 12 || bit / 8 == 13) continue;  // the Ethernet type
        ByteVec bad = good;
        bad[bit / 8] = static_cast<Byte>(bad[bit / 8] ^ 1U << bit % 8);
        CAPTURE(bit);
        CHECK_FALSE(judge(bad, shape, *suite));
    }
    ByteVec longer = good;
    longer.push_back(0);
    CHECK_FALSE(judge(longer, shape, *suite));
}

TEST_CASE("a sealed frame of another packet is refused") {
    const auto suite = parse_aead("aes128gcm16");
    REQUIRE(suite);
    const Shape shape = shape_of(Direction::out, net::Family::v4, false);
    ByteVec frame = sealed_by_gateway(shape, *suite);
    PacketName other = kName;
    other.payload += 1;
    const FrameShape f = FrameShape::of(shape, *suite);
    CHECK_FALSE(check_sealed_frame(frame, f, make_keys(*suite, kSa, Direction::out), kSpi, other));
}

TEST_CASE("an opened frame is accepted as it should be, and with any bit flipped it is not") {
    const auto suite = parse_aead("aes128gcm16");
    REQUIRE(suite);
    const FrameShape f = FrameShape::of(shape_of(Direction::in, net::Family::v4, false), *suite);
    ByteVec good(f.clear_size());
    std::copy(kHostMac.bytes.begin(), kHostMac.bytes.end(), good.begin());
    std::copy(kLanMac.bytes.begin(), kLanMac.bytes.end(), good.begin() + 6);
    good[12] = 0x08;
    write_inner(MutBytes(good).subspan(14), Direction::in, kName, kTtl - 1);
    REQUIRE(check_clear_frame(good, f, kName));
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        ByteVec bad = good;
        bad[bit / 8] = static_cast<Byte>(bad[bit / 8] ^ 1U << bit % 8);
        CAPTURE(bit);
        CHECK_FALSE(check_clear_frame(bad, f, kName));
    }
}

TEST_CASE("a proposal that is none, that no worker carries or that holds a key exchange is refused") {
    for (const char* text : {"", "aes128", "foo", "aes128gcm16-x25519"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_aead(text));
    }
}
