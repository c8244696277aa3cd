# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""What a real charon does with IKE beyond one tunnel: rekeying, reauthentication, cookies, groups, narrowing, deletes, restarts.

One daemon and one charon hold every connection of SLOTS (lab/slots.py): most cases are a connection or two of it.
"""
import os
import socket
import sys
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab.net import Lab, run, wait_until
from lab.slots import ESP, IKE, Slot, Slots
from lab.topology import ALICE4, CAROL_IN4, MOON4
from lab.traffic import ping, ping_until
from lab.tunnel import FAST_IKE, Tunnel
from script import case, check, check_equal, main

NOW = {"rand_time": "0s"}
SLOTS = [
    Slot("plain", second=True),
    Slot("pfs", moon_esp=f"{ESP}-x25519", carol_child={"rekey_time": "2s", "life_time": "60s", **NOW}),
    Slot("nopfs", carol_child={"rekey_time": "2s", "life_time": "60s", **NOW}),
    Slot("ikerekey", carol_keys={"rekey_time": "2s", "over_time": "30s", **NOW}),
    Slot("reauth", carol_keys={"reauth_time": "2s", "over_time": "30s", **NOW}),
    Slot("again", moon_child='close_action = "start"', carol_keys={"reauth_time": "2s", "over_time": "30s", **NOW}),
    Slot("ourgroup", carol_ike=f"aes128gcm16-prfsha256-modp2048,{IKE}", carol_keys={"dpd_delay": "1s"}),
    Slot("theirgroup", moon_ike=f"aes128gcm16-prfsha256-modp2048,{IKE}", carol_ike=IKE),
    Slot("cbc", moon_ike="aes256-sha256-modp3072", moon_esp="aes256-sha256"),
    Slot("ecp", moon_ike="aes256gcm16-prfsha384-ecp384", moon_esp="aes256gcm16-ecp384"),
    Slot("ctr", moon_esp="aes128ctr-sha1"),
    Slot("ccm", moon_esp="aes256ccm8"),
    Slot("xcbc", moon_esp="aes192-aesxcbc"),
    Slot("nocrypt", moon_esp="null-aescmac"),
    Slot("six", v6=True),
    Slot("narrow", carol_ts="0.0.0.0/0"),
    Slot("wide", carol_ts="hosts"),
    Slot("trap", moon_child='start_action = "trap"'),
    Slot("start", moon_child='start_action = "start"\nclose_action = "start"'),
    Slot("mobike", carol_keys={"mobike": "yes"}),
    Slot("dpd", moon_keys='dpd_delay = "1s"'),
]
# None of these comes up.
SLOTS += [
    Slot("stranger", moon_id="somebody.else.test"),
    Slot("noike", moon_ike="aes256gcm16-prfsha384-ecp384", carol_ike=IKE),
    Slot("noesp", carol_esp="aes256gcm16"),
    Slot("nots", carol_ts="10.77.0.0/24"),
]
SLOT = {one.name: one for one in SLOTS}


WORLD = None


def open_world():
    global WORLD
    WORLD = Slots(SLOTS)


def close_world():
    if WORLD:
        WORLD.close()


def counted(name):
    """A case after which the workers must have counted its traffic."""

    def register(function):
        @case(name, timeout=40)
        def _():
            function()
            WORLD.check_counters()

        return function

    return register


@counted("charon rekeys children with and without PFS, and the IKE SA, under traffic; nothing is lost")
def rekeying():
    names = ("pfs", "nopfs", "ikerekey")
    for name in names:
        WORLD.up(name)
        WORLD.traffic(name)
    first = {name: (WORLD.ikes(name)[0]["initiator-spi"], WORLD.children(name)[0]["spi-in"]) for name in names}
    streams = {name: WORLD.stream(name, 5) for name in names}
    for name in names:
        sent, received = streams[name]()
        check(received >= sent - 1, f"{name}: {received} of {sent} pings while rekeying")
        check_equal(len(WORLD.ikes(name)), 1, f"{name}: IKE SAs")
        check_equal(len(WORLD.children(name)), 1, f"{name}: children")
        ike, child = WORLD.ikes(name)[0]["initiator-spi"], WORLD.children(name)[0]["spi-in"]
        check((ike != first[name][0]) == (name == "ikerekey"), f"{name}: IKE SPI {first[name][0]} -> {ike}")
        check((child != first[name][1]) == (name != "ikerekey"), f"{name}: SPI {first[name][1]} -> {child}")
    check_equal(WORLD.children("pfs")[0].get("dh-group"), "CURVE_25519", "PFS")
    check_equal(WORLD.children("nopfs")[0].get("dh-group"), None, "no PFS")
    for name in names:
        WORLD.traffic(name)
        WORLD.charon.swanctl("--terminate", "--ike", name)
        WORLD.gone(name)


def reauthenticate(name):
    """charon replaces the IKE SA by another one, and traffic goes on over that."""
    WORLD.up(name)
    WORLD.traffic(name)
    first = WORLD.ikes(name)[0]["initiator-spi"]
    wait_until(lambda: WORLD.children(name) and first not in (sa["initiator-spi"] for sa in WORLD.ikes(name)), 8,
               lambda: f"{name}: a new IKE SA: {WORLD.ikes(name)}", 0.1)
    WORLD.traffic(name)
    wait_until(lambda: len(WORLD.ikes(name)) == len(WORLD.children(name)) == 1, 3, lambda: f"{name}: one of each: {WORLD.ikes(name)}")


@counted("charon authenticates anew, breaking before making: one IKE SA stays, also where both ends bring it back")
def reauthentication():
    for name in ("reauth", "again"):
        reauthenticate(name)
    WORLD.daemon.ctl("terminate", "--ike", "reauth")
    WORLD.gone("reauth")
    WORLD.daemon.ctl("terminate", "--ike", "again")
    WORLD.gone("again")


@counted("a second child on one IKE SA; children and IKE SA are closed by either side")
def children():
    for opener in ("charon", "moon"):
        begin = WORLD.up if opener == "charon" else WORLD.daemon.initiate
        begin("plain")
        begin("plain2")
        check_equal(len(WORLD.ikes("plain")), 1, f"{opener}: IKE SAs")
        WORLD.traffic("plain")
        WORLD.traffic("plain", half=1)
        WORLD.daemon.ctl("terminate", "--child", "plain2")
        wait_until(lambda: "plain2" not in WORLD.charon_sas("plain"), 5, lambda: f"plain2 at charon: {WORLD.charon_sas('plain')}")
        WORLD.traffic("plain")
        begin("plain2")
        WORLD.charon.swanctl("--terminate", "--child", "plain")
        wait_until(lambda: not WORLD.children("plain"), 5, lambda: f"plain at moon: {WORLD.ikes('plain')}")
        WORLD.traffic("plain", half=1)
        if opener == "charon":
            WORLD.daemon.ctl("terminate", "--ike", "plain")
        else:
            WORLD.charon.swanctl("--terminate", "--ike", "plain")
        WORLD.gone("plain")


@counted("TRAPS 5: INVALID_KE_PAYLOAD, charon's first group is not ours and ours is not charon's")
def groups():
    WORLD.up("ourgroup")
    check("INVALID_KE_PAYLOAD" in WORLD.charon.log() or "peer didn't accept" in WORLD.charon.log(), "moon asked for another group")
    WORLD.traffic("ourgroup")
    WORLD.daemon.initiate("theirgroup")
    check_equal(WORLD.ikes("theirgroup")[0]["dh-group"], "CURVE_25519")
    WORLD.traffic("theirgroup")
    for name in ("ourgroup", "theirgroup"):
        WORLD.daemon.ctl("terminate", "--ike", name)
        WORLD.gone(name)


@counted("IKE with CBC and HMAC over modp3072, with AES-256-GCM over ecp384, and over IPv6; each side initiates")
def suites():
    for name, group in (("cbc", "MODP_3072"), ("ecp", "ECP_384"), ("six", "CURVE_25519")):
        for begin in (WORLD.up, WORLD.daemon.initiate):
            begin(name)
            check_equal(WORLD.ikes(name)[0]["dh-group"], group)
            WORLD.traffic(name)
            WORLD.charon.swanctl("--terminate", "--ike", name)
            WORLD.gone(name)


@counted("ESP with CTR, CCM, XCBC, and NULL with CMAC: salts and keys are cut from the keying material as charon does it")
def esp_algorithms():
    for name, begin in (("ctr", WORLD.up), ("ccm", WORLD.daemon.initiate), ("xcbc", WORLD.up), ("nocrypt", WORLD.daemon.initiate)):
        begin(name)
        WORLD.traffic(name)
        WORLD.daemon.ctl("terminate", "--ike", name)
        WORLD.gone(name)


@counted("TRAPS 16: charon asks for everything and gets what is configured; it allows less than moon asks for")
def narrowing():
    for name, want in (("narrow", SLOT["narrow"].nets()), ("wide", tuple(f"{host}/32" for host in SLOT["wide"].hosts()))):
        for begin in (WORLD.up, WORLD.daemon.initiate):
            begin(name)
            child = WORLD.children(name)[0]
            check_equal((child["local-ts"], child["remote-ts"]), ([want[0]], [want[1]]), f"{name}: selectors")
            WORLD.traffic(name)
            WORLD.daemon.ctl("terminate", "--ike", name)
            WORLD.gone(name)


def at_once(*functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@counted("TRAPS 20: both ends initiate at once; one tunnel is left and carries traffic")
def both_at_once():
    for _ in range(3):
        at_once(lambda: WORLD.charon.initiate("plain", ok=None), lambda: WORLD.daemon.initiate("plain", ok=None))
        wait_until(lambda: len(WORLD.children("plain")) == 1, 8, lambda: f"one child: {WORLD.ikes('plain')}")
        WORLD.traffic("plain")
        WORLD.daemon.ctl("terminate", "--ike", "plain")
        WORLD.gone("plain")


@counted("start_action trap: alice's first packet brings the tunnel up; start: it is up by itself and comes back after a delete")
def actions():
    ping_until(WORLD.alice, SLOT["trap"].hosts()[1], SLOT["trap"].hosts()[0])
    WORLD.traffic("trap")
    check_equal(WORLD.ikes("trap")[0].get("initiator"), "yes", "moon began")
    WORLD.daemon.ctl("terminate", "--ike", "trap")
    WORLD.traffic("start")
    first = WORLD.children("start")[0]["spi-in"]
    WORLD.charon.swanctl("--terminate", "--child", "start")
    wait_until(lambda: [c["spi-in"] for c in WORLD.children("start")] not in ([], [first]), 8, lambda: f"start is back: {WORLD.ikes('start')}", 0.1)
    WORLD.traffic("start")
    WORLD.charon.swanctl("--terminate", "--ike", "start")
    wait_until(lambda: WORLD.children("start"), 8, lambda: f"start is back: {WORLD.ikes('start')}", 0.1)
    WORLD.traffic("start")


@counted("MOBIKE: charon's notifies and the news of another address do not harm the SA")
def mobike():
    WORLD.up("mobike")
    WORLD.traffic("mobike")
    WORLD.carol.address("eth0", "192.0.2.200/24")
    time.sleep(0.5)
    WORLD.carol.ip("addr del 192.0.2.200/24 dev eth0")
    time.sleep(0.5)
    WORLD.traffic("mobike")
    check_equal(len(WORLD.ikes("mobike")), 1)
    WORLD.charon.swanctl("--terminate", "--ike", "mobike")
    WORLD.gone("mobike")


@case("wrong identities and no common proposal or selectors: both ends say so, whoever initiates")
def refusals():
    for name, told, heard in (("stranger", "AUTHENTICATION_FAILED", "stranger.lab.test"), ("noike", "NO_PROPOSAL_CHOSEN", "aes_gcm_16_256"),
                              ("noesp", "NO_PROPOSAL_CHOSEN", "aes_gcm_16_256"), ("nots", "TS_UNACCEPTABLE", "10.77.0.0/24")):
        at = len(WORLD.daemon.log())
        said = WORLD.charon.initiate(name, ok=None)
        check(told in said, f"{name}: charon is told: {said}")
        log = WORLD.daemon.log()[at:]
        check(SLOT[name].peer in log and heard in log.lower(), f"{name}: moon's log names it: {log}")
        done = WORLD.daemon.initiate(name, ok=None)
        check_equal(done.returncode, 1, f"{name}: sluicectl")
        check(told in done.stdout + done.stderr and name in done.stderr, f"{name}: sluicectl says {done.stdout} {done.stderr}")
        check(not WORLD.children(name), f"{name} has no child")
        WORLD.daemon.ctl("terminate", "--ike", name, ok=None)


@counted("strongSwan's swanctl controls the daemon through its VICI socket")
def stock_swanctl():
    def swanctl(*words, ok=(0,)):
        done = run(["swanctl", *words, "--uri", WORLD.daemon.uri], ok, 20)
        return done.stdout + done.stderr

    check("completed successfully" in swanctl("--initiate", "--child", "cbc"), "initiate")
    WORLD.traffic("cbc")
    shown = swanctl("--list-sas", "--ike", "cbc")
    for word in ("ESTABLISHED", "AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_3072", "INSTALLED, TUNNEL-in-UDP", "cbc.lab.test"):
        check(word in shown, f"{word} in {shown}")
    check("cbc: IKEv2" in swanctl("--list-conns"), "list-conns")
    check("IKE_SAs" in swanctl("--stats"), "stats")
    check("completed successfully" in swanctl("--terminate", "--child", "cbc"), "terminate the child")
    check("completed successfully" in swanctl("--terminate", "--ike", "cbc"), "terminate the IKE SA")
    check("failed" in swanctl("--terminate", "--ike", "cbc", ok=None), "nothing is left to terminate")
    WORLD.gone("cbc")


@counted("TRAPS 21, 22: charon dies; DPD ends what has it, INITIAL_CONTACT replaces the rest when charon is back")
def death():
    for name in ("dpd", "plain"):
        WORLD.up(name)
        WORLD.traffic(name)
    time.sleep(1.5)
    check(WORLD.ikes("dpd"), "who answers DPD stays")
    old = WORLD.ikes("plain")[0]["initiator-spi"]
    WORLD.charon.kill()
    wait_until(lambda: not WORLD.ikes("dpd"), 12, lambda: f"the dead peer's SA goes: {WORLD.ikes('dpd')}", 0.2)
    check_equal([sa["initiator-spi"] for sa in WORLD.ikes("plain")], [old], "without DPD nobody noticed")
    alice, carol = SLOT["dpd"].hosts()
    check_equal(ping(WORLD.alice, carol, alice, timeout=0.5, ok=False), 0, "no SA, no way")
    WORLD.charon.start()
    for name in ("plain", "dpd"):
        WORLD.up(name)
        WORLD.traffic(name)
        check_equal(len(WORLD.ikes(name)), 1, f"{name}: the old IKE SA is gone")
    check(WORLD.ikes("plain")[0]["initiator-spi"] != old, "it is a new one")


@case("the audit: no clear packet, no IV or sequence number twice")
def audited():
    WORLD.end_audit(400)


@counted("TRAPS 6: COOKIE from either side, alone and with INVALID_KE_PAYLOAD")
def cookies():
    WORLD.restart({"cookie_threshold": 1, "make_before_break": "yes"}, FAST_IKE + "\ncookie_threshold = 0")
    for name in ("plain", "ourgroup"):
        said = WORLD.up(name)
        check("N(COOKIE)" in said, f"{name}: {said}")
        WORLD.traffic(name)
    half_open = WORLD.gateway.moon.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)
    with half_open:
        half_open.bind((MOON4, 0))
        half_open.sendto(ike_sa_init(), (SLOT["theirgroup"].peer, 500))
        at = len(WORLD.charon.log())
        time.sleep(0.3)
        WORLD.daemon.initiate("theirgroup")
    check("N(COOKIE)" in WORLD.charon.log()[at:], "charon wanted a cookie")
    WORLD.traffic("theirgroup")


def ike_sa_init():
    """A request that leaves its receiver with a half-open IKE SA (RFC 7296 3.3, 3.4, 3.9)."""
    transforms = ((1, 20, b"\x80\x0e\x00\x80"), (2, 5, b""), (4, 31, b""))
    last = len(transforms) - 1
    suite = b"".join(bytes([0 if n == last else 3, 0]) + (8 + len(extra)).to_bytes(2, "big") + bytes([kind, 0, 0, number]) + extra
                     for n, (kind, number, extra) in enumerate(transforms))
    proposal = bytes(2) + (8 + len(suite)).to_bytes(2, "big") + bytes([1, 1, 0, len(transforms)]) + suite
    body = b""
    for following, payload in ((34, proposal), (40, b"\x00\x1f\x00\x00" + os.urandom(32)), (0, os.urandom(32))):
        body += bytes([following, 0]) + (4 + len(payload)).to_bytes(2, "big") + payload
    return os.urandom(8) + bytes(8) + bytes([33, 0x20, 34, 8]) + bytes(4) + (28 + len(body)).to_bytes(4, "big") + body


@counted("charon authenticates anew, making before breaking")
def make_before_break():
    reauthenticate("reauth")
    WORLD.charon.swanctl("--terminate", "--ike", "reauth")
    WORLD.gone("reauth")


@counted("both ends delete the IKE SA at once")
def delete_at_once():
    for _ in range(3):
        WORLD.up("cbc")
        WORLD.traffic("cbc")
        at_once(lambda: WORLD.charon.swanctl("--terminate", "--ike", "cbc", ok=None), lambda: WORLD.daemon.ctl("terminate", "--ike", "cbc", ok=None))
        WORLD.gone("cbc")


@case("the daemon dies and starts again: INITIAL_CONTACT makes charon forget, and the tunnel is back")
def restarted():
    WORLD.end_audit(20)
    WORLD.traffic("start")
    WORLD.daemon.kill()
    WORLD.daemon.start()
    wait_until(lambda: WORLD.children("start"), 8, lambda: f"start is back: {WORLD.daemon.log()[-800:]}")
    WORLD.traffic("start")
    shown = WORLD.charon_sas("start")
    check_equal(shown.count("ESTABLISHED"), 1, f"charon has one IKE SA: {shown}")


@case("carol behind a masquerading router: IKE_AUTH floats to 4500, keepalives come, and the IKE SA is rekeyed there")
def behind_nat():
    with Lab("interop-nat") as lab:
        tunnel = Tunnel(lab, nat=True, carol_keys={"mobike": "yes", "rekey_time": "2s", "over_time": "30s", **NOW})
        tunnel.peer.options["keep_alive"] = "1s"
        tunnel.peer._write_options()
        tunnel.start()
        with tunnel.audited("nat", esp_at_least=6):
            tunnel.up_from_carol("net")
            tunnel.settle()
            time.sleep(3.2)
            check_equal(ping(tunnel.alice, CAROL_IN4, count=5), 5, "after a pause and an IKE rekeying")
            check_equal(ping(tunnel.carol, ALICE4, CAROL_IN4, count=5), 5)
            shown = tunnel.daemon.json("list-sas")
            check_equal([(sa["local-port"], sa.get("nat-remote"), sa["remote-port"][:2]) for one in shown for sa in one.values()],
                        [("4500", "yes", "20")])
            check(tunnel.daemon.drops().get("keepalive", 0) + tunnel.daemon.metric("ike_keepalives_received_total") >= 1, "keepalives")
            check(tunnel.daemon.metric("ike_established_total") >= 2, "the IKE SA was rekeyed")


if __name__ == "__main__":
    main(before=open_world, after=close_world)
