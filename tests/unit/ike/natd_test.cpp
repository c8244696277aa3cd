// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "ike/natd.hpp"
#include "tests/unit/ike/peer_record.hpp"

namespace sluice::ike {
namespace {

const net::Endpoint kAlice{*net::IpAddress::parse("192.0.2.2"), 500};
const net::Endpoint kBob{*net::IpAddress::parse("192.0.2.1"), 500};

NotifyPayload hash_notify(NotifyType type, const net::Endpoint& endpoint) {
    const auto hash = nat_detection_hash(0x7f71ac0361200361, 0, endpoint);
    return {type, ipsec::Protocol::none, {}, {hash.begin(), hash.end()}};
}

Message from_alice(const std::vector<net::Endpoint>& sources) {
    Message message;
    message.header.initiator_spi = 0x7f71ac0361200361;
    for (const auto& source : sources)
        message.payloads.emplace_back(hash_notify(NotifyType::nat_detection_source_ip, source));
    message.payloads.emplace_back(hash_notify(NotifyType::nat_detection_destination_ip, kBob));
    return message;
}

}  // namespace

TEST_CASE("TRAPS 24, 62: the hash is that of a peer for the same SPIs and addresses") {
    // strongSwan's own hash of 192.0.2.1:500 for this SPIi, taken off the wire.
    CHECK(to_hex(nat_detection_hash(0x7f71ac0361200361, 0, kBob)) == "abfd8f31636408543ebcb274dcb684ee0de7450f");
}

TEST_CASE("TRAPS 24: who is behind a NAT follows from what does not match") {
    const net::Endpoint mapped{*net::IpAddress::parse("198.51.100.9"), 1024};
    CHECK(detect_nat(from_alice({kAlice}), kBob, kAlice) == NatFindings{true, false, false});
    CHECK(detect_nat(from_alice({kAlice}), kBob, mapped) == NatFindings{true, true, false});
    CHECK(detect_nat(from_alice({kAlice}), mapped, kAlice) == NatFindings{true, false, true});
    // Any of several source hashes will do.
    CHECK(detect_nat(from_alice({mapped, kAlice}), kBob, kAlice) == NatFindings{true, false, false});
}

TEST_CASE("TRAPS 24: without both kinds of notify the peer knows no NAT traversal") {
    Message message = from_alice({});
    CHECK(detect_nat(message, kBob, kAlice) == NatFindings{});
    CHECK(detect_nat(Message{}, kBob, kAlice) == NatFindings{});
}

TEST_CASE("An IPv6 address goes into the hash with its 16 bytes") {
    const net::Endpoint v6{*net::IpAddress::parse("2001:db8::1"), 4500};
    const net::Endpoint v6_other{*net::IpAddress::parse("2001:db8::2"), 4500};
    CHECK(nat_detection_hash(1, 2, v6) != nat_detection_hash(1, 2, v6_other));
    CHECK(nat_detection_hash(1, 2, v6) != nat_detection_hash(2, 1, v6));
}

}  // namespace sluice::ike
