// SPDX-License-Identifier: Apache-2.0
// What parses must build, and what was built must parse into the same and build into the same bytes. The input is read
// as a whole message, and as what stands inside SK: its first byte names the first payload, its second the exchange.
#include <cstdlib>

#include "ike/message.hpp"

namespace sluice::ike {
namespace {

void check(bool holds) {
    if (!holds) std::abort();
}

void whole_message(Bytes bytes) {
    const auto header = parse_header(bytes);
    const auto parsed = parse_message(bytes);
    if (!parsed) {
        static_cast<void>(parsed.failure().to_string());
        return;
    }
    check(header && *header == parsed->header);
    static_cast<void>(to_string(*parsed));
    const ByteVec built = build_message(*parsed);
    const auto again = parse_message(built);
    check(again && *again == *parsed && build_message(*again) == built);
}

void inner_chain(Bytes bytes) {
    if (bytes.size() < 2) return;
    const auto exchange = ExchangeType{bytes[1]};
    const auto parsed = parse_chain(PayloadType{bytes[0]}, exchange, bytes.subspan(2));
    if (!parsed) return;
    const Chain built = build_chain(*parsed);
    const auto again = parse_chain(built.first, exchange, built.bytes);
    check(again && *again == *parsed && build_chain(*again).bytes == built.bytes);
}

}  // namespace
}  // namespace sluice::ike

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    sluice::ike::whole_message({data, size});
    sluice::ike::inner_chain({data, size});
    return 0;
}
