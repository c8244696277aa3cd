// SPDX-License-Identifier: Apache-2.0
// What becomes of a packet does not depend on which others it came in with: the same frames in bursts of any size.
#include <algorithm>
#include <catch2/catch.hpp>
#include <iostream>
#include <map>
#include <random>

#include "tests/unit/dataplane/gateway.hpp"

using namespace sluice;
using namespace sluice::test;
using dataplane::Drop;

namespace {

// Three SAs of three kinds, a protected range without an SA, and what is routed in clear.
struct Scene {
    std::vector<ipsec::ChildSa> children;
    ipsec::Spd spd = make_spd();

    Scene() {
        // Those whose IVs are counters, so that a packet's bytes can be compared.
        const Suite suites[3] = {{"aes128gcm16", crypto::Encr::aes_gcm_16, 128, crypto::Integ::none},
                                 {"chacha20poly1305", crypto::Encr::chacha20_poly1305, 256, crypto::Integ::none},
                                 {"null-sha256", crypto::Encr::null, 0, crypto::Integ::hmac_sha2_256_128}};
        for (std::uint32_t i = 0; i < 3; ++i) {
            ipsec::ChildSa child = make_child({.suite = suites[i],
                                               .outer_v6 = i == 1,
                                               .encap = i == 2,
                                               .esn = i != 0,
                                               .replay_window = 256,
                                               .id = i + 1});
            child.remote_ts = {{.range = net::AddressRange::of(*net::Prefix::parse(network(i)))}};
            child.local_ts = {{.range = net::AddressRange::all(net::Family::v4)}};
            children.push_back(child);
        }
    }
    static std::string network(unsigned i) { return "10.2." + std::to_string(i) + ".0/24"; }
};

struct Arrival {
    PortId port;
    ByteVec frame;
};

std::vector<Arrival> arrivals(const Scene& scene, std::mt19937& random, unsigned count) {
    std::vector<Peer> peers;
    for (const auto& child : scene.children) peers.emplace_back(child);
    std::vector<Arrival> out;
    const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
    while (out.size() < count) {
        const unsigned net = pick(5);  // 3: protected without an SA; 4: elsewhere, in clear
        const std::string far =
            net == 4 ? "198.51.100.7" : "10.2." + std::to_string(net) + "." + std::to_string(1 + pick(9));
        const std::string near = "10.1.0." + std::to_string(10 + pick(2));
        const auto port = static_cast<std::uint16_t>(1000 + pick(3));
        if (pick(2) == 0) {
            const Ip ip{.source = near, .destination = far, .ttl = static_cast<std::uint8_t>(pick(20) == 0 ? 1 : 64)};
            out.push_back({kLan, ethernet(kLanMac, kAliceMac, udp_packet(ip, port, 2000, pick(1300)))});
            continue;
        }
        const ByteVec inner = udp_packet({.source = far, .destination = "10.1.0.10"}, 2000, port, pick(1300));
        if (net >= 3) {
            out.push_back({kWan, ethernet(kWanMac, kPeerMac, inner)});
            continue;
        }
        ByteVec frame = peers[net].seal(inner);
        if (pick(10) == 0) frame[frame.size() - 1 - pick(40)] ^= 1;
        out.push_back({kWan, frame});
        if (pick(10) == 0) out.push_back({kWan, frame});  // once more
    }
    return out;
}

struct Outcome {
    std::vector<ByteVec> sent[2];  // by port, in an order of their own
    std::vector<ByteVec> to_host;
    std::map<std::size_t, std::uint64_t> drops;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Inside a clear packet or an SA the order stays; between them it may differ from burst size to burst size.
Outcome pass(const Scene& scene, const std::vector<Arrival>& all, std::size_t burst) {
    Gateway gw;
    REQUIRE(gw.backend().set_policies(scene.spd));
    for (const auto& child : scene.children) REQUIRE(gw.backend().install(child));
    Outcome result;
    const auto take = [&] {
        for (const PortId port : {kLan, kWan}) {
            for (ByteVec& f : gw.take_port(port)) result.sent[port.value].push_back(std::move(f));
            for (ByteVec& f : gw.take_host(port)) result.to_host.push_back(std::move(f));
        }
    };
    for (std::size_t at = 0; at < all.size();) {
        std::vector<ByteVec> frames;
        const PortId port = all[at].port;
        for (; at < all.size() && all[at].port == port && frames.size() < burst; ++at) frames.push_back(all[at].frame);
        gw.from_port(port, frames);
        take();
    }
    for (auto& list : result.sent) std::ranges::sort(list);
    for (std::size_t r = 0; r < dataplane::kDropReasons; ++r) {
        if (const std::uint64_t n = gw.drops(static_cast<Drop>(r)); n != 0) result.drops[r] = n;
    }
    return result;
}

}  // namespace

TEST_CASE("packets come out the same in bursts of 1, 2, 31, 32 and 64") {
    const unsigned seed = std::random_device{}();
    std::cout << "bursts: seed " << seed << "\n";
    std::mt19937 random(seed);
    const Scene scene;
    std::vector<Arrival> all = arrivals(scene, random, 600);
    // Long runs by one port, so that bursts fill up.
    std::ranges::stable_sort(all, {}, [](const Arrival& a) { return a.port.value; });
    const Outcome one = pass(scene, all, 1);
    CHECK(one.sent[kLan.value].size() > 50);
    CHECK(one.sent[kWan.value].size() > 100);
    CHECK(one.drops.size() >= 4);
    for (const std::size_t burst : {2U, 31U, 32U, 64U}) {
        CAPTURE(burst);
        const Outcome many = pass(scene, all, burst);
        CHECK(many.drops == one.drops);
        CHECK(many.to_host == one.to_host);
        for (const PortId port : {kLan, kWan}) {
            CHECK(many.sent[port.value].size() == one.sent[port.value].size());
            CHECK(many.sent[port.value] == one.sent[port.value]);
        }
    }
}
