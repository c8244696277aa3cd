// SPDX-License-Identifier: Apache-2.0
// Notify (RFC 7296 3.10) and Delete (3.11): the payloads that name SAs by SPI.
#include <cassert>

#include "ike/payloads.hpp"
#include "lib/base/byte_reader.hpp"

namespace sluice::ike {
namespace {

using ipsec::Protocol;

constexpr std::size_t kIkeSpiSize = 8;
constexpr std::size_t kEspSpiSize = 4;

bool spi_size_fits(Protocol protocol, std::size_t size) {
    switch (protocol) {
        case Protocol::ah:
        case Protocol::esp:
            return size == 0 || size == kEspSpiSize;
        case Protocol::ike:
            return size == 0 || size == kIkeSpiSize;
        default:
            return size == 0 || size == kEspSpiSize || size == kIkeSpiSize;
    }
}

// What is fixed about the types that the engine acts on.
bool content_fits(const NotifyPayload& notify) {
    const std::size_t size = notify.data.size();
    switch (notify.type) {
        case NotifyType::invalid_ke_payload:
            return size == 2;
        case NotifyType::cookie:
            return size >= 1 && size <= 64;
        case NotifyType::nat_detection_source_ip:
        case NotifyType::nat_detection_destination_ip:
            return size == 20;
        case NotifyType::set_window_size:
            return size == 4;
        case NotifyType::rekey_sa:
        case NotifyType::child_sa_not_found:
            return notify.spi.size() == kEspSpiSize;
        default:
            return true;
    }
}

}  // namespace

Parsed<Payload> parse_notify(Bytes body) {
    const ParseFailure malformed{ParseError::body, PayloadType::notify};
    ByteReader in(body);
    const auto protocol = in.u8();
    const auto spi_size = in.u8();
    const auto type = in.u16();
    if (!type || !spi_size_fits(Protocol{*protocol}, *spi_size)) return malformed;
    const auto spi = in.take(*spi_size);
    if (!spi) return malformed;
    NotifyPayload notify{NotifyType{*type}, Protocol{*protocol}, to_vec(*spi), to_vec(in.rest())};
    if (notify.spi.empty()) notify.protocol = Protocol::none;
    if (!content_fits(notify)) return malformed;
    return Payload{std::move(notify)};
}

void write_notify(ByteWriter& out, const NotifyPayload& notify) {
    assert(spi_size_fits(notify.protocol, notify.spi.size()) && content_fits(notify));
    out.u8(notify.spi.empty() ? 0 : static_cast<std::uint8_t>(notify.protocol));
    out.u8(static_cast<std::uint8_t>(notify.spi.size()));
    out.u16(static_cast<std::uint16_t>(notify.type));
    out.raw(notify.spi);
    out.raw(notify.data);
}

Parsed<Payload> parse_delete(Bytes body) {
    const ParseFailure malformed{ParseError::body, PayloadType::del};
    ByteReader in(body);
    const auto protocol = in.u8();
    const auto spi_size = in.u8();
    const auto count = in.u16();
    if (!count) return malformed;
    DeletePayload del{Protocol{*protocol}, {}};
    const bool of_ike = del.protocol == Protocol::ike;
    if (!of_ike && del.protocol != Protocol::ah && del.protocol != Protocol::esp) return malformed;
    if (of_ike ? (*spi_size != 0 || *count != 0) : *spi_size != kEspSpiSize) return malformed;
    if (in.remaining() != std::size_t{*count} * *spi_size) return malformed;
    for (unsigned i = 0; i < *count; ++i) del.spis.emplace_back(*in.u32());
    return Payload{std::move(del)};
}

void write_delete(ByteWriter& out, const DeletePayload& del) {
    const bool of_ike = del.protocol == Protocol::ike;
    assert(del.spis.size() <= 0xffff && (!of_ike || del.spis.empty()));
    out.u8(static_cast<std::uint8_t>(del.protocol));
    out.u8(of_ike ? 0 : kEspSpiSize);
    out.u16(static_cast<std::uint16_t>(del.spis.size()));
    for (const Spi spi : del.spis) out.u32(spi.value);
}

}  // namespace sluice::ike
