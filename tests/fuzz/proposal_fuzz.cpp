// SPDX-License-Identifier: Apache-2.0
// Text that parses gives a proposal that negotiates with itself, and whose answer checks.
#include <cstdlib>

#include "lib/ipsec/proposal.hpp"

using namespace sluice;
using namespace sluice::ipsec;

namespace {

void check(bool ok) {
    if (!ok) std::abort();
}

void round_trip(std::string_view text, Protocol protocol) {
    const auto parsed = parse_proposal(text, protocol);
    if (!parsed) {
        check(!parsed.error().text.empty());
        return;
    }
    Proposal offer = *parsed;
    offer.number = 1;
    check(!to_string(offer).empty());
    const auto selection = select({*parsed}, {offer}, {});
    check(selection.has_value());
    const auto suite = check_answer({offer}, selection->chosen);
    check(suite.ok() && *suite == selection->suite);
}

// The bytes as a peer's transforms: whatever it offers, what is chosen checks as an answer to it.
void negotiate(Bytes bytes) {
    static const Proposals own = *parse_proposals({"default"}, Protocol::esp);
    Proposal offer{.number = 1, .protocol = Protocol::esp, .spi = {}, .transforms = {}};
    for (std::size_t i = 0; i + 3 <= bytes.size() && i < 300; i += 3) {
        const auto bits = static_cast<std::uint16_t>(bytes[i + 2] * 64);
        offer.transforms.push_back({TransformType{bytes[i]}, bytes[i + 1], bits});
    }
    (void)to_string(offer);
    for (const auto prefer : {Prefer::own_order, Prefer::peer_order}) {
        const auto selection = select(own, {offer}, {.prefer = prefer});
        if (selection) check(check_answer({offer}, selection->chosen).ok());
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes(data, size);
    round_trip(as_text(bytes), Protocol::ike);
    round_trip(as_text(bytes), Protocol::esp);
    negotiate(bytes);
    return 0;
}
