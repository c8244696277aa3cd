// SPDX-License-Identifier: Apache-2.0
#include "lib/esp/codec.hpp"

#include <cassert>

namespace sluice::esp {
namespace {

bool is_aead(const crypto::CipherKeys& keys) {
    const crypto::EncrInfo* const info = crypto::find_encr(keys.encr);
    return info != nullptr && info->aead;
}

}  // namespace

AuthenticatedHeader::AuthenticatedHeader(Spi spi, Seq seq, bool esn, bool aead) {
    const Be32 high = Be32::of(static_cast<std::uint32_t>(seq.value >> 32));
    const Be32 low = Be32::of(static_cast<std::uint32_t>(seq.value));
    const MutBytes head(head_);
    net::store(head, Be32::of(spi.value));
    if (esn && aead) {
        net::store(head.subspan(4), high);
        net::store(head.subspan(8), low);
        head_size_ = 12;
        return;
    }
    net::store(head.subspan(4), low);
    if (esn) {
        net::store(MutBytes(tail_), high);
        tail_size_ = 4;
    }
}

Layout Codec::layout() const {
    const crypto::EncrInfo* const encr = crypto::find_encr(keys.encr);
    assert(encr != nullptr);
    return Layout::of(*encr, crypto::find_integ(keys.integ));
}

Result<void> seal(const Codec& codec, const SealInput& input, MutBytes out) {
    const Layout layout = codec.layout();
    assert(out.size() == layout.esp_size(input.inner.size()) && input.iv.size() == layout.iv_size);
    // 1. Header and IV.
    net::store(out, net::EspHeader{.spi = Be32::of(input.spi.value),
                                   .sequence = Be32::of(static_cast<std::uint32_t>(input.seq.value))});
    std::copy(input.iv.begin(), input.iv.end(), out.begin() + kHeaderSize);
    // 2. The inner packet and its trailer.
    const MutBytes text = out.subspan(layout.text_offset(), layout.text_size(input.inner.size()));
    std::copy(input.inner.begin(), input.inner.end(), text.begin());
    write_trailer(text.subspan(input.inner.size()), input.next_header);
    // 3. Encryption and ICV.
    const AuthenticatedHeader header(input.spi, input.seq, codec.esn, is_aead(codec.keys));
    return crypto::cipher_seal(codec.keys, header.head(), input.iv, text, out.last(layout.icv_size), header.tail());
}

OpenOutput open(const Codec& codec, Seq seq, MutBytes packet) {
    const Layout layout = codec.layout();
    // 1. Sizes, before anything is read.
    if (!layout.size_valid(packet.size())) return {.fault = Fault::size};
    const Spi spi(net::load<net::EspHeader>(packet).spi.host());
    const Bytes iv = packet.subspan(kHeaderSize, layout.iv_size);
    const MutBytes text = packet.subspan(layout.text_offset(), layout.text_size_of(packet.size()));
    // 2. ICV, then decryption.
    const AuthenticatedHeader header(spi, seq, codec.esn, is_aead(codec.keys));
    const auto opened =
        crypto::cipher_open(codec.keys, header.head(), iv, text, packet.last(layout.icv_size), header.tail());
    if (!opened) return {.fault = Fault::icv};
    // 3. Padding, dummy packets, and what is longer than the inner packet says.
    const Trailer trailer = read_trailer(text);
    if (trailer.fault != Fault::none) return {.fault = trailer.fault, .next_header = trailer.next_header};
    const InnerLength inner = inner_length(text.first(trailer.payload_size), trailer.next_header);
    if (inner.fault != Fault::none) return {.fault = inner.fault, .next_header = trailer.next_header};
    return {.next_header = trailer.next_header, .inner = text.first(inner.size)};
}

}  // namespace sluice::esp
