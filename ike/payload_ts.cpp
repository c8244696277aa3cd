// SPDX-License-Identifier: Apache-2.0
// Traffic selectors (RFC 7296 3.13).
#include <cassert>

#include "ike/payloads.hpp"
#include "lib/base/byte_reader.hpp"

namespace sluice::ike {
namespace {

constexpr std::uint8_t kIpv4Range = 7;
constexpr std::uint8_t kIpv6Range = 8;
constexpr std::size_t kSelectorHeader = 8;  // type, protocol, length, ports

std::size_t address_size(std::uint8_t type) { return type == kIpv4Range ? 4 : type == kIpv6Range ? 16 : 0; }

net::IpAddress address(Bytes bytes) {
    if (bytes.size() == 4) return net::IpAddress::v4(bytes.first<4>());
    return net::IpAddress::v6(bytes.first<16>());
}

bool matches_something(const ipsec::TrafficSelector& selector) {
    return selector.range.first <= selector.range.last &&
           (selector.start_port <= selector.end_port || selector.is_opaque());
}

// Reads one selector; false where it is malformed. Adds it where it is known and can match.
bool read_selector(ByteReader& in, ipsec::TrafficSelectors& list) {
    const auto type = in.u8();
    const auto protocol = in.u8();
    const auto length = in.u16();
    if (!length || *length < kSelectorHeader) return false;
    const auto rest = in.take(*length - std::size_t{4});
    if (!rest) return false;
    const std::size_t size = address_size(*type);
    if (size == 0) return true;
    if (*length != kSelectorHeader + 2 * size) return false;
    ByteReader inside(*rest);
    ipsec::TrafficSelector selector;
    selector.protocol = *protocol;
    selector.start_port = *inside.u16();
    selector.end_port = *inside.u16();
    selector.range = {address(*inside.take(size)), address(*inside.take(size))};
    if (matches_something(selector)) list.push_back(selector);
    return true;
}

}  // namespace

Parsed<Payload> parse_ts(PayloadType type, Bytes body) {
    const ParseFailure malformed{ParseError::body, type};
    ByteReader in(body);
    const auto count = in.u8();
    if (!count || !in.skip(3)) return malformed;
    ipsec::TrafficSelectors selectors;
    for (unsigned i = 0; i < *count; ++i)
        if (!read_selector(in, selectors)) return malformed;
    if (!in.empty()) return malformed;
    if (type == PayloadType::ts_i) return Payload{TsI{std::move(selectors)}};
    return Payload{TsR{std::move(selectors)}};
}

void write_ts(ByteWriter& out, const ipsec::TrafficSelectors& selectors) {
    assert(selectors.size() <= 255);
    out.u8(static_cast<std::uint8_t>(selectors.size()));
    out.zeros(3);
    for (const ipsec::TrafficSelector& selector : selectors) {
        const std::size_t size = selector.range.first.size();
        assert(size != 0 && selector.range.last.size() == size && matches_something(selector));
        out.u8(size == 4 ? kIpv4Range : kIpv6Range);
        out.u8(selector.protocol);
        out.u16(static_cast<std::uint16_t>(kSelectorHeader + 2 * size));
        out.u16(selector.start_port);
        out.u16(selector.end_port);
        out.raw(selector.range.first.bytes());
        out.raw(selector.range.last.bytes());
    }
}

}  // namespace sluice::ike
