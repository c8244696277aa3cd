// SPDX-License-Identifier: Apache-2.0
#include "lib/net/path_mtu.hpp"

#include <catch2/catch.hpp>

using namespace sluice;
using namespace sluice::net;

TEST_CASE("TRAPS 40: a report narrows a path, down to the least and no further, and never widens it") {
    struct Row {
        const char* what;
        Family family;
        std::uint32_t mtu;
        std::uint32_t quoted;
        std::uint16_t current;
        std::uint16_t believed;
    };
    constexpr Family v4 = Family::v4, v6 = Family::v6;
    const Row rows[] = {
        {"a narrower link", v4, 1400, 1500, 1500, 1400},
        {"the same over IPv6", v6, 1400, 1500, 1500, 1400},
        {"what is known already", v4, 1400, 1500, 1400, 0},
        {"wider than what is known", v4, 1400, 1500, 1300, 0},
        {"not less than the packet that did not fit", v4, 1400, 1400, 1500, 0},
        {"below the least of IPv4: the least", v4, 68, 1500, 1500, 576},
        {"below the least of IPv4, for a packet that was no larger", v4, 68, 576, 1500, 0},
        {"the least of IPv6", v6, 1280, 1500, 1500, 1280},
        {"RFC 8201 4: below the least of IPv6 is no report", v6, 1279, 1500, 1500, 0},
        {"more than 16 bits", v6, 70000, 100000, 1500, 0},
        {"RFC 1191 7.1: an old router, a full frame", v4, 0, 1500, 1500, 1492},
        {"RFC 1191 7.1: an old router, the next step", v4, 0, 1492, 1500, 1006},
        {"RFC 1191 7.1: the last step", v4, 0, 1006, 1006, 576},
        {"RFC 1191 7.1: no step is left", v4, 0, 576, 1500, 0},
        {"a zero says nothing over IPv6", v6, 0, 1500, 1500, 0},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        CHECK(believed_path_mtu({.family = row.family, .mtu = row.mtu, .quoted = row.quoted}, row.current) ==
              row.believed);
    }
}
