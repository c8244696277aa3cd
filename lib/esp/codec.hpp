// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "lib/base/strong.hpp"
#include "lib/crypto/cipher.hpp"
#include "lib/esp/layout.hpp"
#include "lib/esp/trailer.hpp"

namespace sluice::esp {

// The reference ESP codec (RFC 4303) over lib/crypto: bytes in, bytes out, no SA state. Tests and tools use it; the
// workers have their own path over IPsec-MB, which is compared with it. It does not know tunnel from transport, replay
// windows, lifetimes or policy.

struct Codec {
    const crypto::CipherKeys& keys;
    bool esn = false;
    Layout layout() const;
};

struct SealInput {
    Spi spi;
    Seq seq;   // full; without ESN below 2^32
    Bytes iv;  // layout().iv_size bytes
    std::uint8_t next_header = 0;
    Bytes inner;
};
// Writes layout().esp_size(inner.size()) bytes to out, which has exactly that size (asserted).
Result<void> seal(const Codec& codec, const SealInput& input, MutBytes out);

struct OpenOutput {
    Fault fault = Fault::none;
    std::uint8_t next_header = 0;
    MutBytes inner = {};  // inside the packet; empty unless fault is none
};
// Opens an ESP packet in place, given the full number that was inferred for it. Steps in the RFC's order: sizes, ICV,
// decryption, padding, dummy, inner length. The caller has looked up the SA by SPI and checked for replay.
OpenOutput open(const Codec& codec, Seq seq, MutBytes packet);

// What stands in for the header in the ICV. AEAD: SPI | sequence, all 64 bits with ESN (RFC 4106 5, RFC 7634 2.1).
// Otherwise SPI | low half, and tail() is the high half after the ciphertext (RFC 4303 2.2.1).
class AuthenticatedHeader {
  public:
    AuthenticatedHeader(Spi spi, Seq seq, bool esn, bool aead);
    Bytes head() const { return {head_, head_size_}; }
    Bytes tail() const { return {tail_, tail_size_}; }

  private:
    Byte head_[12] = {};
    Byte tail_[4] = {};
    std::size_t head_size_ = 8;
    std::size_t tail_size_ = 0;
};

}  // namespace sluice::esp
