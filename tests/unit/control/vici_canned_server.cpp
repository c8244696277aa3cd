// SPDX-License-Identifier: Apache-2.0

// Serves canned views at the URI of its argument until its standard input ends: the other end for a real swanctl.
#include <cstdio>

#include "tests/unit/control/vici_live.hpp"

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const sluice::control::vici::LiveServer server(argv[1]);
    if (!server.listening()) return 1;
    std::puts("listening");
    std::fflush(stdout);
    while (std::getchar() != EOF) {
    }
    return 0;
}
