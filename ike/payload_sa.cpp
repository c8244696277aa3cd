// SPDX-License-Identifier: Apache-2.0
// Security Association (RFC 7296 3.3): proposals, transforms, attributes.
#include <algorithm>
#include <cassert>

#include "ike/payloads.hpp"
#include "lib/base/byte_reader.hpp"

namespace sluice::ike {
namespace {

using ipsec::Proposal;
using ipsec::Protocol;
using ipsec::Transform;
using ipsec::TransformType;

constexpr std::uint8_t kLast = 0;
constexpr std::uint8_t kMoreProposals = 2;
constexpr std::uint8_t kMoreTransforms = 3;
constexpr std::size_t kProposalHeader = 8;
constexpr std::size_t kTransformHeader = 8;
constexpr std::uint16_t kFixedFormat = 0x8000;  // 3.3.5: the AF bit; the value stands in the length's place
constexpr std::uint16_t kKeyLength = 14;

// TRAPS 9. A protocol that nobody here knows may have any SPI: its proposal is never chosen.
bool spi_size_fits(ExchangeType exchange, Protocol protocol, std::size_t size) {
    switch (protocol) {
        case Protocol::ike:
            return size == (exchange == ExchangeType::ike_sa_init ? 0U : 8U);
        case Protocol::ah:
        case Protocol::esp:
            return size == 4;
        default:
            return true;
    }
}

// The frame that proposals and transforms share: last or more, reserved, length of the whole. The marker must say what
// is true: more exactly where more follows. Gives what stands behind the frame.
std::optional<Bytes> read_substructure(ByteReader& in, std::uint8_t more) {
    const auto marker = in.u8();
    const auto reserved = in.u8();
    const auto length = in.u16();
    if (!reserved || !length || *length < 4) return std::nullopt;
    const auto body = in.take(*length - std::size_t{4});
    if (!body || *marker != (in.empty() ? kLast : more)) return std::nullopt;
    return body;
}

enum class Attributes : std::uint8_t { understood, unknown, malformed };

// 3.3.5. Key Length in the fixed format, once and not zero, is what there is to understand.
Attributes read_attributes(ByteReader& in, std::uint16_t& key_bits) {
    Attributes result = Attributes::understood;
    while (!in.empty()) {
        const auto type = in.u16();
        const auto value = in.u16();
        if (!value) return Attributes::malformed;
        const bool fixed = (*type & kFixedFormat) != 0;
        if (!fixed && !in.skip(*value)) return Attributes::malformed;
        if (*type != (kFixedFormat | kKeyLength) || key_bits != 0 || *value == 0)
            result = Attributes::unknown;
        else
            key_bits = *value;
    }
    return result;
}

// What a transform turned out to be: acceptable is false where it has an attribute that is not understood.
struct ReadTransform {
    Transform transform;
    bool acceptable = true;
};

std::optional<ReadTransform> read_transform(ByteReader& in) {
    const auto frame = read_substructure(in, kMoreTransforms);
    if (!frame || frame->size() < kTransformHeader - 4) return std::nullopt;
    ByteReader inside(*frame);
    ReadTransform read;
    read.transform.type = TransformType{*inside.u8()};
    if (!inside.skip(1)) return std::nullopt;
    read.transform.id = *inside.u16();
    const Attributes attributes = read_attributes(inside, read.transform.key_bits);
    if (attributes == Attributes::malformed) return std::nullopt;
    read.acceptable = attributes == Attributes::understood;
    return read;
}

bool all_types_left(const Proposal& proposal, const std::vector<TransformType>& seen) {
    return std::all_of(seen.begin(), seen.end(), [&](TransformType type) {
        return std::any_of(proposal.transforms.begin(), proposal.transforms.end(),
                           [&](const Transform& transform) { return transform.type == type; });
    });
}

// Reads one proposal; false where it is malformed. Adds it unless a type lost its last transform.
bool read_proposal(ByteReader& in, ExchangeType exchange, ipsec::Proposals& list) {
    const auto frame = read_substructure(in, kMoreProposals);
    if (!frame || frame->size() < kProposalHeader - 4) return false;
    ByteReader inside(*frame);
    Proposal proposal;
    proposal.number = *inside.u8();
    proposal.protocol = Protocol{*inside.u8()};
    const std::uint8_t spi_size = *inside.u8();
    const unsigned count = *inside.u8();
    const auto spi = inside.take(spi_size);
    if (!spi || !spi_size_fits(exchange, proposal.protocol, spi_size)) return false;
    proposal.spi = to_vec(*spi);
    std::vector<TransformType> seen;
    for (unsigned i = 0; i < count; ++i) {
        const auto read = read_transform(inside);
        if (!read) return false;
        seen.push_back(read->transform.type);
        if (read->acceptable) proposal.transforms.push_back(read->transform);
    }
    if (!inside.empty()) return false;
    if (all_types_left(proposal, seen)) list.push_back(std::move(proposal));
    return true;
}

void write_transform(ByteWriter& out, const Transform& transform, std::uint8_t marker) {
    out.u8(marker);
    out.u8(0);
    out.u16(static_cast<std::uint16_t>(kTransformHeader + (transform.key_bits != 0 ? 4 : 0)));
    out.u8(static_cast<std::uint8_t>(transform.type));
    out.u8(0);
    out.u16(transform.id);
    if (transform.key_bits == 0) return;
    out.u16(kFixedFormat | kKeyLength);
    out.u16(transform.key_bits);
}

void write_proposal(ByteWriter& out, const Proposal& proposal, std::uint8_t marker) {
    assert(proposal.spi.size() <= 255 && proposal.transforms.size() <= 255);
    const std::size_t start = out.size();
    out.u8(marker);
    out.u8(0);
    const std::size_t length = out.mark_u16();
    out.u8(proposal.number);
    out.u8(static_cast<std::uint8_t>(proposal.protocol));
    out.u8(static_cast<std::uint8_t>(proposal.spi.size()));
    out.u8(static_cast<std::uint8_t>(proposal.transforms.size()));
    out.raw(proposal.spi);
    for (std::size_t i = 0; i < proposal.transforms.size(); ++i)
        write_transform(out, proposal.transforms[i], i + 1 < proposal.transforms.size() ? kMoreTransforms : kLast);
    out.patch_u16(length, out.size() - start);
}

}  // namespace

Parsed<Payload> parse_sa(ExchangeType exchange, Bytes body) {
    ByteReader in(body);
    SaPayload sa;
    while (!in.empty())
        if (!read_proposal(in, exchange, sa.proposals)) return ParseFailure{ParseError::body, PayloadType::sa};
    return Payload{std::move(sa)};
}

void write_sa(ByteWriter& out, const SaPayload& sa) {
    for (std::size_t i = 0; i < sa.proposals.size(); ++i)
        write_proposal(out, sa.proposals[i], i + 1 < sa.proposals.size() ? kMoreProposals : kLast);
}

}  // namespace sluice::ike
