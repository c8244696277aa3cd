// SPDX-License-Identifier: Apache-2.0
// Frames of any kind into a worker's own functions, as they are and sealed under a key that the fuzzer has, so that
// what stands behind the ICV is reached too. Each frame ends in one place: sent, handed to the kernel, held, or dropped
// under one reason; nothing is read past its end, and no buffer is lost.
#include <cstdlib>
#include <memory>

#include "tests/unit/dataplane/gateway.hpp"

using namespace sluice;
using namespace sluice::test;

namespace {

void check(bool ok) {
    if (!ok) std::abort();
}

// Made anew now and then: an SA's numbers and windows are part of what is tried.
struct Scene {
    ipsec::ChildSa plain = make_child({.esn = true, .id = 1});
    ipsec::ChildSa udp = make_child({.outer_v6 = true, .encap = true, .id = 2});
    Gateway gw;
    Peer plain_peer{plain};
    Peer udp_peer{udp};
    unsigned frames = 0;

    Scene() {
        check(gw.backend().set_policies(make_spd()).ok());
        check(gw.backend().install(plain).ok());
        check(gw.backend().install(udp).ok());
    }
};

enum class Arrival : Byte { frame, inner, text, chained, from_kernel };
constexpr unsigned kArrivals = 5;
constexpr unsigned kLife = 4096;  // frames

void put(Scene& scene, Arrival arrival, bool udp, Bytes bytes) {
    Peer& peer = udp ? scene.udp_peer : scene.plain_peer;
    const ByteVec owned(bytes.begin(), bytes.end());
    switch (arrival) {
        case Arrival::frame:
            return scene.gw.from_port(kWan, owned);
        case Arrival::inner:
            return scene.gw.from_port(kWan, peer.seal(bytes));
        case Arrival::text:
            return scene.gw.from_port(kWan, peer.seal_text(bytes));
        case Arrival::chained:
            return scene.gw.from_port_chained(kWan, owned, 3);
        case Arrival::from_kernel:
            return scene.gw.from_host(kWan, owned);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static std::unique_ptr<Scene> scene;
    if (size < 2 || size > 1400) return 0;
    if (!scene || scene->frames >= kLife) {
        scene.reset();
        scene = std::make_unique<Scene>();
    }
    ++scene->frames;
    put(*scene, static_cast<Arrival>(data[0] % kArrivals), (data[0] & 0x80) != 0, Bytes(data + 1, size - 1));
    for (const PortId port : {kLan, kWan}) {
        for (const ByteVec& frame : scene->gw.take_port(port)) check(frame.size() >= 14);
        for (const ByteVec& frame : scene->gw.take_host(port)) check(frame.size() >= 14);
    }
    // What still holds a buffer is waiting for a neighbour or for the rest of its fragments, and both are bounded.
    check(scene->gw.in_use() <= 1024);
    return 0;
}
