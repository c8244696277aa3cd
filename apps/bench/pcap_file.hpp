// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "lib/base/bytes.hpp"

// The classic pcap format, Ethernet frames, in this machine's byte order.
namespace sluice::bench {

Result<void> write_pcap(const std::string& path, const std::vector<ByteVec>& frames);
// At most `most` frames; a record that is cut short ends the file, as where its writer was stopped.
Result<std::vector<ByteVec>> read_pcap(const std::string& path, std::size_t most);

}  // namespace sluice::bench
