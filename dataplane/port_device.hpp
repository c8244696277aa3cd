// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/dataplane.hpp"

// How a port's device is named to DPDK, and which sockets its driver has opened.
namespace sluice::dataplane {

// The vdev that a port is opened as: name ("net_af_xdp0") and arguments ("iface=veth0,..."); the port's id makes the
// name unique. For pci the name is the PCI address. With vdev the string is cut at its first comma.
struct DeviceString {
    std::string name;
    std::string arguments;
};
DeviceString device_string(PortDriver driver, const PortConfig& config, PortId id);

// Bytes of one frame in AF_PACKET's ring for this MTU: the kernel's header, the Ethernet header and the packet. An mbuf
// must have as much room, else the driver refuses.
unsigned packet_ring_frame(std::uint16_t mtu);

// The packet sockets (AF_PACKET, AF_XDP) among the descriptors of this process, ascending.
std::vector<int> packet_sockets();
// Those of `now` that are not in `before`; both ascending.
std::vector<int> added(const std::vector<int>& before, const std::vector<int>& now);

}  // namespace sluice::dataplane
