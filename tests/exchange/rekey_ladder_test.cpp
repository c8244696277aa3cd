// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/exchange/ladder.hpp"

using namespace sluice::test;

// Rekeying and its collisions as tables. The messages are numbered from the moment the ladder begins, each kind of each
// end for itself. Every ladder ends as disagreement() and the Continuity of ladder.cpp want it, besides what it says.
namespace {

const std::vector<Side> kSides{Side::moon, Side::sun};
Side other(Side side) { return side == Side::moon ? Side::sun : Side::moon; }
std::string name_of(Side side) { return side == Side::moon ? "moon" : "sun"; }

// One end rekeys alone. self is the one that begins.
std::vector<Ladder> alone(Do what, const std::string& title) {
    std::vector<Ladder> list;
    for (const Side self : kSides) {
        const Side peer = other(self);
        struct Case {
            std::string text;
            std::vector<Fault> faults;
        };
        const std::vector<Case> cases{
            {"nothing is lost", {}},
            {"the request is lost", {{self, Step::create}}},
            {"the request is lost twice", {{self, Step::create}, {self, Step::create, 2}}},
            {"the answer is lost", {{peer, Step::created}}},
            {"the answer is late", {{peer, Step::created, 1, 6000}}},
            {"the DELETE is lost", {{self, Step::inform}}},
            {"the DELETE is late", {{self, Step::inform, 1, 2000}}},
            {"the answer to the DELETE is lost", {{peer, Step::informed}}},
        };
        for (const Case& one : cases) {
            Ladder ladder{title + ", by " + name_of(self) + ": " + one.text, {{0, self, what}}, one.faults};
            ladder.child_new = what == Do::rekey_child;
            ladder.ike_new = what == Do::rekey_ike;
            (what == Do::rekey_child ? ladder.child_of : ladder.ike_of) = self;
            list.push_back(ladder);
        }
    }
    return list;
}

// Both begin at once, their requests cross. The lowest nonce stands at each of the four places.
std::vector<Ladder> both(Do what, const std::string& title) {
    struct Place {
        std::string text;
        Draws draws;
        Side winner;
    };
    const std::vector<Place> places{
        {"moon's Ni is lowest", {{1, 5}, {6, 7}}, Side::sun},
        {"moon's Nr is lowest", {{5, 1}, {6, 7}}, Side::moon},
        {"sun's Ni is lowest", {{5, 6}, {1, 7}}, Side::moon},
        {"sun's Nr is lowest", {{5, 6}, {7, 1}}, Side::sun},
    };
    struct Case {
        std::string text;
        std::vector<Fault> faults;
    };
    const std::vector<Case> cases{
        {"nothing is lost", {}},
        {"moon's answer is lost", {{Side::moon, Step::created}}},
        {"sun's answer is lost", {{Side::sun, Step::created}}},
        {"both answers are lost", {{Side::moon, Step::created}, {Side::sun, Step::created}}},
        {"moon's answer is late", {{Side::moon, Step::created, 1, 300}}},
        {"sun's answer is late", {{Side::sun, Step::created, 1, 300}}},
        {"moon's first DELETE is lost", {{Side::moon, Step::inform}}},
        {"sun's first DELETE is lost", {{Side::sun, Step::inform}}},
    };
    std::vector<Ladder> list;
    for (const Place& place : places)
        for (const Case& one : cases) {
            Ladder ladder{title + ": " + place.text + ", " + one.text,
                          {{0, Side::moon, what}, {0, Side::sun, what}},
                          one.faults,
                          place.draws};
            ladder.child_new = what == Do::rekey_child;
            ladder.ike_new = what == Do::rekey_ike;
            (what == Do::rekey_child ? ladder.child_of : ladder.ike_of) = place.winner;
            list.push_back(ladder);
        }
    return list;
}

// One end's request arrives when the other's exchange is over, or nearly: only the other one counts.
std::vector<Ladder> unnoticed(Do what, const std::string& title) {
    std::vector<Ladder> list;
    for (const Side late : kSides) {
        const Side first = other(late);
        struct Case {
            std::string text;
            int late_ms;
        };
        for (const Case& one : {Case{"is lost", kLost}, Case{"comes when the other is answered", 3},
                                Case{"comes when all is over", 500}}) {
            Ladder ladder{title + ": the request of " + name_of(late) + " " + one.text,
                          {{0, late, what}, {0, first, what}},
                          {{late, Step::create, 1, one.late_ms}}};
            ladder.child_new = what == Do::rekey_child;
            ladder.ike_new = what == Do::rekey_ike;
            (what == Do::rekey_child ? ladder.child_of : ladder.ike_of) = first;
            list.push_back(ladder);
        }
    }
    return list;
}

void run(const std::vector<Ladder>& ladders) {
    for (const Ladder& ladder : ladders)
        for (const Restore restore : {Restore::never, Restore::between_messages}) {
            INFO(ladder.name << (restore == Restore::never ? "" : " (restored between messages)"));
            CHECK(run_ladder(ladder, restore) == "");
        }
}

}  // namespace

