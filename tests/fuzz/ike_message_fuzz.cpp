// SPDX-License-Identifier: Apache-2.0
// What parses must build, and what was built must parse into the same message and build into the same bytes.
#include <cstdlib>

#include "ike/message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sluice;
    const Bytes bytes(data, size);
    const auto header = ike::parse_header(bytes);
    const auto parsed = ike::parse_message(bytes);
    if (!parsed) {
        static_cast<void>(parsed.failure().to_string());
        return 0;
    }
    if (!header || *header != parsed->header) std::abort();
    static_cast<void>(ike::to_string(*parsed));
    const ByteVec built = ike::build_message(*parsed);
    const auto again = ike::parse_message(built);
    if (!again || !(*again == *parsed) || ike::build_message(*again) != built) std::abort();
    return 0;
}
