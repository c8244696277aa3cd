// SPDX-License-Identifier: Apache-2.0
#include "dataplane/port_device.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "dataplane/port.hpp"

using namespace sluice;
using namespace sluice::dataplane;

namespace {

PortConfig port_of(PortDriver driver, std::string device, std::uint16_t mtu = 1500, std::uint16_t queues = 1) {
    PortConfig config;
    config.name = "wan";
    config.driver = driver;
    config.device = std::move(device);
    config.mtu = mtu;
    config.queues = queues;
    return config;
}

PacketPoolShape shape_of(const PortConfig& port, unsigned memory_mb = 256) {
    DataplaneConfig config;
    config.memory_mb = memory_mb;
    config.ports = {port};
    return packet_pool_shape(config);
}

}  // namespace

TEST_CASE("a port's device in DPDK's words") {
    const auto xdp = device_string(PortDriver::af_xdp, port_of(PortDriver::af_xdp, "veth0", 1500, 2), PortId(3));
    CHECK(xdp.name == "net_af_xdp3");
    CHECK(xdp.arguments == "iface=veth0,force_copy=1,queue_count=2");
    const auto packet = device_string(PortDriver::af_packet, port_of(PortDriver::af_xdp, "veth0"), PortId(0));
    CHECK(packet.name == "net_af_packet0");
    CHECK(packet.arguments == "iface=veth0,qpairs=1,framesz=2048,blocksz=4096,framecnt=2048");
    const auto large = device_string(PortDriver::af_packet, port_of(PortDriver::af_packet, "v", 9000), PortId(0));
    CHECK(large.arguments == "iface=v,qpairs=1,framesz=9216,blocksz=294912,framecnt=1024");
    const auto ring =
        device_string(PortDriver::vdev, port_of(PortDriver::vdev, "net_memif0,role=client,id=1"), PortId(0));
    CHECK(ring.name == "net_memif0");
    CHECK(ring.arguments == "role=client,id=1");
    CHECK(device_string(PortDriver::vdev, port_of(PortDriver::vdev, "net_null0"), PortId(0)).arguments.empty());
    CHECK(device_string(PortDriver::pci, port_of(PortDriver::pci, "0000:03:00.0"), PortId(0)).name == "0000:03:00.0");
}

TEST_CASE("an mbuf holds a frame of the MTU, and fits a page where AF_XDP serves it") {
    for (unsigned mtu = 1280; mtu <= 9000; ++mtu) {
        INFO("MTU " << mtu);
        const auto size = static_cast<std::uint16_t>(mtu);
        const unsigned xdp = shape_of(port_of(PortDriver::af_xdp, "v", size)).data_room;
        // AF_XDP: 128 bytes of DPDK's headroom, 256 of the kernel's, 18 of Ethernet and VLAN; 64 and 128 of headers.
        REQUIRE(xdp >= mtu + 128 + 256 + 18);
        if (mtu <= 3500) REQUIRE(xdp + 64 + 128 <= 4096);
        // AF_PACKET's driver wants room for a whole frame of its ring, also as the fall-back.
        REQUIRE(xdp >= packet_ring_frame(size) + 128 - 32);
        REQUIRE(shape_of(port_of(PortDriver::af_packet, "v", size)).data_room >= packet_ring_frame(size) + 128 - 32);
    }
}

TEST_CASE("the pool grows with the queues and stays within half of the memory") {
    CHECK(shape_of(port_of(PortDriver::af_xdp, "v")).mbufs == 4096 + 8192);
    CHECK(shape_of(port_of(PortDriver::af_xdp, "v", 1500, 4)).mbufs == 4096 + 4 * 8192);
    const auto small = shape_of(port_of(PortDriver::af_xdp, "v", 1500, 4), 32);
    CHECK(std::uint64_t{small.mbufs} * (64U + 128U + small.data_room) <= 16U * 1024 * 1024);
}

TEST_CASE("the descriptors that appeared between two looks are the driver's") {
    CHECK(added({1, 4, 9}, {1, 3, 4, 9, 12}) == std::vector<int>{3, 12});
    const auto before = packet_sockets();
    const int other = ::socket(AF_INET, SOCK_DGRAM, 0);
    REQUIRE(other >= 0);
    CHECK(added(before, packet_sockets()).empty());
    const int packet = ::socket(AF_PACKET, SOCK_RAW, 0);
    if (packet >= 0) {  // needs CAP_NET_RAW; the packet tests run as root
        CHECK(added(before, packet_sockets()) == std::vector<int>{packet});
        ::close(packet);
    }
    ::close(other);
}
