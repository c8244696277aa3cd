// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tests/exchange/world.hpp"

namespace sluice::test {

// A ladder as data: what begins when, which message is lost or late, which nonces are drawn, and what is left.
enum class Side { moon, sun, either, nobody };

enum class Do {
    rekey_child,
    rekey_ike,
    reauthenticate,
    delete_child,
    delete_ike,
    second_child,  // a new child, "more"
    soft_expire,   // the backend says so
};
struct Begin {
    int at_ms = 0;
    Side side = Side::moon;
    Do what = Do::rekey_child;
};

enum class Step { create, created, inform, informed };  // CREATE_CHILD_SA and INFORMATIONAL, request and response
inline constexpr int kLost = -1;
struct Fault {
    Side from = Side::moon;
    Step step = Step::create;
    int nth = 1;  // of its kind from this end since the ladder began
    int late_ms = kLost;
};

// First bytes of the nonces that an end draws, in order; where both ends begin at once: Ni of its own, Nr of the
// peer's.
struct Draws {
    std::vector<Byte> moon;
    std::vector<Byte> sun;
};

struct Ladder {
    std::string name;  // RFC 7296 section, TRAPS number, what happens
    std::vector<Begin> begins;
    std::vector<Fault> faults = {};
    Draws draws = {};
    // What is left: one IKE SA with so many children, whose initiators, and whether they are other ones than before.
    std::size_t children = 1;
    Side child_of = Side::either;
    Side ike_of = Side::either;
    bool child_new = false;
    bool ike_new = false;
    bool gapless = true;  // each end can send, and the peer can open what it sends, at every moment
    std::string esp = "aes128gcm16";
    std::string sun_esp = {};  // where it differs
};

enum class Restore { never, between_messages };
// Runs it. What is wrong, one per line; empty: all as expected.
std::string run_ladder(const Ladder& ladder, Restore restore);

}  // namespace sluice::test
