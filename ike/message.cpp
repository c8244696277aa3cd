// SPDX-License-Identifier: Apache-2.0
#include "ike/message.hpp"

#include <bitset>
#include <cassert>

#include "lib/base/byte_reader.hpp"

namespace sluice::ike {
namespace {

constexpr std::uint8_t kVersion = 0x20;  // 2.0
constexpr std::uint8_t kFlagInitiator = 0x08;
constexpr std::uint8_t kFlagResponse = 0x20;
constexpr std::uint8_t kCritical = 0x80;

struct WireHeader {
    Header header;
    PayloadType first = PayloadType::none;
};

Parsed<WireHeader> read_header(Bytes message) {
    const ParseFailure malformed{ParseError::header};
    if (message.size() < kHeaderSize || message.size() > kMaxMessageSize) return malformed;
    ByteReader in(message);
    WireHeader wire;
    wire.header.initiator_spi = *in.u64();
    wire.header.responder_spi = *in.u64();
    wire.first = static_cast<PayloadType>(*in.u8());
    const std::uint8_t major = static_cast<std::uint8_t>(*in.u8() >> 4);
    wire.header.exchange = static_cast<ExchangeType>(*in.u8());
    const std::uint8_t flags = *in.u8();
    wire.header.initiator = (flags & kFlagInitiator) != 0;
    wire.header.response = (flags & kFlagResponse) != 0;
    wire.header.message_id = *in.u32();
    const std::uint32_t length = *in.u32();
    if (major != 2) return ParseFailure{ParseError::major_version, PayloadType::none, major};
    if (length != message.size() || wire.header.initiator_spi == 0) return malformed;
    return wire;
}

bool is_known(PayloadType type) {
    const auto number = static_cast<std::uint8_t>(type);
    return (number >= 33 && number <= 48) || type == PayloadType::skf;
}

// RFC 7296 3.3 to 3.16: the others may stand several times.
bool stands_once(PayloadType type) {
    switch (type) {
        case PayloadType::cert:
        case PayloadType::cert_req:
        case PayloadType::notify:
        case PayloadType::del:
        case PayloadType::vendor:
            return false;
        default:
            return is_known(type);
    }
}

struct GenericHeader {
    PayloadType next = PayloadType::none;
    bool critical = false;
    Bytes body;
};

// RFC 7296 3.2. The length covers the generic header itself.
std::optional<GenericHeader> read_generic(ByteReader& in) {
    const auto next = in.u8();
    const auto flags = in.u8();
    const auto length = in.u16();
    if (!length || *length < kGenericHeaderSize) return std::nullopt;
    const auto body = in.take(*length - kGenericHeaderSize);
    if (!body) return std::nullopt;
    return GenericHeader{static_cast<PayloadType>(*next), (*flags & kCritical) != 0, *body};
}

// Reads one chain, payload by payload, and keeps what it has seen.
class ChainReader {
  public:
    ChainReader(ExchangeType exchange, Bytes bytes) : exchange_(exchange), in_(bytes) {}

    Parsed<std::vector<Payload>> read(PayloadType first) {
        for (PayloadType type = first; type != PayloadType::none;) {
            if (payloads_.size() == kMaxPayloads) return ParseFailure{ParseError::too_many_payloads, type};
            const auto generic = read_generic(in_);
            if (!generic) return ParseFailure{ParseError::payload_length, type};
            if (const auto failure = add(type, *generic)) return *failure;
            if (ends_chain(type)) break;
            type = generic->next;
        }
        if (!in_.empty()) return ParseFailure{ParseError::payload_length, last_};
        return std::move(payloads_);
    }

  private:
    static bool ends_chain(PayloadType type) { return type == PayloadType::sk || type == PayloadType::skf; }

    std::optional<ParseFailure> add(PayloadType type, const GenericHeader& generic) {
        last_ = type;
        const auto number = static_cast<std::uint8_t>(type);
        if (!is_known(type) && generic.critical) return ParseFailure{ParseError::critical_payload, type, number};
        if (stands_once(type) && seen_.test(number)) return ParseFailure{ParseError::duplicate_payload, type};
        seen_.set(number);
        if (ends_chain(type)) {
            if (!in_.empty()) return ParseFailure{ParseError::payload_after_sk, type};
            payloads_.emplace_back(SkPayload{type, generic.next, to_vec(generic.body)});
            return std::nullopt;
        }
        auto payload = parse_payload(type, exchange_, generic.body);
        if (!payload) return payload.failure();
        payloads_.push_back(*std::move(payload));
        return std::nullopt;
    }

