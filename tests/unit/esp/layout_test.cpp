// SPDX-License-Identifier: Apache-2.0
#include "lib/esp/layout.hpp"

#include <catch2/catch.hpp>

using namespace sluice;
using esp::Layout;

namespace {

constexpr Layout kGcm{.iv_size = 8, .icv_size = 16, .align = 4};
constexpr Layout kCbcSha256{.iv_size = 16, .icv_size = 16, .align = 16};
constexpr Layout kNullSha1{.iv_size = 0, .icv_size = 12, .align = 4};

}  // namespace

TEST_CASE("Sizes of known ESP packets") {
    // A ping of 84 bytes: 8 + 8 + (84 + 2 + 2) + 16, and with CBC 8 + 16 + (84 + 10 + 2) + 16.
    CHECK(kGcm.esp_size(84) == 120);
    CHECK(kGcm.pad_length(84) == 2);
    CHECK(kCbcSha256.esp_size(84) == 136);
    CHECK(kCbcSha256.pad_length(84) == 10);
    CHECK(kNullSha1.esp_size(84) == 108);
    CHECK(kGcm.pad_length(82) == 0);
    CHECK(kCbcSha256.pad_length(14) == 0);
    CHECK(kCbcSha256.pad_length(15) == 15);
}

TEST_CASE("TRAPS 40: the inner MTU counts UDP, the IP family and the padding's granularity") {
    const esp::OuterShape v4{}, v4_udp{.udp = true}, v6{.family = net::Family::v6};
    const esp::OuterShape v6_udp{.family = net::Family::v6, .udp = true};
    CHECK(esp::inner_mtu(kGcm, v4, 1500) == 1446);
    CHECK(esp::inner_mtu(kGcm, v4_udp, 1500) == 1438);
    CHECK(esp::inner_mtu(kGcm, v6, 1500) == 1426);
    CHECK(esp::inner_mtu(kCbcSha256, v4, 1500) == 1438);
    CHECK(esp::inner_mtu(kCbcSha256, v4_udp, 1500) == 1422);
    CHECK(esp::inner_mtu(kCbcSha256, v6_udp, 1280) == 1182);
    CHECK(esp::inner_mtu(kGcm, v4, 20) == 0);
    CHECK(esp::inner_mtu(kGcm, v4, 0) == 0);
}

TEST_CASE("For every size: whole blocks, least padding, and max_inner is exact") {
    for (const Layout& layout : {kGcm, kCbcSha256, kNullSha1}) {
        for (std::size_t inner = 0; inner < 3000; ++inner) {
            REQUIRE(layout.text_size(inner) % layout.align == 0);
            REQUIRE(layout.pad_length(inner) < layout.align);
            const std::size_t size = layout.esp_size(inner);
            REQUIRE(layout.size_valid(size));
            REQUIRE(layout.text_size_of(size) == layout.text_size(inner));
            REQUIRE(layout.max_inner(size) >= inner);
            REQUIRE(layout.esp_size(layout.max_inner(size)) == size);
            REQUIRE(layout.max_inner(size - 1) < inner + layout.align);
        }
        for (std::size_t room = 0; room < 3000; ++room) {
            const std::size_t inner = layout.max_inner(room);
            if (inner != 0) REQUIRE(layout.esp_size(inner) <= room);
            REQUIRE(layout.esp_size(inner + 1) > room);
        }
    }
}

TEST_CASE("Impossible sizes are seen before anything is read") {
    for (std::size_t size = 0; size < 36; ++size) CHECK_FALSE(kGcm.size_valid(size));
    CHECK(kGcm.size_valid(36));
    CHECK_FALSE(kGcm.size_valid(37));
    CHECK_FALSE(kCbcSha256.size_valid(40 + 15));
    CHECK(kCbcSha256.size_valid(40 + 16));
    CHECK_FALSE(kCbcSha256.size_valid(40));
}

TEST_CASE("Layouts follow from the algorithms' sizes") {
    const crypto::EncrInfo gcm{.id = crypto::Encr::aes_gcm_16,
                               .name = "",
                               .aead = true,
                               .key_length_attribute = true,
                               .salt = 4,
                               .iv = 8,
                               .block = 1,
                               .icv = 16};
    const crypto::EncrInfo cbc{.id = crypto::Encr::aes_cbc,
                               .name = "",
                               .aead = false,
                               .key_length_attribute = true,
                               .salt = 0,
                               .iv = 16,
                               .block = 16,
                               .icv = 0};
    const crypto::IntegInfo sha{.id = crypto::Integ::hmac_sha2_256_128, .name = "", .key = 32, .icv = 16};
    const Layout a = Layout::of(gcm, nullptr);
    CHECK((a.iv_size == 8 && a.icv_size == 16 && a.align == 4));
    const Layout b = Layout::of(cbc, &sha);
    CHECK((b.iv_size == 16 && b.icv_size == 16 && b.align == 16));
}

TEST_CASE("Transport mode: the largest packet that leaves in one of the path's size, for every head and path") {
    const Layout layout{.iv_size = 8, .icv_size = 16, .align = 4};
    for (const bool udp : {false, true}) {
        for (const std::size_t head : {20U, 60U, 40U, 64U}) {
            for (std::size_t mtu = 68; mtu < 1600; ++mtu) {
                const std::size_t most = esp::transport_mtu(layout, udp, head, mtu);
                const auto wire = [&](std::size_t size) {
                    return head + (udp ? 8U : 0U) + layout.esp_size(size - head);
                };
                if (most == 0) {
                    REQUIRE(wire(head + 2) > mtu);
                    continue;
                }
                REQUIRE(wire(most) <= mtu);
                REQUIRE(wire(most + 1) > mtu);
            }
        }
    }
}
