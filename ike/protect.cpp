// SPDX-License-Identifier: Apache-2.0
#include "ike/protect.hpp"

#include <algorithm>
#include <cassert>

namespace sluice::ike {
namespace {

// Pads a chain to the cipher's block: padding of zeros, then the Pad Length byte (RFC 7296 3.14).
ByteVec padded(ByteVec chain, std::size_t block) {
    const std::size_t unit = std::max<std::size_t>(block, 1);
    const std::size_t over = (chain.size() + 1) % unit;
    const std::size_t padding = over == 0 ? 0 : unit - over;
    chain.resize(chain.size() + padding);
    chain.push_back(static_cast<Byte>(padding));
    return chain;
}

OpenFailure not_authentic() { return {OpenError::icv, {ParseError::body, PayloadType::sk}}; }

// The SK payload of a message cut into what the cipher takes. Views into the message.
struct Sealed {
    Bytes aad;  // everything before the IV: IKE header, payloads before SK, SK's generic header (RFC 5282 5.1)
    Bytes iv;
    Bytes text;
    Bytes icv;
};

std::optional<Sealed> cut(Bytes message, const SkPayload& sk, const crypto::CipherKeys& keys) {
    const std::size_t iv = crypto::cipher_iv_size(keys);
    const std::size_t icv = crypto::cipher_icv_size(keys);
    const std::size_t block = std::max<std::size_t>(crypto::cipher_block_size(keys), 1);
    if (sk.body.size() < iv + icv + 1) return std::nullopt;
    const std::size_t text = sk.body.size() - iv - icv;
    if (text % block != 0) return std::nullopt;
    const std::size_t begin = message.size() - sk.body.size();  // SK is the last payload, the parser saw to it
    return Sealed{message.first(begin), message.subspan(begin, iv), message.subspan(begin + iv, text),
                  message.last(icv)};
}

}  // namespace

std::array<Byte, 8> counter_iv(NodeId node, Incarnation incarnation, std::uint64_t counter) {
    assert(node.value < 16 && counter < std::uint64_t{1} << 44);
    const std::uint64_t value = std::uint64_t{node.value} << 60 | std::uint64_t{incarnation.value} << 44 | counter;
    std::array<Byte, 8> iv{};
    for (std::size_t i = 0; i < iv.size(); ++i) iv[i] = static_cast<Byte>(value >> (56 - 8 * i));
    return iv;
}

bool needs_random_iv(crypto::Encr encr) { return encr == crypto::Encr::aes_cbc; }

// 1. Pad the chain. 2. Lay out header, generic header, IV, text and room for the ICV, so that the lengths in the AAD
// are final. 3. Seal in place.
Result<ByteVec> seal(const Header& header, std::span<const Payload> payloads, const crypto::CipherKeys& keys,
                     Bytes iv) {
    assert(iv.size() == crypto::cipher_iv_size(keys));
    Chain chain = build_chain(payloads);
    const ByteVec text = padded(std::move(chain.bytes), crypto::cipher_block_size(keys));
    const std::size_t icv_size = crypto::cipher_icv_size(keys);
    const std::size_t sk_size = kGenericHeaderSize + iv.size() + text.size() + icv_size;
    ByteWriter out;
    write_header(out, header, PayloadType::sk, kHeaderSize + sk_size);
    out.u8(static_cast<std::uint8_t>(chain.first));
    out.u8(0);
    out.u16(static_cast<std::uint16_t>(sk_size));
    const std::size_t aad_size = out.size();
    out.raw(iv);
    out.raw(text);
    out.zeros(icv_size);
    const MutBytes whole = out.mutable_view();
    const auto sealed = crypto::cipher_seal(keys, whole.first(aad_size), whole.subspan(aad_size, iv.size()),
                                            whole.subspan(aad_size + iv.size(), text.size()), whole.last(icv_size));
    if (!sealed) return sealed.error();
    return std::move(out).take();
}

std::string OpenFailure::to_string() const {
    switch (error) {
        case OpenError::outer:
            return "unprotected part: " + parse.to_string();
        case OpenError::icv:
            return "the integrity check failed";
        case OpenError::inner:
            return "protected part: " + parse.to_string();
    }
    return "malformed";
}

// 1. Parse the outside. 2. Check the ICV and decrypt. 3. Only now believe the pad length. 4. Parse the inside.
Opened open(Bytes message, const crypto::CipherKeys& keys) {
    const auto outer = parse_message(message);
    if (!outer) return OpenFailure{OpenError::outer, outer.failure()};
    const auto* sk = outer->find<SkPayload>();
    if (sk == nullptr || sk->type != PayloadType::sk)
        return OpenFailure{OpenError::outer, {ParseError::body, PayloadType::sk}};
    const auto sealed = cut(message, *sk, keys);
    if (!sealed) return not_authentic();
    SecretBytes text(sealed->text);
    if (!crypto::cipher_open(keys, sealed->aad, sealed->iv, text.mutable_view(), sealed->icv)) return not_authentic();
    const std::size_t pad_length = text.view().back();
    if (pad_length + 1 > text.size()) return OpenFailure{OpenError::inner, {ParseError::body, PayloadType::sk}};
    auto inner = parse_chain(sk->first_inner, outer->header.exchange, text.view().first(text.size() - pad_length - 1));
    if (!inner) return OpenFailure{OpenError::inner, inner.failure()};
    Message message_inside{outer->header, *std::move(inner)};
    if (message_inside.is_protected()) return OpenFailure{OpenError::inner, {ParseError::body, PayloadType::sk}};
    return message_inside;
}

}  // namespace sluice::ike