TEST_CASE("TRAPS 17: RFC 7296 2.8 a child is rekeyed by one end") {
    run(alone(Do::rekey_child, "RFC 7296 2.8"));
    std::vector<Ladder> pfs = alone(Do::rekey_child, "RFC 7296 2.17 with PFS");
    for (Ladder& ladder : pfs) ladder.esp = "aes128gcm16-x25519";
    run(pfs);
}

TEST_CASE("TRAPS 5: RFC 7296 1.3 a rekeying whose group is refused goes on with the one that the peer names") {
    std::vector<Ladder> ladders = alone(Do::rekey_child, "INVALID_KE_PAYLOAD");
    for (Ladder& ladder : ladders) {
        const bool by_moon = ladder.begins[0].side == Side::moon;
        ladder.esp = by_moon ? "aes128gcm16-ecp256-x25519" : "aes128gcm16-x25519";
        ladder.sun_esp = by_moon ? "aes128gcm16-x25519" : "aes128gcm16-ecp256-x25519";
    }
    run(ladders);
}

TEST_CASE("TRAPS 18: RFC 7296 2.8.1 both ends rekey the same child at once") {
    run(both(Do::rekey_child, "RFC 7296 2.8.1"));
}

TEST_CASE("TRAPS 18: RFC 7296 2.8.1 both ends rekey the same child with PFS at once") {
    std::vector<Ladder> ladders = both(Do::rekey_child, "RFC 7296 2.8.1 with PFS");
    for (Ladder& ladder : ladders) ladder.esp = "aes128gcm16-x25519";
    run(ladders);
}

TEST_CASE("TRAPS 18: RFC 7296 2.25.1 a rekeying of a child that the other end has finished is forgotten") {
    run(unnoticed(Do::rekey_child, "RFC 7296 2.25.1"));
}

TEST_CASE("TRAPS 19: RFC 7296 2.18 an IKE SA is rekeyed by one end and its children move") {
    run(alone(Do::rekey_ike, "RFC 7296 2.18"));
}

TEST_CASE("TRAPS 19: RFC 7296 2.8.2 both ends rekey the IKE SA at once") { run(both(Do::rekey_ike, "RFC 7296 2.8.2")); }

TEST_CASE("TRAPS 19: RFC 7296 2.8.2 a rekeying of an IKE SA that the other end has finished is forgotten") {
    run(unnoticed(Do::rekey_ike, "RFC 7296 2.25.2"));
}

TEST_CASE("TRAPS 18: RFC 7296 2.25.1 one end rekeys a child and the other deletes it") {
    std::vector<Ladder> ladders;
    for (const Side self : kSides) {
        const Side peer = other(self);
        const std::string who = name_of(self) + " rekeys, " + name_of(peer) + " deletes";
        const std::vector<Begin> at_once{{0, self, Do::rekey_child}, {0, peer, Do::delete_child}};
        for (Ladder ladder : {
                 Ladder{who + " at once", at_once},
                 Ladder{who + " at once, and the rekeying comes late", at_once, {{self, Step::create, 1, 500}}},
                 Ladder{who + " at once, and the DELETE comes late", at_once, {{peer, Step::inform, 1, 500}}},
                 Ladder{who + " at once, and the DELETE is lost", at_once, {{peer, Step::inform}}},
                 Ladder{who + " at once, and the refusal is lost", at_once, {{peer, Step::created}}},
             }) {
            ladder.children = 0;
            ladder.gapless = false;
            ladders.push_back(ladder);
        }
    }
    run(ladders);
}

