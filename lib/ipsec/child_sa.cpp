// SPDX-License-Identifier: Apache-2.0
// The serialised form: version:8 | length of the rest:32 | fields in the order of the functions below. All integers in
// network order; texts and keys carry a 16-bit length, lists an 8-bit count, addresses their family as one byte.
#include "lib/ipsec/child_sa.hpp"

#include <cassert>

namespace sluice::ipsec {
namespace {

constexpr std::uint8_t kVersion = 2;
constexpr std::uint32_t kMaxReplayWindow = 65536;

enum Flag : std::uint8_t { kEsn = 1, kEncap = 2, kCopyEcn = 4, kOutboundReady = 8, kAllFlags = 15 };

void write_bytes(ByteWriter& out, Bytes bytes) {
    assert(bytes.size() <= 0xffff);
    out.u16(static_cast<std::uint16_t>(bytes.size()));
    out.raw(bytes);
}

void write_address(ByteWriter& out, const net::IpAddress& address) {
    out.u8(static_cast<std::uint8_t>(address.family()));
    out.raw(address.bytes());
}

void write_endpoint(ByteWriter& out, const net::Endpoint& endpoint) {
    write_address(out, endpoint.address);
    out.u16(endpoint.port);
}

void write_half(ByteWriter& out, const SaHalf& half) {
    out.u32(half.spi.value);
    out.u16(static_cast<std::uint16_t>(half.keys.encr));
    out.u16(half.keys.key_bits);
    out.u16(static_cast<std::uint16_t>(half.keys.integ));
    write_bytes(out, half.keys.encr_key.view());
    write_bytes(out, half.keys.integ_key.view());
}

void write_selectors(ByteWriter& out, const TrafficSelectors& list) {
    assert(list.size() <= 0xff);  // as many as a TS payload holds (RFC 7296 3.13)
    out.u8(static_cast<std::uint8_t>(list.size()));
    for (const TrafficSelector& ts : list) {
        write_address(out, ts.range.first);
        write_address(out, ts.range.last);
        out.u8(ts.protocol);
        out.u16(ts.start_port);
        out.u16(ts.end_port);
    }
}

void write_lifetime(ByteWriter& out, const Lifetime& lifetime) {
    out.u64(lifetime.soft_bytes);
    out.u64(lifetime.hard_bytes);
    out.u64(lifetime.soft_packets);
    out.u64(lifetime.hard_packets);
    out.u64(static_cast<std::uint64_t>(lifetime.soft_time.count()));
    out.u64(static_cast<std::uint64_t>(lifetime.hard_time.count()));
}

void write_rules(ByteWriter& out, const PacketRules& rules) {
    out.u16(rules.tfc_padding);
    out.u16(rules.mss_clamp);
    out.u8(rules.dscp);
    out.u8(rules.icmp ? 1 : 0);
    for (const Mark& mark : {rules.mark_in, rules.mark_out}) {
        out.u32(mark.value);
        out.u32(mark.mask);
    }
}

void write_fields(ByteWriter& out, const ChildSa& sa) {
    out.u32(sa.id.value);
    out.u32(sa.ike.value);
    write_bytes(out, as_bytes(sa.name));
    write_bytes(out, as_bytes(sa.ike_name));
    out.u32(sa.reqid);
    out.u32(sa.policy.value);
    out.u8(static_cast<std::uint8_t>(sa.mode));
    write_half(out, sa.inbound);
    write_half(out, sa.outbound);
    const int flags = (sa.esn ? kEsn : 0) | (sa.encap ? kEncap : 0) | (sa.copy_ecn ? kCopyEcn : 0) |
                      (sa.outbound_ready ? kOutboundReady : 0);
    out.u8(static_cast<std::uint8_t>(flags));
    out.u32(sa.replay_window);
    write_endpoint(out, sa.local);
    write_endpoint(out, sa.remote);
    write_selectors(out, sa.local_ts);
    write_selectors(out, sa.remote_ts);
    write_lifetime(out, sa.lifetime);
    out.u8(static_cast<std::uint8_t>(sa.df));
    out.u8(static_cast<std::uint8_t>(sa.dscp));
    out.u8(static_cast<std::uint8_t>(sa.workers));
    write_rules(out, sa.rules);
    out.u8(sa.iv_node.value);
    out.u16(sa.iv_incarnation.value);
    write_address(out, sa.segment_address);
}

// Reads the fields in order; the first failure sticks, and what is read after it is zero. Whoever uses it asks
// good() once, at the end.
class FieldReader {
  public:
    explicit FieldReader(Bytes bytes) : in_(bytes) {}

