// SPDX-License-Identifier: Apache-2.0
#include "lib/ipsec/segment.hpp"

#include <cstring>

#include "lib/base/be.hpp"
#include "lib/net/jhash.hpp"

namespace sluice::ipsec {
namespace {

constexpr std::uint32_t kRun = 16;  // d: consecutive sequence numbers that stay together

// The hashed bytes: an address and up to two words in network order.
class Key {
  public:
    explicit Key(const net::IpAddress& address) {
        std::memcpy(bytes_, address.bytes().data(), address.size());
        size_ = address.size();
    }
    Key& word(std::uint32_t value) {
        const Be32 be = Be32::of(value);
        std::memcpy(bytes_ + size_, &be, sizeof(be));
        size_ += sizeof(be);
        return *this;
    }
    Bytes view() const { return {bytes_, size_}; }

  private:
    Byte bytes_[16 + 4 + 4];
    std::size_t size_ = 0;
};

SegmentId segment(const SegmentHash& hash, const Key& key) {
    return SegmentId(
        static_cast<std::uint16_t>(net::reciprocal_scale(net::jhash(key.view(), hash.seed), hash.segments) + 1));
}

}  // namespace

SegmentId SegmentHash::ike(const net::IpAddress& peer) const { return segment(*this, Key(peer)); }

SegmentId SegmentHash::outbound(const net::IpAddress& peer, Spi spi) const {
    return segment(*this, Key(peer).word(spi.value));
}

SegmentId SegmentHash::inbound(const net::IpAddress& destination, Spi spi) const {
    return segment(*this, Key(destination).word(spi.value));
}

SegmentId SegmentHash::inbound_seq(const net::IpAddress& destination, Spi spi, std::uint32_t seq_low) const {
    return segment(*this, Key(destination).word(spi.value).word(seq_low & ~(kRun - 1)));
}

SequenceSegments::SequenceSegments(const SegmentHash& hash, const net::IpAddress& destination, Spi spi)
    : hash_(Key(destination).word(spi.value).view(), hash.seed), segments_(hash.segments) {}

}  // namespace sluice::ipsec