TEST_CASE("TRAPS 20: RFC 7296 2.25.1 a DELETE that overtakes the answer leaves nothing with one side only") {
    std::vector<Ladder> ladders;
    for (const Side self : kSides) {
        Ladder ladder{"the answer of " + name_of(other(self)) + " is late, and all of the child is deleted meanwhile",
                      {{0, self, Do::rekey_child}, {50, other(self), Do::delete_child}},
                      {{other(self), Step::created, 1, 900}}};
        ladder.children = 0;
        ladder.gapless = false;
        ladders.push_back(ladder);
    }
    run(ladders);
}

TEST_CASE("TRAPS 18: RFC 7296 2.25.1 the peer rekeys what it made in an answer that has not come yet") {
    std::vector<Ladder> ladders;
    for (const Side self : kSides) {
        Ladder late{"the answer of " + name_of(other(self)) + " is late",
                    {{0, self, Do::rekey_child}, {50, other(self), Do::rekey_child}},
                    {{other(self), Step::created, 1, 900}}};
        late.child_new = true;
        late.child_of = other(self);
        ladders.push_back(late);
        late.name = "the answer of " + name_of(other(self)) + " is lost";
        late.faults[0].late_ms = kLost;
        ladders.push_back(late);
    }
    run(ladders);
}

TEST_CASE("TRAPS 19: RFC 7296 2.8.2 what comes over the new IKE SA before the old one is deleted finds its children") {
    std::vector<Ladder> ladders;
    for (const Side late : kSides)
        for (const Do what : {Do::rekey_child, Do::delete_child, Do::second_child}) {
            const Side first = other(late);
            Ladder ladder{name_of(first) + " rekeys the IKE SA and goes on at once, its DELETE is late and " +
                              name_of(late) + "'s own rekeying lost",
                          {{0, late, Do::rekey_ike}, {0, first, Do::rekey_ike}, {20, first, what}},
                          {{late, Step::create}, {first, Step::inform, 1, 500}}};
            ladder.ike_new = true;
            ladder.ike_of = first;
            ladder.child_new = what == Do::rekey_child;
            ladder.children = what == Do::second_child ? 2 : what == Do::delete_child ? 0 : 1;
            ladder.gapless = what != Do::delete_child;
            ladders.push_back(ladder);
        }
    run(ladders);
}

TEST_CASE("TRAPS 18: RFC 7296 2.25.1 both ends delete the same child, or one deletes what it is rekeying") {
    std::vector<Ladder> ladders{
        {"both delete the child at once", {{0, Side::moon, Do::delete_child}, {0, Side::sun, Do::delete_child}}},
        {"both delete the child at once, one DELETE is lost",
         {{0, Side::moon, Do::delete_child}, {0, Side::sun, Do::delete_child}},
         {{Side::sun, Step::inform}}},
    };
    for (const Side self : kSides)
        ladders.push_back({name_of(self) + " deletes the child while its own rekeying is out",
                           {{0, self, Do::rekey_child}, {1, self, Do::delete_child}}});
    for (Ladder& ladder : ladders) {
        ladder.children = 0;
        ladder.gapless = false;
    }
    run(ladders);
}

TEST_CASE("TRAPS 19: RFC 7296 2.25.2 an IKE SA is deleted while it is rekeyed, and by both ends") {
    std::vector<Ladder> ladders{
        {"both delete the IKE SA at once", {{0, Side::moon, Do::delete_ike}, {0, Side::sun, Do::delete_ike}}},
        {"both delete the IKE SA at once, one DELETE is lost",
         {{0, Side::moon, Do::delete_ike}, {0, Side::sun, Do::delete_ike}},
         {{Side::moon, Step::inform}}},
    };
    for (const Side self : kSides) {
        const std::string who = name_of(self) + " rekeys the IKE SA, ";
        const std::vector<Begin> at_once{{0, self, Do::rekey_ike}, {0, other(self), Do::delete_ike}};
        ladders.push_back({who + "the other end deletes it", at_once});
        ladders.push_back(
            {who + "the other end deletes it, the DELETE is late", at_once, {{other(self), Step::inform, 1, 500}}});
        ladders.push_back(
            {who + "the other end deletes it, the rekeying is late", at_once, {{self, Step::create, 1, 500}}});
        ladders.push_back(
            {who + "and deletes it itself meanwhile", {{0, self, Do::rekey_ike}, {1, self, Do::delete_ike}}});
    }
    for (Ladder& ladder : ladders) {
        ladder.ike_of = Side::nobody;
        ladder.gapless = false;
    }
    run(ladders);
}