    bool good() const { return good_; }
    bool finished() const { return good_ && in_.empty(); }
    void require(bool condition) { good_ = good_ && condition; }

    std::uint8_t u8() { return integer(in_.u8()); }
    std::uint16_t u16() { return integer(in_.u16()); }
    std::uint32_t u32() { return integer(in_.u32()); }
    std::uint64_t u64() { return integer(in_.u64()); }
    Bytes bytes() { return take(u16()); }
    // Enumerators count from zero to last.
    template <class Enum>
    Enum enumerator(Enum last) {
        const std::uint8_t value = u8();
        require(value <= static_cast<std::uint8_t>(last));
        return good_ ? static_cast<Enum>(value) : Enum{};
    }
    Duration duration() {
        const std::uint64_t value = u64();
        require(value <= static_cast<std::uint64_t>(Duration::max().count()));
        return Duration(static_cast<Duration::rep>(good_ ? value : 0));
    }
    net::IpAddress address() {
        switch (u8()) {
            case 0:
                return {};
            case static_cast<std::uint8_t>(net::Family::v4):
                if (const Bytes b = take(4); good_) return net::IpAddress::v4(b.first<4>());
                return {};
            case static_cast<std::uint8_t>(net::Family::v6):
                if (const Bytes b = take(16); good_) return net::IpAddress::v6(b.first<16>());
                return {};
            default:
                require(false);
                return {};
        }
    }

  private:
    template <class T>
    T integer(std::optional<T> value) {
        require(value.has_value());
        return good_ ? *value : T{};
    }
    Bytes take(std::size_t size) {
        const auto head = in_.take(good_ ? size : 0);
        require(head.has_value());
        return good_ ? *head : Bytes{};
    }

