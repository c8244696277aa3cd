// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <variant>

#include "ike/message.hpp"
#include "lib/crypto/cipher.hpp"

namespace sluice::ike {

// The Encrypted payload (RFC 7296 3.14; for an AEAD RFC 5282): what one IKE SA sends in one direction. Keys are SK_e*
// and SK_a* of the sender (IkeKeys::initiator for what the original initiator sends). Stateless: message IDs, windows
// and IV counters are the engine's.

// The 8-byte IV of the counter ciphers (AEADs, AES-CTR): node:4 | incarnation:16 | counter:44, big-endian, the layout
// that ESP has. It never repeats under one key as long as the counter does not. counter < 2^44 (asserted).
std::array<Byte, 8> counter_iv(NodeId node, Incarnation incarnation, std::uint64_t counter);
// CBC needs all of its 16 bytes unpredictable (TRAPS 36, 61); everything else, counter_iv().
bool needs_random_iv(crypto::Encr encr);

// The message as it is sent: header, generic header, IV, sealed payloads, ICV. iv has cipher_iv_size(keys) bytes and
// is not checked for reuse. Padding is the least that the cipher takes. An Error is the crypto library's.
Result<ByteVec> seal(const Header& header, std::span<const Payload> payloads, const crypto::CipherKeys& keys, Bytes iv);

enum class OpenError : std::uint8_t {
    outer,  // unprotected parts do not parse, or there is no SK: drop, count
    icv,    // too short for IV and ICV, or not authentic: drop, count, change nothing
    inner,  // authentic, but what is inside is malformed: answer as parse.answer() says, protected
};
struct OpenFailure {
    OpenError error = OpenError::outer;
    ParseFailure parse;
    std::string to_string() const;
};
// Either the message with the payloads from inside, or why not. Payloads that stood before SK are covered by the ICV
// and then left out: nothing but what was encrypted counts. Pad length is looked at only once the ICV has verified
// (TRAPS 13).
class [[nodiscard]] Opened {
  public:
    Opened(Message message) : state_(std::move(message)) {}
    Opened(OpenFailure failure) : state_(failure) {}
    explicit operator bool() const { return state_.index() == 0; }
    Message& operator*() { return *std::get_if<0>(&state_); }
    const Message& operator*() const { return *std::get_if<0>(&state_); }
    const Message* operator->() const { return std::get_if<0>(&state_); }
    const OpenFailure& failure() const { return *std::get_if<1>(&state_); }

  private:
    std::variant<Message, OpenFailure> state_;
};
Opened open(Bytes message, const crypto::CipherKeys& keys);

// How long the message is that seal() makes of a chain.
std::size_t sealed_size(const crypto::CipherKeys& keys, std::size_t chain_size);

// A part of a chain of payloads as one SKF payload carries it (RFC 7383 2.5). number counts from 1; first is what the
// chain begins with and stands in fragment 1 alone.
struct Fragment {
    std::uint16_t number = 1;
    std::uint16_t total = 1;
    PayloadType first = PayloadType::none;
    ByteVec text;
};
// How many bytes of text fit a message of at most size bytes; 0 where not even one does.
std::size_t fragment_room(const crypto::CipherKeys& keys, std::size_t size);
// As seal(), for one fragment. Its numbers are authenticated with it.
Result<ByteVec> seal_fragment(const Header& header, const Fragment& fragment, const crypto::CipherKeys& keys, Bytes iv);

// Whether a message begins with SKF. Only such a one is a fragment: SKF stands alone in its message.
bool is_fragment(Bytes message);
// Number and total of a fragment, not yet authentic: 1 <= number <= total. Nothing where they, or the message, are not.
struct FragmentNumbers {
    std::uint16_t number = 0;
    std::uint16_t total = 0;
};
std::optional<FragmentNumbers> fragment_numbers(Bytes message);
// An authentic fragment, or nothing.
std::optional<Fragment> open_fragment(Bytes message, const crypto::CipherKeys& keys);

}  // namespace sluice::ike