TEST_CASE("TRAPS 18: RFC 7296 2.25.2 an IKE SA is rekeyed while children are made or changed") {
    std::vector<Ladder> ladders;
    for (const Side self : kSides) {
        const Side peer = other(self);
        const std::string who = name_of(self) + " rekeys the IKE SA, " + name_of(peer) + " ";
        const auto add = [&](const std::string& text, Do what, std::vector<Fault> faults) {
            Ladder ladder{who + text, {{0, self, Do::rekey_ike}, {0, peer, what}}, std::move(faults)};
            ladder.ike_new = true;
            ladder.ike_of = self;
            ladder.child_new = what == Do::rekey_child;
            ladder.children = what == Do::second_child ? 2 : what == Do::delete_child ? 0 : 1;
            ladder.gapless = what != Do::delete_child;
            ladders.push_back(ladder);
        };
        add("a child", Do::rekey_child, {});
        add("a child, whose request is late", Do::rekey_child, {{peer, Step::create, 1, 300}});
        add("a child, whose request is lost", Do::rekey_child, {{peer, Step::create}});
        add("a child, and its own request is late", Do::rekey_child, {{self, Step::create, 1, 300}});
        add("makes a second child", Do::second_child, {});
        add("makes a second child, whose request is late", Do::second_child, {{peer, Step::create, 1, 300}});
        add("deletes a child", Do::delete_child, {});
        add("deletes a child, the DELETE is late", Do::delete_child, {{peer, Step::inform, 1, 300}});
    }
    run(ladders);
}

TEST_CASE("RFC 7296 2.8.3: reauthentication makes before it breaks") {
    std::vector<Ladder> ladders;
    for (const Side self : kSides) {
        const auto add = [&](const std::string& text, std::vector<Begin> begins, std::vector<Fault> faults) {
            begins.push_back({1000, self, Do::reauthenticate});
            Ladder ladder{name_of(self) + " reauthenticates: " + text, std::move(begins), std::move(faults)};
            ladder.ike_new = ladder.child_new = true;
            ladder.ike_of = ladder.child_of = self;
            ladders.push_back(ladder);
        };
        add("one child", {}, {});
        add("the DELETE is lost", {}, {{self, Step::inform}});
        add("two children", {{0, self, Do::second_child}}, {});
        ladders.back().children = 2;
        add("two children, and the request for the second one is lost twice", {{0, self, Do::second_child}},
            {{self, Step::create, 2}, {self, Step::create, 3}});
        ladders.back().children = 2;
        add("the peer rekeys the old IKE SA meanwhile", {}, {});
        ladders.back().begins.push_back({1001, other(self), Do::rekey_ike});
    }
    run(ladders);
}

TEST_CASE("TRAPS 17, 19: RFC 7296 2.8 two hundred rekeyings of each kind from each side, without a gap") {
    std::vector<Ladder> ladders;
    for (const Side self : kSides)
        for (const Do what : {Do::rekey_child, Do::rekey_ike})
            for (const char* esp : {"aes128gcm16", "aes128gcm16-x25519"}) {
                Ladder ladder{name_of(self) + " rekeys, ESP " + esp, {}};
                for (int i = 0; i < 200; ++i) ladder.begins.push_back({i * 100, self, what});
                ladder.child_new = what == Do::rekey_child;
                ladder.ike_new = what == Do::rekey_ike;
                (what == Do::rekey_child ? ladder.child_of : ladder.ike_of) = self;
                ladder.esp = esp;
                ladders.push_back(ladder);
            }
    run(ladders);
}

TEST_CASE("TRAPS 37: a soft limit in bytes or packets begins a rekeying, at one end or at both") {
    std::vector<Ladder> ladders{
        {"moon", {{0, Side::moon, Do::soft_expire}}},
        {"sun", {{0, Side::sun, Do::soft_expire}}},
        {"both at once", {{0, Side::moon, Do::soft_expire}, {0, Side::sun, Do::soft_expire}}},
        {"one after the other", {{0, Side::moon, Do::soft_expire}, {2, Side::sun, Do::soft_expire}}},
    };
    for (Ladder& ladder : ladders) ladder.child_new = true;
    run(ladders);
}
