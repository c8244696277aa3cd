// SPDX-License-Identifier: Apache-2.0
#include "ike/protect.hpp"

#include <algorithm>
#include <cassert>

#include "lib/base/byte_reader.hpp"

namespace sluice::ike {
namespace {

constexpr std::size_t kFragmentNumbersSize = 4;  // Fragment Number and Total Fragments (RFC 7383 2.5)
constexpr std::size_t kFirstPayloadOffset = 16;  // of the IKE header

// Pads a chain to the cipher's block: padding of zeros, then the Pad Length byte (RFC 7296 3.14).
ByteVec padded(ByteVec chain, std::size_t block) {
    const std::size_t unit = std::max<std::size_t>(block, 1);
    const std::size_t over = (chain.size() + 1) % unit;
    const std::size_t padding = over == 0 ? 0 : unit - over;
    chain.resize(chain.size() + padding);
    chain.push_back(static_cast<Byte>(padding));
    return chain;
}

// The SK payload of a message cut into what the cipher takes. Views into the message.
struct Sealed {
    Bytes aad;  // everything before the IV: header, payloads before SK, SK's generic header, fragment numbers (RFC
                // 5282 5.1)
    Bytes iv;
    Bytes text;
    Bytes icv;
};

// size: from the IV to the end of the message.
std::optional<Sealed> cut(Bytes message, std::size_t size, const crypto::CipherKeys& keys) {
    const std::size_t iv = crypto::cipher_iv_size(keys);
    const std::size_t icv = crypto::cipher_icv_size(keys);
    const std::size_t block = std::max<std::size_t>(crypto::cipher_block_size(keys), 1);
    if (size < iv + icv + 1) return std::nullopt;
    const std::size_t text = size - iv - icv;
    if (text % block != 0) return std::nullopt;
    const std::size_t begin = message.size() - size;  // SK is the last payload, the parser saw to it
    return Sealed{message.first(begin), message.subspan(begin, iv), message.subspan(begin + iv, text),
                  message.last(icv)};
}

// The decrypted text with its padding; nothing where the ICV does not verify. size: as of cut().
std::optional<SecretBytes> decrypt(Bytes message, std::size_t size, const crypto::CipherKeys& keys) {
    const auto sealed = cut(message, size, keys);
    if (!sealed) return std::nullopt;
    SecretBytes text(sealed->text);
    if (!crypto::cipher_open(keys, sealed->aad, sealed->iv, text.mutable_view(), sealed->icv)) return std::nullopt;
    return text;
}

// Only what has verified is believed. Nothing where the pad length reaches out of the text.
std::optional<Bytes> without_padding(const SecretBytes& text) {
    const std::size_t pad_length = text.view().back();
    if (pad_length + 1 > text.size()) return std::nullopt;
    return text.view().first(text.size() - pad_length - 1);
}

// What stands around a sealed text: its payload is sk or skf, and skf has its numbers before the IV.
struct Frame {
    const Header& header;
    PayloadType type = PayloadType::sk;
    PayloadType first = PayloadType::none;
    ByteVec numbers;
};

// 1. Pad the chain. 2. Lay out header, generic header, IV, text and room for the ICV, so that the lengths in the AAD
// are final. 3. Seal in place.
Result<ByteVec> seal_text(const Frame& frame, ByteVec chain, const crypto::CipherKeys& keys, Bytes iv) {
    assert(iv.size() == crypto::cipher_iv_size(keys));
    const ByteVec text = padded(std::move(chain), crypto::cipher_block_size(keys));
    const std::size_t icv_size = crypto::cipher_icv_size(keys);
    const std::size_t size = kGenericHeaderSize + frame.numbers.size() + iv.size() + text.size() + icv_size;
    ByteWriter out;
    write_header(out, frame.header, frame.type, kHeaderSize + size);
    out.u8(static_cast<std::uint8_t>(frame.first));
    out.u8(0);
    out.u16(static_cast<std::uint16_t>(size));
    out.raw(frame.numbers);
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

}  // namespace

std::array<Byte, 8> counter_iv(NodeId node, Incarnation incarnation, std::uint64_t counter) {
    assert(node.value < 16 && counter < std::uint64_t{1} << 44);
    const std::uint64_t value = std::uint64_t{node.value} << 60 | std::uint64_t{incarnation.value} << 44 | counter;
    std::array<Byte, 8> iv{};
    for (std::size_t i = 0; i < iv.size(); ++i) iv[i] = static_cast<Byte>(value >> (56 - 8 * i));
    return iv;
}

bool needs_random_iv(crypto::Encr encr) { return encr == crypto::Encr::aes_cbc; }

Result<ByteVec> seal(const Header& header, std::span<const Payload> payloads, const crypto::CipherKeys& keys,
                     Bytes iv) {
    Chain chain = build_chain(payloads);
    return seal_text({header, PayloadType::sk, chain.first, {}}, std::move(chain.bytes), keys, iv);
}

std::size_t sealed_size(const crypto::CipherKeys& keys, std::size_t chain_size) {
    const std::size_t unit = std::max<std::size_t>(crypto::cipher_block_size(keys), 1);
    const std::size_t text = (chain_size + unit) / unit * unit;  // with the Pad Length byte, rounded up
    return kHeaderSize + kGenericHeaderSize + crypto::cipher_iv_size(keys) + text + crypto::cipher_icv_size(keys);
}

std::size_t fragment_room(const crypto::CipherKeys& keys, std::size_t size) {
    const std::size_t unit = std::max<std::size_t>(crypto::cipher_block_size(keys), 1);
    const std::size_t around = kHeaderSize + kGenericHeaderSize + kFragmentNumbersSize + crypto::cipher_iv_size(keys) +
                               crypto::cipher_icv_size(keys);
    if (size <= around + unit) return 0;
    return (size - around) / unit * unit - 1;
}

Result<ByteVec> seal_fragment(const Header& header, const Fragment& fragment, const crypto::CipherKeys& keys,
                              Bytes iv) {
    ByteWriter numbers;
    numbers.u16(fragment.number);
    numbers.u16(fragment.total);
    return seal_text({header, PayloadType::skf, fragment.first, std::move(numbers).take()}, fragment.text, keys, iv);
}

bool is_fragment(Bytes message) {
    return message.size() > kFirstPayloadOffset &&
           static_cast<PayloadType>(message[kFirstPayloadOffset]) == PayloadType::skf;
}

std::optional<FragmentNumbers> fragment_numbers(Bytes message) {
    if (!is_fragment(message) || message.size() < kHeaderSize + kGenericHeaderSize) return std::nullopt;
    ByteReader in(message.subspan(kHeaderSize + kGenericHeaderSize));
    const auto number = in.u16();
    const auto total = in.u16();
    if (!number || !total || *number == 0 || *number > *total) return std::nullopt;
    return FragmentNumbers{*number, *total};
}

std::optional<Fragment> open_fragment(Bytes message, const crypto::CipherKeys& keys) {
    const auto outer = parse_message(message);
    const auto numbers = fragment_numbers(message);
    if (!outer || !numbers) return std::nullopt;
    const auto* skf = outer->find<SkPayload>();
    if (skf == nullptr || skf->type != PayloadType::skf) return std::nullopt;
    const auto text = decrypt(message, skf->body.size() - kFragmentNumbersSize, keys);
    const auto chain = text ? without_padding(*text) : std::nullopt;
    if (!chain) return std::nullopt;
    return Fragment{numbers->number, numbers->total, skf->first_inner, to_vec(*chain)};
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
    const auto text = decrypt(message, sk->body.size(), keys);
    if (!text) return OpenFailure{OpenError::icv, {ParseError::body, PayloadType::sk}};
    const auto chain = without_padding(*text);
    if (!chain) return OpenFailure{OpenError::inner, {ParseError::body, PayloadType::sk}};
    auto inner = parse_chain(sk->first_inner, outer->header.exchange, *chain);
    if (!inner) return OpenFailure{OpenError::inner, inner.failure()};
    Message message_inside{outer->header, *std::move(inner)};
    if (message_inside.is_protected()) return OpenFailure{OpenError::inner, {ParseError::body, PayloadType::sk}};
    return message_inside;
}

}  // namespace sluice::ike
