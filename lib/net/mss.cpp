// SPDX-License-Identifier: Apache-2.0
#include "lib/net/mss.hpp"

#include <array>
#include <cstring>

#include "lib/net/checksum.hpp"

namespace sluice::net {
namespace {

constexpr Byte kOptionEnd = 0;
constexpr Byte kOptionPad = 1;
constexpr Byte kOptionMss = 2;
constexpr std::size_t kMssSize = 4;

// Where the value of the option stands, from the TCP header on; 0 where there is none, or the options are broken.
std::size_t mss_value_at(Bytes tcp) {
    std::size_t at = sizeof(TcpHeader);
    while (at < tcp.size() && tcp[at] != kOptionEnd) {
        if (tcp[at] == kOptionPad) {
            ++at;
            continue;
        }
        if (tcp.size() - at < 2 || tcp[at + 1] < 2 || tcp[at + 1] > tcp.size() - at) return 0;
        if (tcp[at] == kOptionMss) return tcp[at + 1] == kMssSize ? at + 2 : 0;
        at += tcp[at + 1];
    }
    return 0;
}

}  // namespace

bool clamp_mss(const Packet& packet, MutBytes bytes, std::uint16_t most) {
    if (packet.protocol != kProtocolTcp || packet.is_fragment() || packet.total_size > bytes.size()) return false;
    const MutBytes segment = bytes.first(packet.total_size).subspan(packet.header_size);
    if (segment.size() < sizeof(TcpHeader)) return false;
    const auto tcp = load<TcpHeader>(segment);
    const std::size_t size = tcp.header_size();
    if ((tcp.flags & TcpHeader::kFlagSyn) == 0 || size < sizeof(TcpHeader) || size > segment.size()) return false;
    const std::size_t at = mss_value_at(segment.first(size));
    if (at == 0 || load<Be16>(segment.subspan(at)).host() <= most) return false;
    // At an odd offset the value lies across two words of the sum; headers are whole words, so both are there.
    const std::size_t end = at + sizeof(Be16) + at % 2;
    Be16 sum = tcp.checksum;
    std::array<Byte, kMssSize> before{};
    const std::size_t first = at - at % 2;
    std::memcpy(before.data(), segment.data() + first, end - first);
    store(segment.subspan(at), Be16::of(most));
    for (std::size_t word = first; word < end; word += sizeof(Be16)) {
        sum = checksum_update(sum, load<Be16>(Bytes(before).subspan(word - first)), load<Be16>(segment.subspan(word)));
    }
    store(segment.subspan(offsetof(TcpHeader, checksum)), sum);
    return true;
}

}  // namespace sluice::net
