// SPDX-License-Identifier: Apache-2.0
// A VICI message that decodes encodes to the same bytes and prints; a stream of packets ends in an error or is used up.
#include <cstdlib>

#include "control/vici/codec.hpp"
#include "control/vici/ctl.hpp"

using namespace sluice;
using namespace sluice::control::vici;

namespace {

void check(bool ok) {
    if (!ok) std::abort();
}

void round_trip(Bytes bytes) {
    const auto message = decode_message(bytes);
    if (!message) return;
    const auto again = encode_message(*message);
    check(again.ok() && equal(*again, bytes));
    (void)to_text(*message);
    check(!to_json(*message).empty());
    for (const auto format : {format_sa, format_conn, format_stats, format_version}) (void)format(*message);
}

void follow(Bytes bytes) {
    Deframer deframer;
    deframer.feed(bytes);
    while (true) {
        const auto packet = deframer.next();
        if (!packet || !*packet) return;
        const auto decoded = decode_packet(**packet);
        if (!decoded) continue;
        const auto again = encode_packet(*decoded);
        check(again.ok() && equal(Bytes(*again).subspan(4), **packet));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    round_trip({data, size});
    follow({data, size});
    return 0;
}
