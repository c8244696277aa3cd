# SPDX-License-Identifier: Apache-2.0
# timeout: 300
"""Rekeying of every kind begun from each side against charon, under counted flows. `tools/soak rekey` does it at length."""
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab import rekeying
from lab.net import wait_until
from lab.rekeying import CONTROL, KINDS, SIDES, SLOTS
from lab.slots import ESP, Slot, Slots
from script import case, check, check_equal, main

COUNT = 10
NOW = 'rand_time = "0s"\n'
MORE = [
    Slot("reauth", second=True),
    Slot("timed", moon_child=NOW + 'rekey_time = "2s"\nlife_time = "60s"', moon_keys=NOW + 'rekey_time = "3s"\nover_time = "30s"'),
    Slot("counted", moon_child='rekey_packets = 40\nlife_packets = 100000\nrand_packets = 0'),
    Slot("groups", moon_esp=f"{ESP}-ecp256-x25519", carol_esp=f"{ESP}-x25519", moon_ike="aes128gcm16-prfsha256-ecp256-x25519",
         carol_ike="aes128gcm16-prfsha256-x25519"),
    Slot("both"),
]
WORLD = None


def open_world():
    global WORLD
    WORLD = Slots(SLOTS + MORE)
    rekeying.begin(WORLD)


def close_world():
    if WORLD:
        WORLD.close()


@case("TRAPS 17, 19: children with and without PFS and IKE SAs are rekeyed from each side; no ping is lost to it", timeout=200)
def rekeyings():
    drops = WORLD.daemon.drops()
    outcomes = [rekeying.rekey_under_flow(WORLD, kind, side, COUNT) for kind in KINDS for side in SIDES]
    check_equal(rekeying.faults(WORLD, outcomes, drops), [])
    for one in outcomes:
        check_equal(one.rekeyed, COUNT)
    check_equal(WORLD.children("pfs")[0].get("dh-group"), "CURVE_25519", "PFS")
    check_equal(len(WORLD.ikes(CONTROL)), 1)


@case("TRAPS 37: the time of an SA and its packets begin a rekeying by themselves", timeout=60)
def by_itself():
    for name in ("timed", "counted"):
        WORLD.up(name)
        WORLD.traffic(name)
    spi = WORLD.children("counted")[0]["spi-in"]
    ike = WORLD.ikes("timed")[0]["initiator-spi"]
    streams = {name: WORLD.stream(name, 7) for name in ("timed", "counted")}
    for name, ended in streams.items():
        sent, back = ended()
        check_equal(back, sent, f"{name}: pings")
    check(WORLD.children("counted")[0]["spi-in"] != spi, "rekeyed by packets")
    check(WORLD.ikes("timed")[0]["initiator-spi"] != ike, "the IKE SA is rekeyed by time")
    check(WORLD.daemon.metric("ike_child_rekeys_total") > 20, "children are rekeyed")
    for name in ("timed", "counted"):
        WORLD.daemon.ctl("terminate", "--ike", name)
        WORLD.gone(name)


@case("TRAPS 5: a group that charon refuses is given up for the one that it names, for a child and for the IKE SA", timeout=40)
def other_group():
    WORLD.up("groups")
    WORLD.traffic("groups")
    for kind in ("--child", "--ike"):
        before = (WORLD.ikes("groups")[0]["initiator-spi"], WORLD.children("groups")[0]["spi-in"])
        rekeying.swanctl(WORLD, "sluice", "--rekey", kind, "groups")
        wait_until(lambda: (WORLD.ikes("groups")[0]["initiator-spi"], WORLD.children("groups")[0]["spi-in"]) != before, 10, lambda: f"{kind}: {WORLD.ikes('groups')}")
        WORLD.traffic("groups")
    check_equal(WORLD.children("groups")[0].get("dh-group"), "CURVE_25519")
    WORLD.daemon.ctl("terminate", "--ike", "groups")
    WORLD.gone("groups")


@case("RFC 7296 2.8.3: Sluice authenticates anew, both children are there before the old IKE SA goes; no ping is lost", timeout=60)
def reauthentication():
    WORLD.up("reauth")
    WORLD.up("reauth2")
    WORLD.traffic("reauth")
    WORLD.traffic("reauth", half=1)
    first = WORLD.ikes("reauth")[0]["initiator-spi"]
    flow = WORLD.stream("reauth", 9)
    rekeying.swanctl(WORLD, "sluice", "--rekey", "--ike", "reauth", "--reauth")
    sent, back = flow()
    check_equal(back, sent, "pings")
    wait_until(lambda: [sa["initiator-spi"] != first for sa in WORLD.ikes("reauth")] == [True], 8, lambda: f"a new one alone: {WORLD.ikes('reauth')}")
    for name in ("reauth", "reauth2"):
        check_equal(len(WORLD.children(name)), 1, name)
    WORLD.traffic("reauth", half=1)
    WORLD.daemon.ctl("terminate", "--ike", "reauth")
    WORLD.gone("reauth")


@case("TRAPS 18, 19: RFC 7296 2.8.1, 2.8.2 both ends rekey at once, child and IKE SA; one of each stays and no ping is lost", timeout=100)
def at_once():
    WORLD.up("both")
    WORLD.traffic("both")
    for kind in ("--child", "--ike"):
        flow = WORLD.stream("both", 8)
        for _ in range(6):
            charon = WORLD.carol.start(["swanctl", "--rekey", kind, "both", "--uri", f"unix://{WORLD.charon.home}/run/charon.vici"], "swanctl-both.log")
            rekeying.swanctl(WORLD, "sluice", "--rekey", kind, "both")
            charon.popen.wait(10)
            wait_until(lambda: len(WORLD.ikes("both")) == len(WORLD.children("both")) == 1, 12, lambda: f"{kind}: one of each: {WORLD.ikes('both')}", 0.05)
        sent, back = flow()
        check_equal(back, sent, f"{kind}: pings")
        WORLD.traffic("both")
    WORLD.daemon.ctl("terminate", "--ike", "both")
    WORLD.gone("both")


@case("nothing of all this crossed in clear, no IV and no sequence number came twice", timeout=60)
def audit():
    WORLD.end_audit(2000)


if __name__ == "__main__":
    main(before=open_world, after=close_world)