    ExchangeType exchange_;
    ByteReader in_;
    std::vector<Payload> payloads_;
    std::bitset<256> seen_;
    PayloadType last_ = PayloadType::none;
};

PayloadType following(std::span<const Payload> payloads, std::size_t index) {
    if (const auto* sk = std::get_if<SkPayload>(&payloads[index])) {
        assert(index + 1 == payloads.size());
        return sk->first_inner;
    }
    return index + 1 < payloads.size() ? payload_type(payloads[index + 1]) : PayloadType::none;
}

void write_chain(ByteWriter& out, std::span<const Payload> payloads) {
    for (std::size_t i = 0; i < payloads.size(); ++i) {
        const std::size_t start = out.size();
        out.u8(static_cast<std::uint8_t>(following(payloads, i)));
        out.u8(0);
        const std::size_t length = out.mark_u16();
        write_payload_body(out, payloads[i]);
        out.patch_u16(length, out.size() - start);
    }
}

PayloadType first_of(std::span<const Payload> payloads) {
    return payloads.empty() ? PayloadType::none : payload_type(payloads.front());
}

std::string describe(const Payload& payload) {
    if (const auto* notify = std::get_if<NotifyPayload>(&payload)) return "N(" + to_string(notify->type) + ")";
    return to_string(payload_type(payload));
}

}  // namespace

const NotifyPayload* Message::notify(NotifyType type) const {
    for (const Payload& payload : payloads) {
        const auto* found = std::get_if<NotifyPayload>(&payload);
        if (found != nullptr && found->type == type) return found;
    }
    return nullptr;
}

const NotifyPayload* Message::error_notify() const {
    for (const Payload& payload : payloads) {
        const auto* found = std::get_if<NotifyPayload>(&payload);
        if (found != nullptr && is_error(found->type)) return found;
    }
    return nullptr;
}

std::vector<const NotifyPayload*> Message::notifies(NotifyType type) const {
    std::vector<const NotifyPayload*> all;
    for (const Payload& payload : payloads) {
        const auto* found = std::get_if<NotifyPayload>(&payload);
        if (found != nullptr && found->type == type) all.push_back(found);
    }
    return all;
}

std::vector<const DeletePayload*> Message::deletes() const {
    std::vector<const DeletePayload*> all;
    for (const Payload& payload : payloads)
        if (const auto* found = std::get_if<DeletePayload>(&payload)) all.push_back(found);
    return all;
}

Parsed<Header> parse_header(Bytes message) {
    const auto wire = read_header(message);
    if (!wire) return wire.failure();
    return wire->header;
}

Parsed<Message> parse_message(Bytes message) {
    const auto wire = read_header(message);
    if (!wire) return wire.failure();
    auto payloads = parse_chain(wire->first, wire->header.exchange, message.subspan(kHeaderSize));
    if (!payloads) return payloads.failure();
    return Message{wire->header, *std::move(payloads)};
}

Parsed<std::vector<Payload>> parse_chain(PayloadType first, ExchangeType exchange, Bytes bytes) {
    return ChainReader(exchange, bytes).read(first);
}

Chain build_chain(std::span<const Payload> payloads) {
    ByteWriter out;
    write_chain(out, payloads);
    return {first_of(payloads), std::move(out).take()};
}

void write_header(ByteWriter& out, const Header& header, PayloadType first, std::size_t total_length) {
    assert(total_length <= kMaxMessageSize);
    out.u64(header.initiator_spi);
    out.u64(header.responder_spi);
    out.u8(static_cast<std::uint8_t>(first));
    out.u8(kVersion);
    out.u8(static_cast<std::uint8_t>(header.exchange));
    out.u8(static_cast<std::uint8_t>((header.initiator ? kFlagInitiator : 0) | (header.response ? kFlagResponse : 0)));
    out.u32(header.message_id);
    out.u32(static_cast<std::uint32_t>(total_length));
}

ByteVec build_message(const Message& message) {
    const Chain chain = build_chain(message.payloads);
    ByteWriter out;
    write_header(out, message.header, chain.first, kHeaderSize + chain.bytes.size());
    out.raw(chain.bytes);
    return std::move(out).take();
}

std::string to_string(ExchangeType type) {
    switch (type) {
        case ExchangeType::ike_sa_init:
            return "IKE_SA_INIT";
        case ExchangeType::ike_auth:
            return "IKE_AUTH";
        case ExchangeType::create_child_sa:
            return "CREATE_CHILD_SA";
        case ExchangeType::informational:
            return "INFORMATIONAL";
        case ExchangeType::ike_session_resume:
            return "IKE_SESSION_RESUME";
        case ExchangeType::ike_intermediate:
            return "IKE_INTERMEDIATE";
    }
    return "EXCHANGE_" + std::to_string(static_cast<unsigned>(type));
}

std::string to_string(const Message& message) {
    std::string text = to_string(message.header.exchange) + (message.header.response ? " response " : " request ") +
                       std::to_string(message.header.message_id) + " [";
    for (const Payload& payload : message.payloads) text += " " + describe(payload);
    return text + " ]";
}

}  // namespace sluice::ike
