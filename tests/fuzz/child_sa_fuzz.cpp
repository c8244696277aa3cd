// SPDX-License-Identifier: Apache-2.0
// A child SA that is read can be written and read again, and is the same.
#include <cstdlib>

#include "lib/ipsec/child_sa.hpp"

using namespace sluice;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ByteReader in(Bytes(data, size));
    const auto sa = ipsec::read_child_sa(in);
    if (!sa) return 0;
    ByteWriter out;
    ipsec::write_child_sa(out, *sa);
    ByteReader again(out.view());
    const auto copy = ipsec::read_child_sa(again);
    if (!copy || !(*copy == *sa) || !equal(out.view(), Bytes(data, size - in.remaining()))) std::abort();
    return 0;
}