    ByteReader in_;
    bool good_ = true;
};

std::string read_text(FieldReader& in) { return std::string(as_text(in.bytes())); }

net::Endpoint read_endpoint(FieldReader& in) {
    const net::IpAddress address = in.address();
    return {address, in.u16()};
}

// Algorithms must be known here, and keys as long as they need them: half an SA is of no use.
SaHalf read_half(FieldReader& in) {
    SaHalf half;
    half.spi = Spi(in.u32());
    half.keys.encr = static_cast<crypto::Encr>(in.u16());
    half.keys.key_bits = in.u16();
    half.keys.integ = static_cast<crypto::Integ>(in.u16());
    half.keys.encr_key = SecretBytes(in.bytes());
    half.keys.integ_key = SecretBytes(in.bytes());

    const crypto::EncrInfo* const encr = crypto::find_encr(half.keys.encr);
    const crypto::IntegInfo* const integ = crypto::find_integ(half.keys.integ);
    in.require(encr != nullptr && crypto::key_bits_valid(half.keys.encr, half.keys.key_bits));
    in.require(half.keys.integ == crypto::Integ::none || integ != nullptr);
    if (!in.good()) return half;
    in.require(encr->aead == (half.keys.integ == crypto::Integ::none));
    in.require(half.keys.encr_key.size() == crypto::keymat_size(half.keys.encr, half.keys.key_bits));
    in.require(half.keys.integ_key.size() == (encr->aead || integ == nullptr ? 0U : integ->key));
    return half;
}

TrafficSelectors read_selectors(FieldReader& in) {
    TrafficSelectors list;
    for (std::uint8_t left = in.u8(); left > 0 && in.good(); --left) {
        TrafficSelector ts;
        ts.range.first = in.address();
        ts.range.last = in.address();
        ts.protocol = in.u8();
        ts.start_port = in.u16();
        ts.end_port = in.u16();
        in.require(ts.range.first.family() == ts.range.last.family() && ts.range.first <= ts.range.last);
        in.require(ts.start_port <= ts.end_port || ts.is_opaque());
        list.push_back(ts);
    }
    return list;
}

Lifetime read_lifetime(FieldReader& in) {
    Lifetime lifetime;
    lifetime.soft_bytes = in.u64();
    lifetime.hard_bytes = in.u64();
    lifetime.soft_packets = in.u64();
    lifetime.hard_packets = in.u64();
    lifetime.soft_time = in.duration();
    lifetime.hard_time = in.duration();
    return lifetime;
}

PacketRules read_rules(FieldReader& in) {
    PacketRules rules;
    rules.tfc_padding = in.u16();
    rules.mss_clamp = in.u16();
    rules.dscp = in.u8();
    in.require(rules.dscp <= kMaxDscp || rules.dscp == kNoDscp);
    const std::uint8_t icmp = in.u8();
    in.require(icmp <= 1);
    rules.icmp = icmp == 1;
    for (Mark* mark : {&rules.mark_in, &rules.mark_out}) {
        mark->value = in.u32();
        mark->mask = in.u32();
        in.require((mark->value & ~mark->mask) == 0);
    }
    return rules;
}

void read_flags(FieldReader& in, ChildSa& sa) {
    const std::uint8_t flags = in.u8();
    in.require((flags & ~kAllFlags) == 0);
    sa.esn = (flags & kEsn) != 0;
    sa.encap = (flags & kEncap) != 0;
    sa.copy_ecn = (flags & kCopyEcn) != 0;
    sa.outbound_ready = (flags & kOutboundReady) != 0;
}

ChildSa read_fields(FieldReader& in) {
    ChildSa sa;
    sa.id = ChildSaId(in.u32());
    sa.ike = IkeSaId(in.u32());
    sa.name = read_text(in);
    sa.ike_name = read_text(in);
    sa.reqid = in.u32();
    sa.policy = PolicyId(in.u32());
    sa.mode = in.enumerator(Mode::transport);
    sa.inbound = read_half(in);
    sa.outbound = read_half(in);
    read_flags(in, sa);
    sa.replay_window = in.u32();
    in.require(sa.replay_window <= kMaxReplayWindow);
    sa.local = read_endpoint(in);
    sa.remote = read_endpoint(in);
    sa.local_ts = read_selectors(in);
    sa.remote_ts = read_selectors(in);
    sa.lifetime = read_lifetime(in);
    sa.df = in.enumerator(CopyDf::clear);
    sa.dscp = in.enumerator(CopyDscp::none);
    sa.workers = in.enumerator(Workers::spread);
    sa.rules = read_rules(in);
    sa.iv_node = NodeId(in.u8());
    in.require(sa.iv_node.value <= 15);
    sa.iv_incarnation = Incarnation(in.u16());
    sa.segment_address = in.address();
    return sa;
}

}  // namespace

void write_child_sa(ByteWriter& out, const ChildSa& sa) {
    out.u8(kVersion);
    const std::size_t length_at = out.size();
    out.u32(0);
    write_fields(out, sa);
    out.patch_u32(length_at, out.size() - length_at - 4);
}

Result<ChildSa> read_child_sa(ByteReader& in) {
    ByteReader cursor = in;  // in moves only when all of it was good
    const auto version = cursor.u8();
    if (!version) return fail(ErrorCode::invalid, "child SA: nothing there");
    if (*version != kVersion) {
        return fail(ErrorCode::unsupported, "child SA: version " + std::to_string(*version) + ", only " +
                                                std::to_string(kVersion) + " is known");
    }
    const auto length = cursor.u32();
    const auto body = length ? cursor.take(*length) : std::nullopt;
    if (!body) return fail(ErrorCode::invalid, "child SA: truncated");
    FieldReader fields(*body);
    ChildSa sa = read_fields(fields);
    if (!fields.finished()) return fail(ErrorCode::invalid, "child SA: a field is malformed or unknown");
    in = cursor;
    return sa;
}

}  // namespace sluice::ipsec
