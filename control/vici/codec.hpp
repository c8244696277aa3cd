// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "control/vici/message.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

// strongSwan's Versatile IKE Control Interface on the wire: a 32-bit length in network order, then a packet; a packet
// is a type, for some types a name, for some a message; a message is a sequence of elements. Nothing here does I/O.
namespace sluice::control::vici {

enum class PacketType : std::uint8_t {
    cmd_request = 0,   // name, message
    cmd_response = 1,  // message
    cmd_unknown = 2,
    event_register = 3,    // name
    event_unregister = 4,  // name
    event_confirm = 5,
    event_unknown = 6,
    event = 7,  // name, message
};

struct Packet {
    PacketType type = PacketType::cmd_unknown;
    std::string name;
    Message message;
    friend bool operator==(const Packet&, const Packet&) = default;
};

inline constexpr std::size_t kMaxPacket = 512 * 1024;  // bytes after the length field, as in strongSwan
inline constexpr unsigned kMaxDepth = 32;              // nested sections; a decoder's stack is not the peer's to use

// Refuses names over 255 bytes, values over 65535 and messages nested deeper than kMaxDepth: exhausted.
Result<ByteVec> encode_message(const Message& message);
// Takes exactly one whole message. Unknown element types, unbalanced or misplaced elements and lengths that run past
// the end are invalid.
Result<Message> decode_message(Bytes bytes);

// A packet with its length in front, ready for the stream. exhausted where it exceeds kMaxPacket.
Result<ByteVec> encode_packet(const Packet& packet);
// One packet without its length. A type or layout that VICI does not have is invalid.
Result<Packet> decode_packet(Bytes bytes);

// Cuts a byte stream into packets. Holds at most one partial packet and what was fed behind it.
class Deframer {
  public:
    void feed(Bytes bytes);
    // The next whole packet's bytes, without the length; nothing while it is incomplete. invalid where the length is 0
    // or above kMaxPacket: the stream cannot be followed any further.
    Result<std::optional<ByteVec>> next();
    std::size_t buffered() const { return buffer_.size() - taken_; }

  private:
    ByteVec buffer_;
    std::size_t taken_ = 0;  // bytes of buffer_ that next() has handed out
};

}  // namespace sluice::control::vici
