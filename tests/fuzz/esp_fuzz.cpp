// SPDX-License-Identifier: Apache-2.0
// What stands inside ESP, under a key that the fuzzer has: text of any kind is sealed and opened, and never read past
// its end.
#include <cstdlib>

#include "lib/esp/codec.hpp"
#include "lib/esp/encap.hpp"

using namespace sluice;
using namespace sluice::esp;

namespace {

void check(bool ok) {
    if (!ok) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes(data, size);
    (void)classify_udp(bytes);
    const Trailer trailer = read_trailer(bytes);
    if (trailer.fault == Fault::none) {
        check(trailer.payload_size + kTrailerSize <= size);
        const InnerLength inner = inner_length(bytes.first(trailer.payload_size), trailer.next_header);
        if (inner.fault == Fault::none) check(inner.size <= trailer.payload_size);
    }
    static const crypto::CipherKeys keys{.encr = crypto::Encr::aes_gcm_16,
                                         .key_bits = 128,
                                         .integ = crypto::Integ::none,
                                         .encr_key = SecretBytes(ByteVec(20, 7)),
                                         .integ_key = {}};
    const Codec codec{keys, true};
    ByteVec packet(bytes.begin(), bytes.end());
    check(open(codec, Seq(1), packet).fault != Fault::none);  // nobody guesses an ICV

    const Byte iv[8] = {};
    ByteVec sealed(codec.layout().esp_size(size));
    check(seal(codec, {Spi(0x1001), Seq(5), iv, 17, bytes}, sealed).ok());
    const OpenOutput opened = open(codec, Seq(5), sealed);
    check(opened.fault == Fault::none && equal(opened.inner, bytes));
    return 0;
}
