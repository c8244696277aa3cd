// SPDX-License-Identifier: Apache-2.0
#include "ike/natd.hpp"

#include <algorithm>

#include "lib/base/byte_writer.hpp"
#include "lib/crypto/prf.hpp"

namespace sluice::ike {
namespace {

// Whether any of the notifies carries the hash. A sender with several addresses may send several (RFC 7296 2.23).
bool any_matches(const std::vector<const NotifyPayload*>& notifies, Bytes hash) {
    return std::any_of(notifies.begin(), notifies.end(),
                       [&](const NotifyPayload* notify) { return equal(notify->data, hash); });
}

}  // namespace

std::array<Byte, 20> nat_detection_hash(std::uint64_t initiator_spi, std::uint64_t responder_spi,
                                        const net::Endpoint& endpoint) {
    ByteWriter out;
    out.u64(initiator_spi);
    out.u64(responder_spi);
    out.raw(endpoint.address.bytes());
    out.u16(endpoint.port);
    return crypto::sha1({out.view()});
}

NatFindings detect_nat(const Message& message, const net::Endpoint& local, const net::Endpoint& remote) {
    const auto sources = message.notifies(NotifyType::nat_detection_source_ip);
    const auto destinations = message.notifies(NotifyType::nat_detection_destination_ip);
    if (sources.empty() || destinations.empty()) return {};
    const Header& header = message.header;
    const auto remote_hash = nat_detection_hash(header.initiator_spi, header.responder_spi, remote);
    const auto local_hash = nat_detection_hash(header.initiator_spi, header.responder_spi, local);
    return {true, !any_matches(sources, remote_hash), !any_matches(destinations, local_hash)};
}

}  // namespace sluice::ike
