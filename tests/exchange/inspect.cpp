// SPDX-License-Identifier: Apache-2.0
#include "tests/exchange/inspect.hpp"

#include <stdexcept>

#include "ike/protect.hpp"
#include "ike/save.hpp"

namespace sluice::test {

ike::IkeSa inspect(const Node& node) {
    SeededRandom random(99);
    ike::EngineState reader(node.config, random);
    for (const ike::ConnectionConfig& connection : node.connections)
        reader.connections.push_back(std::make_shared<const ike::ConnectionConfig>(connection));
    for (const IkeSaId id : node.engine->ids()) {
        Result<ByteVec> saved = node.engine->save(id);
        if (!saved) continue;
        Result<ike::IkeSa> sa = ike::load_ike_sa(reader, *saved, Instant{} + std::chrono::hours(1));
        if (sa && sa->phase != ike::Phase::closed) return *std::move(sa);
    }
    throw std::runtime_error(node.name + " has no IKE SA");
}

Flight forge(const Node& as, const Forged& what) {
    const ike::IkeSa sa = inspect(as);
    const ike::Header header{.initiator_spi = sa.initiator_spi(),
                             .responder_spi = sa.responder_spi(),
                             .exchange = what.exchange,
                             .initiator = sa.initiator,
                             .response = what.response,
                             .message_id = what.message_id.value_or(sa.next_id)};
    const ByteVec iv(crypto::cipher_iv_size(sa.own_keys()), 0xee);
    Result<ByteVec> bytes = ike::seal(header, what.payloads, sa.own_keys(), iv);
    if (!bytes) throw std::runtime_error(bytes.error().text);
    return {sa.path.local, sa.path.remote, *std::move(bytes), sa.path.marker, 0};
}

ike::Message unseal(const Node& sender, Bytes bytes) {
    const ike::Opened message = ike::open(bytes, inspect(sender).own_keys());
    if (!message) throw std::runtime_error("does not open: " + message.failure().to_string());
    return *message;
}

ByteVec nonce(Byte first) {
    ByteVec bytes(32, 0x55);
    bytes[0] = first;
    return bytes;
}

const Flight& last_from(const World& world, const Node& node) {
    const auto& sent = world.sent();
    for (auto flight = sent.rbegin(); flight != sent.rend(); ++flight)
        if (flight->from.address == node.address) return *flight;
    throw std::runtime_error(node.name + " has sent nothing");
}

std::size_t count_from(const World& world, const Node& node) {
    std::size_t count = 0;
    for (const Flight& flight : world.sent())
        if (flight.from.address == node.address) ++count;
    return count;
}

}  // namespace sluice::test
