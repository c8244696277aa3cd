// SPDX-License-Identifier: Apache-2.0
// Headers from outside: whatever parses is consistent, and an ICMP error about it parses as well; what looks further
// into it (quotes, extension headers, TCP options) stays inside.
#include <cstdlib>

#include "lib/net/extension.hpp"
#include "lib/net/icmp.hpp"
#include "lib/net/icmp_quote.hpp"
#include "lib/net/mss.hpp"

using namespace sluice;
using namespace sluice::net;

namespace {

void check(bool ok) {
    if (!ok) std::abort();
}

void parse(Bytes bytes, std::size_t length) {
    const Packet p = parse_packet(bytes, length);
    if (!p.ok()) return;
    check(p.total_size <= length && p.header_size <= p.total_size);
    if (p.ports_known) check(p.fragment_offset == 0 && p.header_size + 2U <= bytes.size());
    check(source_address(p, bytes).family() == p.family);

    const HeaderPlace place = transport_place(p, bytes);
    check(place.offset <= p.header_size && place.named_at < place.offset);
    check(upper_place(p, bytes).offset == p.header_size);
    if (const auto quote = read_icmp_quote(p, bytes)) check(quote->packet.header_size <= quote->bytes.size());
    ByteVec clamped = to_vec(bytes);
    clamp_mss(p, clamped, 500);
    check(clamp_mss(p, clamped, 500) == false);

    const IcmpErrorInput input{.error = IcmpError::packet_too_big,
                               .source = AddressRange::all(p.family).first,
                               .mtu = static_cast<std::uint32_t>(length)};
    Byte out[kMaxIcmpv6Error];
    (void)icmp_error_allowed(input.error, p, bytes);
    const std::size_t size = write_icmp_error(input, p, bytes, out);
    check(size != 0 && size <= (p.is_v4() ? kMaxIcmpv4Error : kMaxIcmpv6Error));
    check(parse_packet(Bytes(out).first(size)).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ByteVec bytes(data, data + size);
    parse(bytes, size);
    parse(bytes, size + 100);
    // A checksum is hard to guess: once more with a right one.
    const std::size_t header = bytes.empty() ? 0 : (bytes[0] & 15U) * 4;
    if (header >= 20 && header <= size) {
        set_ipv4_checksum(MutBytes(bytes).first(header));
        parse(bytes, size);
    }
    return 0;
}
