// SPDX-License-Identifier: Apache-2.0
#include "ike/key_log.hpp"

namespace sluice::ike {
namespace {

std::string hex(std::uint64_t value, int digits) {
    std::string text;
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) text += "0123456789abcdef"[value >> shift & 15];
    return text;
}

template <class Id>
std::string number(Id id) {
    return std::to_string(static_cast<unsigned>(id));
}

std::string quoted(const std::string& text) { return '"' + text + '"'; }

enum class Direction { out, in };

std::string half_line(const ipsec::ChildSa& child, Direction direction) {
    const bool out = direction == Direction::out;
    const ipsec::SaHalf& half = out ? child.outbound : child.inbound;
    const crypto::CipherKeys& keys = half.keys;
    const net::IpAddress& source = out ? child.local.address : child.remote.address;
    const net::IpAddress& destination = out ? child.remote.address : child.local.address;
    return R"({"t":"esp","dir":)" + quoted(out ? "out" : "in") + R"(,"spi":)" + quoted("0x" + hex(half.spi.value, 8)) +
           R"(,"src":)" + quoted(source.to_string()) + R"(,"dst":)" + quoted(destination.to_string()) + R"(,"encr":)" +
           number(keys.encr) + R"(,"key_bits":)" + std::to_string(keys.key_bits) + R"(,"integ":)" + number(keys.integ) +
           R"(,"esn":)" + (child.esn ? "true" : "false") + R"(,"encr_key":)" + quoted(to_hex(keys.encr_key.view())) +
           R"(,"integ_key":)" + quoted(to_hex(keys.integ_key.view())) + "}";
}

}  // namespace

void log_ike_keys(EngineState& engine, const IkeSa& sa) {
    const crypto::CipherKeys& i = sa.keys.initiator;
    const crypto::CipherKeys& r = sa.keys.responder;
    engine.out.push_back(
        KeyLogged{R"({"t":"ike","spi_i":)" + quoted(hex(sa.initiator_spi(), 16)) + R"(,"spi_r":)" +
                  quoted(hex(sa.responder_spi(), 16)) + R"(,"encr":)" + number(sa.suite.encr) + R"(,"key_bits":)" +
                  std::to_string(sa.suite.key_bits) + R"(,"integ":)" + number(sa.suite.integ) + R"(,"prf":)" +
                  number(sa.suite.prf) + R"(,"sk_ei":)" + quoted(to_hex(i.encr_key.view())) + R"(,"sk_er":)" +
                  quoted(to_hex(r.encr_key.view())) + R"(,"sk_ai":)" + quoted(to_hex(i.integ_key.view())) +
                  R"(,"sk_ar":)" + quoted(to_hex(r.integ_key.view())) + "}"});
}

void log_child_keys(EngineState& engine, const ipsec::ChildSa& child) {
    engine.out.push_back(KeyLogged{half_line(child, Direction::out)});
    engine.out.push_back(KeyLogged{half_line(child, Direction::in)});
}

}  // namespace sluice::ike
