// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lib/base/result.hpp"

namespace sluice::control {

// Keeps the kernel from also handling what a port takes: an nftables chain at the device's ingress that drops
// everything. The port's AF_XDP or AF_PACKET socket sees the frames before it. The rules belong to nobody's process, so
// they outlive kill -9: while the daemon is dead nothing crosses, protected or not (TRAPS 60).
//
// One table a device, in family netdev: sluice_PREFIX__DEVICE, both with what is not a letter or a digit written as _
// and two hexadecimal digits. The prefix (DataplaneConfig::file_prefix) tells one daemon's tables from another's.
//
// Runs `nft` and waits for it, 5 s at most: at start and stop only, never from the running event loop.

// The table's name, and what nft is given to make it; functions of their arguments.
std::string guard_table(const std::string& prefix, const std::string& device);
std::string guard_script(const std::string& prefix, const std::string& device);

// Puts the guard before each device, in one transaction, and takes away those of the same prefix whose device is not
// among them (a predecessor's). Idempotent; a guard that is there stays closed throughout. Before ports are opened.
// io: nft is missing or refuses, in its words.
Result<void> install_guards(const std::string& prefix, const std::vector<std::string>& devices);

// At an orderly stop, after the ports are closed: takes all guards of the prefix away.
Result<void> remove_guards(const std::string& prefix);

}  // namespace sluice::control
