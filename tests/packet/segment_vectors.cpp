// SPDX-License-Identifier: Apache-2.0
// Reads lines "KIND ADDRESS SPI SEQ SEED N" (integers in decimal) from standard input and prints the segment of each,
// as this project computes it; segment_kernel_test.py compares them with the running kernel's.
#include <iostream>

#include "lib/ipsec/segment.hpp"

using namespace sluice;

int main() {
    std::string kind, text;
    std::uint32_t spi = 0, seq = 0, seed = 0;
    std::uint16_t n = 0;
    while (std::cin >> kind >> text >> spi >> seq >> seed >> n) {
        const auto address = net::IpAddress::parse(text);
        if (!address) return 2;
        const ipsec::SegmentHash hash{.seed = seed, .segments = n};
        SegmentId segment;
        if (kind == "ike") {
            segment = hash.ike(*address);
        } else if (kind == "sa") {
            segment = hash.inbound(*address, Spi(spi));
        } else if (kind == "seq") {
            segment = hash.inbound_seq(*address, Spi(spi), seq);
        } else {
            return 2;
        }
        std::cout << segment.value << "\n";
    }
    return std::cin.eof() ? 0 : 2;
}
