// SPDX-License-Identifier: Apache-2.0
// Text that parses prints as text that parses to the same selector, and the selector is its own intersection.
#include <cstdlib>

#include "lib/ipsec/traffic_selector.hpp"

using namespace sluice;
using namespace sluice::ipsec;

namespace {

void check(bool ok) {
    if (!ok) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto parsed = ConfiguredSelector::parse(as_text(Bytes(data, size)));
    if (!parsed) {
        check(!parsed.error().text.empty());
        return 0;
    }
    const auto again = ConfiguredSelector::parse(parsed->to_string());
    check(again.ok() && *again == *parsed);
    const TrafficSelector selector = parsed->resolve(net::IpAddress::v4(0xc0000201));
    check(selector.contains(selector) && selector.intersect(selector) == selector);
    check(narrow({selector, selector}, {selector}) == TrafficSelectors{selector});
    return 0;
}
