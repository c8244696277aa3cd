// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ike/exchange.hpp"
#include "tests/exchange/world.hpp"

namespace sluice::test {

// What an engine knows of an IKE SA, read from its saved form: the first that is not closed.
ike::IkeSa inspect(const Node& node);

// A request that the node could have sent next, but did not: sealed with its keys.
struct Forged {
    ike::ExchangeType exchange = ike::ExchangeType::informational;
    std::vector<ike::Payload> payloads;
    std::optional<std::uint32_t> message_id;  // default: the next one
    bool response = false;
};
Flight forge(const Node& as, const Forged& what);
// What a node sent, opened with its keys. Throws where it does not open.
ike::Message unseal(const Node& sender, Bytes bytes);

// A nonce that compares as its first byte.
ByteVec nonce(Byte first);

// The last datagram that came from an address; throws where there is none.
const Flight& last_from(const World& world, const Node& node);
std::size_t count_from(const World& world, const Node& node);

}  // namespace sluice::test
