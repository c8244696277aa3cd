// SPDX-License-Identifier: Apache-2.0
#include "control/vici/codec.hpp"

#include "lib/base/byte_reader.hpp"
#include "lib/base/byte_writer.hpp"

namespace sluice::control::vici {
namespace {

enum class ElementType : std::uint8_t {
    section_start = 1,  // name
    section_end = 2,
    key_value = 3,   // name, value
    list_start = 4,  // name
    list_item = 5,   // value
    list_end = 6,
};

bool has_name(PacketType type) {
    return type == PacketType::cmd_request || type == PacketType::event_register ||
           type == PacketType::event_unregister || type == PacketType::event;
}
bool has_message(PacketType type) {
    return type == PacketType::cmd_request || type == PacketType::cmd_response || type == PacketType::event;
}

Error malformed(std::string what) { return fail(ErrorCode::invalid, "VICI: " + std::move(what)); }
Error too_large(std::string what) { return fail(ErrorCode::exhausted, "VICI: " + std::move(what)); }

void put_type(ByteWriter& out, ElementType type) { out.u8(static_cast<std::uint8_t>(type)); }

Result<void> put_name(ByteWriter& out, const std::string& name) {
    if (name.size() > 0xff) return too_large("a name of " + std::to_string(name.size()) + " bytes; at most 255 fit");
    out.u8(static_cast<std::uint8_t>(name.size()));
    out.raw(as_bytes(name));
    return {};
}

Result<void> put_value(ByteWriter& out, const std::string& value) {
    if (value.size() > 0xffff) {
        return too_large("a value of " + std::to_string(value.size()) + " bytes; at most 65535 fit");
    }
    out.u16(static_cast<std::uint16_t>(value.size()));
    out.raw(as_bytes(value));
    return {};
}

Result<void> put_section(ByteWriter& out, const Message& message, unsigned depth);

Result<void> put_list(ByteWriter& out, const Element& element, const List& items) {
    put_type(out, ElementType::list_start);
    if (auto named = put_name(out, element.name); !named) return named;
    for (const std::string& item : items) {
        put_type(out, ElementType::list_item);
        if (auto put = put_value(out, item); !put) return put;
    }
    put_type(out, ElementType::list_end);
    return {};
}

Result<void> put_element(ByteWriter& out, const Element& element, unsigned depth) {
    if (const auto* items = std::get_if<List>(&element.value)) return put_list(out, element, *items);
    if (const auto* text = std::get_if<std::string>(&element.value)) {
        put_type(out, ElementType::key_value);
        if (auto named = put_name(out, element.name); !named) return named;
        return put_value(out, *text);
    }
    if (depth >= kMaxDepth) return too_large("sections nested deeper than " + std::to_string(kMaxDepth));
    put_type(out, ElementType::section_start);
    if (auto named = put_name(out, element.name); !named) return named;
    if (auto put = put_section(out, std::get<Message>(element.value), depth + 1); !put) return put;
    put_type(out, ElementType::section_end);
    return {};
}

Result<void> put_section(ByteWriter& out, const Message& message, unsigned depth) {
    for (const Element& e : message.elements()) {
        if (auto put = put_element(out, e, depth); !put) return put;
    }
    return {};
}

Result<std::string> take_name(ByteReader& in) {
    const auto length = in.u8();
    const auto bytes = length ? in.take(*length) : std::nullopt;
    if (!bytes) return malformed("a name runs past the end");
    return std::string(as_text(*bytes));
}

Result<std::string> take_value(ByteReader& in) {
    const auto length = in.u16();
    const auto bytes = length ? in.take(*length) : std::nullopt;
    if (!bytes) return malformed("a value runs past the end");
    return std::string(as_text(*bytes));
}

Result<void> take_list(ByteReader& in, Message& into) {
    auto name = take_name(in);
    if (!name) return name.error();
    List items;
    while (const auto type = in.u8()) {
        if (*type == static_cast<std::uint8_t>(ElementType::list_end)) {
            into.add_list(std::move(*name), std::move(items));
            return {};
        }
        if (*type != static_cast<std::uint8_t>(ElementType::list_item)) {
            return malformed("element type " + std::to_string(*type) + " inside a list");
        }
        auto value = take_value(in);
        if (!value) return value.error();
        items.push_back(std::move(*value));
    }
    return malformed("a list without its end");
}

Result<void> take_key_value(ByteReader& in, Message& into) {
    auto name = take_name(in);
    if (!name) return name.error();
    auto value = take_value(in);
    if (!value) return value.error();
    into.add(std::move(*name), std::move(*value));
    return {};
}

// Reads elements until the section ends; depth 0 is the message itself, which ends with its bytes.
Result<void> take_section(ByteReader& in, Message& into, unsigned depth) {
    while (const auto type = in.u8()) {
        Result<void> taken;
        switch (static_cast<ElementType>(*type)) {
            case ElementType::key_value:
                taken = take_key_value(in, into);
                break;
            case ElementType::list_start:
                taken = take_list(in, into);
                break;
            case ElementType::section_start: {
                auto name = take_name(in);
                if (!name) return name.error();
                if (depth >= kMaxDepth) return malformed("sections nested deeper than " + std::to_string(kMaxDepth));
                taken = take_section(in, into.add_section(std::move(*name)), depth + 1);
                break;
            }
            case ElementType::section_end:
                if (depth == 0) return malformed("a section end without its start");
                return {};
            default:
                return malformed("element type " + std::to_string(*type) + " where none may stand");
        }
        if (!taken) return taken;
    }
    if (depth > 0) return malformed("a section without its end");
    return {};
}

}  // namespace

Result<ByteVec> encode_message(const Message& message) {
    ByteWriter out;
    if (auto put = put_section(out, message, 0); !put) return put.error();
    return std::move(out).take();
}

Result<Message> decode_message(Bytes bytes) {
    ByteReader in(bytes);
    Message message;
    if (auto taken = take_section(in, message, 0); !taken) return taken.error();
    return message;
}

Result<ByteVec> encode_packet(const Packet& packet) {
    ByteWriter out;
    out.u32(0);
    out.u8(static_cast<std::uint8_t>(packet.type));
    if (has_name(packet.type)) {
        if (auto named = put_name(out, packet.name); !named) return named.error();
    }
    if (has_message(packet.type)) {
        if (auto put = put_section(out, packet.message, 0); !put) return put.error();
    }
    if (out.size() - 4 > kMaxPacket) return too_large("a packet of " + std::to_string(out.size() - 4) + " bytes");
    out.patch_u32(0, out.size() - 4);
    return std::move(out).take();
}

Result<Packet> decode_packet(Bytes bytes) {
    ByteReader in(bytes);
    const auto type = in.u8();
    if (!type || *type > static_cast<std::uint8_t>(PacketType::event)) return malformed("an unknown packet type");
    Packet packet;
    packet.type = static_cast<PacketType>(*type);
    if (has_name(packet.type)) {
        auto name = take_name(in);
        if (!name) return name.error();
        packet.name = std::move(*name);
    }
    if (has_message(packet.type)) {
        auto message = decode_message(in.rest());
        if (!message) return message.error();
        packet.message = std::move(*message);
    } else if (!in.empty()) {
        return malformed("bytes behind a packet that has no message");
    }
    return packet;
}

void Deframer::feed(Bytes bytes) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

Result<std::optional<ByteVec>> Deframer::next() {
    ByteReader in(Bytes(buffer_).subspan(taken_));
    const auto length = in.u32();
    if (!length) return std::optional<ByteVec>{};
    if (*length == 0 || *length > kMaxPacket) {
        return malformed("a packet length of " + std::to_string(*length) + "; 1 to 524288 is allowed");
    }
    const auto body = in.take(*length);
    if (!body) return std::optional<ByteVec>{};
    taken_ += 4 + body->size();
    return std::optional<ByteVec>(to_vec(*body));
}

}  // namespace sluice::control::vici
