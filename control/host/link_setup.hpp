// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "lib/base/result.hpp"

namespace sluice::control {

// Makes a network interface of the kernel ready to be a port (af_xdp, af_packet): the kernel shall not answer on it nor
// change what passes. IPv6 off, ARP off, addresses flushed, GRO and checksum offloads off, an XDP program that a killed
// predecessor left taken off, link up. Doing it again changes nothing. The settings stay when the daemon ends.
// Called at start only, before the port is opened; takes system calls, no waiting.
// not_found: no such interface; io: the kernel refused one of them (offloads that a device does not have are passed
// over, and so is IPv6 where the kernel has none).
Result<void> prepare_link(const std::string& device);

}  // namespace sluice::control
