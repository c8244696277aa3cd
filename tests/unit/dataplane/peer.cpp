// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/dataplane/peer.hpp"

#include <stdexcept>

#include "lib/base/byte_writer.hpp"
#include "lib/crypto/cipher.hpp"

namespace sluice::test {

namespace {

net::IpAddress address(const char* text) { return *net::IpAddress::parse(text); }

}  // namespace

dataplane::HostView host_view() {
    dataplane::HostView v;
    v.addresses = {{address("10.1.0.1"), 24, kLan},
                   {address("fd01::1"), 64, kLan},
                   {address("192.0.2.1"), 24, kWan},
                   {address("2001:db8::1"), 64, kWan}};
    v.routes = {{*net::Prefix::parse("10.2.0.0/16"), address("192.0.2.2"), kWan, 0, false},
                {*net::Prefix::parse("fd02::/64"), address("2001:db8::2"), kWan, 0, false},
                {*net::Prefix::parse("198.51.100.0/24"), address("192.0.2.2"), kWan, 0, false},
                {*net::Prefix::parse("203.0.113.0/24"), {}, kWan, 0, true}};
    v.neighbours = {{address("10.1.0.10"), kAliceMac, kLan},
                    {address("fd01::10"), kAliceMac, kLan},
                    {address("192.0.2.2"), kPeerMac, kWan},
                    {address("2001:db8::2"), kPeerMac, kWan}};
    return v;
}

const std::vector<Suite>& all_suites() {
    using crypto::Encr;
    using crypto::Integ;
    static const std::vector<Suite> suites = {
        {"aes128gcm16", Encr::aes_gcm_16, 128, Integ::none},
        {"aes192gcm16", Encr::aes_gcm_16, 192, Integ::none},
        {"aes256gcm16", Encr::aes_gcm_16, 256, Integ::none},
        {"aes128gcm12", Encr::aes_gcm_12, 128, Integ::none},
        {"aes256gcm8", Encr::aes_gcm_8, 256, Integ::none},
        {"chacha20poly1305", Encr::chacha20_poly1305, 256, Integ::none},
        {"aes128-sha256", Encr::aes_cbc, 128, Integ::hmac_sha2_256_128},
        {"aes192-sha384", Encr::aes_cbc, 192, Integ::hmac_sha2_384_192},
        {"aes256-sha384", Encr::aes_cbc, 256, Integ::hmac_sha2_384_192},
        {"aes256-sha512", Encr::aes_cbc, 256, Integ::hmac_sha2_512_256},
        {"aes128gmac", Encr::null_auth_aes_gmac, 128, Integ::none},
        {"aes256gmac", Encr::null_auth_aes_gmac, 256, Integ::none},
        {"aes128ccm16", Encr::aes_ccm_16, 128, Integ::none},
        {"aes192ccm12", Encr::aes_ccm_12, 192, Integ::none},
        {"aes256ccm8", Encr::aes_ccm_8, 256, Integ::none},
        {"aes128ctr-sha1", Encr::aes_ctr, 128, Integ::hmac_sha1_96},
        {"aes256ctr-sha512", Encr::aes_ctr, 256, Integ::hmac_sha2_512_256},
        {"aes128-sha1", Encr::aes_cbc, 128, Integ::hmac_sha1_96},
        {"aes128-aesxcbc", Encr::aes_cbc, 128, Integ::aes_xcbc_96},
        {"aes256-aescmac", Encr::aes_cbc, 256, Integ::aes_cmac_96},
        {"null-sha1", Encr::null, 0, Integ::hmac_sha1_96},
        {"null-aescmac", Encr::null, 0, Integ::aes_cmac_96},
        {"null-sha256", Encr::null, 0, Integ::hmac_sha2_256_128},
        {"null-sha384", Encr::null, 0, Integ::hmac_sha2_384_192},
        {"null-sha512", Encr::null, 0, Integ::hmac_sha2_512_256},
    };
    return suites;
}

namespace {

ipsec::TrafficSelector selector(const char* prefix) {
    return {.range = net::AddressRange::of(*net::Prefix::parse(prefix))};
}

crypto::CipherKeys make_keys(const Suite& suite, unsigned seed) {
    crypto::CipherKeys k;
    k.encr = suite.encr;
    k.key_bits = suite.key_bits;
    k.integ = suite.integ;
    k.encr_key = SecretBytes(crypto::keymat_size(suite.encr, suite.key_bits));
    if (suite.integ != crypto::Integ::none) k.integ_key = SecretBytes(crypto::find_integ(suite.integ)->key);
    unsigned v = seed * 2654435761U;
    const auto fill = [&](MutBytes bytes) {
        for (Byte& b : bytes) b = static_cast<Byte>((v = v * 1664525U + 1013904223U) >> 24);
    };
    fill(k.encr_key.mutable_view());
    fill(k.integ_key.mutable_view());
    return k;
}

}  // namespace

ipsec::ChildSa make_child(const ChildOptions& o) {
    ipsec::ChildSa c;
    c.id = ChildSaId{o.id};
    c.ike = IkeSaId{1};
    c.name = "net";
    c.ike_name = "carol";
    c.policy = o.policy;
    c.inbound = {Spi{0x1000 + o.id}, make_keys(o.suite, 2 * o.id)};
    c.outbound = {Spi{0xabcd0000 + o.id}, make_keys(o.suite, 2 * o.id + 1)};
    c.esn = o.esn;
    c.replay_window = o.replay_window;
    c.workers = o.workers;
    c.local = {o.outer_v6 ? address("2001:db8::1") : address("192.0.2.1"), 4500};
    c.remote = {o.outer_v6 ? address("2001:db8::2") : address("192.0.2.2"), 4500};
    c.encap = o.encap;
    c.local_ts = {selector("10.1.0.0/24"), selector("fd01::/64")};
    c.remote_ts = {selector("10.2.0.0/16"), selector("fd02::/64")};
    c.iv_node = NodeId{3};
    c.iv_incarnation = Incarnation{0x1234};
    c.segment_address = c.remote.address;
    return c;
}

ipsec::Spd make_spd(bool trap) {
    ipsec::Spd spd;
    const ipsec::ChildSa c = make_child();
    ipsec::Policy p;
    p.id = PolicyId{1};
    p.name = "net";
    p.action = ipsec::PolicyAction::protect;
    p.local = c.local_ts;
    p.remote = c.remote_ts;
    p.trap = trap;
    spd.policies = {p};
    return spd;
}

ByteVec Peer::seal(Bytes inner, std::uint64_t seq, std::uint8_t next_header, std::uint8_t outer_tos) {
    if (seq == 0) seq = next_seq++;
    const esp::Codec codec{child_.inbound.keys, child_.esn};
    ByteVec iv(codec.layout().iv_size);
    for (std::size_t i = 0; i < iv.size(); ++i) iv[i] = static_cast<Byte>(seq >> (8 * (i % 8)));
    if (next_header == 0) next_header = inner[0] >> 4 == 4 ? 4 : 41;
    ByteVec esp(codec.layout().esp_size(inner.size()));
    const auto done = esp::seal(codec, {child_.inbound.spi, Seq{seq}, iv, next_header, inner}, esp);
    if (!done) throw std::runtime_error(done.error().text);
    return wrap(esp, outer_tos);
}

ByteVec Peer::seal_text(Bytes text, std::uint64_t seq) {
    if (seq == 0) seq = next_seq++;
    const esp::Layout layout = esp::Codec{child_.inbound.keys, child_.esn}.layout();
    const bool aead = child_.inbound.keys.integ == crypto::Integ::none;
    const esp::AuthenticatedHeader auth(child_.inbound.spi, Seq{seq}, child_.esn, aead);
    ByteWriter w;
    w.u32(child_.inbound.spi.value);
    w.u32(static_cast<std::uint32_t>(seq));
    for (unsigned i = 0; i < layout.iv_size; ++i) w.u8(static_cast<std::uint8_t>(seq + i));
    w.raw(text);
    w.zeros(layout.icv_size);
    const MutBytes all = w.mutable_view();
    const auto done =
        crypto::cipher_seal(child_.inbound.keys, auth.head(), all.subspan(8, layout.iv_size),
                            all.subspan(layout.text_offset(), text.size()), all.last(layout.icv_size), auth.tail());
    if (!done) throw std::runtime_error(done.error().text);
    return wrap(w.view(), 0);
}

ByteVec Peer::wrap(Bytes esp, std::uint8_t outer_tos) const {
    Ip ip{.source = child_.remote.address.to_string(), .destination = child_.local.address.to_string()};
    ip.tos = outer_tos;
    if (!child_.encap) return ethernet(kWanMac, kPeerMac, ip_packet(ip, 50, esp));
    ByteWriter udp;
    udp.u16(child_.remote.port);
    udp.u16(child_.local.port);
    udp.u16(static_cast<std::uint16_t>(8 + esp.size()));
    udp.u16(0);
    udp.raw(esp);
    return ethernet(kWanMac, kPeerMac, ip_packet(ip, 17, udp.view()));
}

Bytes Peer::esp_of(const ByteVec& frame) const {
    const std::size_t ip = child_.remote.address.is_v4() ? 20 : 40;
    return Bytes(frame).subspan(14 + ip + (child_.encap ? 8 : 0));
}

std::optional<ByteVec> Peer::open(const ByteVec& frame, std::uint64_t seq) {
    ByteVec packet = to_vec(esp_of(frame));
    const esp::Codec codec{child_.outbound.keys, child_.esn};
    const auto out = esp::open(codec, Seq{seq}, packet);
    if (out.fault != esp::Fault::none) return std::nullopt;
    return to_vec(out.inner);
}

}  // namespace sluice::test
