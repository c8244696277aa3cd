// SPDX-License-Identifier: Apache-2.0
#include "ike/payloads.hpp"

#include <cassert>

#include "lib/base/byte_reader.hpp"

namespace sluice::ike {
namespace {

constexpr std::size_t kMinNonce = 16;
constexpr std::size_t kMaxNonce = 256;

ParseFailure malformed(PayloadType type) { return {ParseError::body, type}; }

// RFC 7296 3.4.
Parsed<Payload> parse_ke(Bytes body) {
    ByteReader in(body);
    const auto group = in.u16();
    const auto reserved = in.u16();
    if (!group || !reserved || in.empty()) return malformed(PayloadType::ke);
    return Payload{KePayload{static_cast<crypto::Group>(*group), to_vec(in.rest())}};
}

bool id_size_fits(IdType type, std::size_t size) {
    switch (type) {
        case IdType::any:
            return false;
        case IdType::ipv4:
            return size == 4;
        case IdType::ipv6:
            return size == 16;
        case IdType::null:  // RFC 7619 2.2
            return size == 0;
        default:
            return true;
    }
}

// RFC 7296 3.5.
template <PayloadType payload_type_v>
Parsed<Payload> parse_id(Bytes body) {
    ByteReader in(body);
    const auto type = in.u8();
    const auto reserved = in.take(3);
    if (!type || !reserved || !id_size_fits(IdType{*type}, in.remaining())) return malformed(payload_type_v);
    BasicId<payload_type_v> id{{IdType{*type}, to_vec(in.rest())}, {(*reserved)[0], (*reserved)[1], (*reserved)[2]}};
    return Payload{std::move(id)};
}

// RFC 7296 3.8.
Parsed<Payload> parse_auth(Bytes body) {
    ByteReader in(body);
    const auto method = in.u8();
    if (!method || !in.skip(3)) return malformed(PayloadType::auth);
    return Payload{AuthPayload{*method, to_vec(in.rest())}};
}

// RFC 7296 3.9.
Parsed<Payload> parse_nonce(Bytes body) {
    if (body.size() < kMinNonce || body.size() > kMaxNonce) return malformed(PayloadType::nonce);
    return Payload{NoncePayload{to_vec(body)}};
}

// RFC 7296 3.15. The top bit of an attribute's type is reserved.
Parsed<Payload> parse_cp(Bytes body) {
    ByteReader in(body);
    const auto type = in.u8();
    if (!type || !in.skip(3)) return malformed(PayloadType::cp);
    CpPayload cp{*type, {}};
    while (!in.empty()) {
        const auto attribute = in.u16();
        const auto length = in.u16();
        const auto value = length ? in.take(*length) : std::nullopt;
        if (!value) return malformed(PayloadType::cp);
        cp.attributes.push_back({static_cast<std::uint16_t>(*attribute & 0x7fff), to_vec(*value)});
    }
    return Payload{std::move(cp)};
}

// Writes the inside of each kind.
struct BodyWriter {
    ByteWriter& out;

    void operator()(const SaPayload& sa) const { write_sa(out, sa); }
    void operator()(const KePayload& ke) const {
        out.u16(static_cast<std::uint16_t>(ke.group));
        out.u16(0);
        out.raw(ke.data);
    }
    template <PayloadType type>
    void operator()(const BasicId<type>& id) const {
        out.raw(id.body());
    }
    void operator()(const AuthPayload& auth) const {
        out.u8(auth.method);
        out.zeros(3);
        out.raw(auth.data);
    }
    void operator()(const NoncePayload& nonce) const {
        assert(nonce.data.size() >= kMinNonce && nonce.data.size() <= kMaxNonce);
        out.raw(nonce.data);
    }
    void operator()(const NotifyPayload& notify) const { write_notify(out, notify); }
    void operator()(const DeletePayload& del) const { write_delete(out, del); }
    template <PayloadType type>
    void operator()(const BasicTs<type>& ts) const {
        write_ts(out, ts.selectors);
    }
    void operator()(const CpPayload& cp) const {
        out.u8(cp.type);
        out.zeros(3);
        for (const CpAttribute& attribute : cp.attributes) {
            assert(attribute.value.size() <= 0xffff);
            out.u16(attribute.type & 0x7fff);
            out.u16(static_cast<std::uint16_t>(attribute.value.size()));
            out.raw(attribute.value);
        }
    }
    void operator()(const SkPayload& sk) const { out.raw(sk.body); }
    void operator()(const OpaquePayload& opaque) const { out.raw(opaque.body); }
};

struct TypeOf {
    template <class T>
    PayloadType operator()(const T&) const {
        return T::kType;
    }
    PayloadType operator()(const SkPayload& sk) const { return sk.type; }
    PayloadType operator()(const OpaquePayload& opaque) const { return opaque.type; }
};

}  // namespace

PayloadType payload_type(const Payload& payload) { return std::visit(TypeOf{}, payload); }

Parsed<Payload> parse_payload(PayloadType type, ExchangeType exchange, Bytes body) {
    switch (type) {
        case PayloadType::sa:
            return parse_sa(exchange, body);
        case PayloadType::ke:
            return parse_ke(body);
        case PayloadType::id_i:
            return parse_id<PayloadType::id_i>(body);
        case PayloadType::id_r:
            return parse_id<PayloadType::id_r>(body);
        case PayloadType::auth:
            return parse_auth(body);
        case PayloadType::nonce:
            return parse_nonce(body);
        case PayloadType::notify:
            return parse_notify(body);
        case PayloadType::del:
            return parse_delete(body);
        case PayloadType::ts_i:
        case PayloadType::ts_r:
            return parse_ts(type, body);
        case PayloadType::cp:
            return parse_cp(body);
        default:
            return Payload{OpaquePayload{type, to_vec(body)}};
    }
}

void write_payload_body(ByteWriter& out, const Payload& payload) { std::visit(BodyWriter{out}, payload); }

}  // namespace sluice::ike
