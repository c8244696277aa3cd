# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""What peers do besides sending traffic: they move behind a router, restart, vanish, and have the wrong secret."""
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab import topology
from lab.net import Lab, wait_until
from lab.topology import ALICE4, CAROL_IN4
from lab.traffic import ping, ping_until, tcp_echo
from lab.tunnel import Tunnel, carol_connection
from script import case, check, check_equal, main

DPD = {"dpd_delay": "1s"}


@case("TRAPS 24: carol behind a masquerading router whose mapping changes in mid-flow")
def behind_nat():
    with Lab("nat") as lab:
        tunnel = Tunnel(lab, nat=True).start()
        with tunnel.audited(esp_at_least=20) as audit:
            tunnel.up_from_carol("net")
            tunnel.settle()
            ping(tunnel.carol, ALICE4, CAROL_IN4, count=10, interval=0.02)
            tunnel.gateway.masquerade("30000-30999")
            ping_until(tunnel.carol, ALICE4, CAROL_IN4)
            check_equal(ping(tunnel.alice, CAROL_IN4, count=10, interval=0.02), 10, "alice reaches carol over the new mapping")
            check(tcp_echo(tunnel.alice, ALICE4, tunnel.carol, CAROL_IN4, bytes(40000)), "TCP over the new mapping")
        spis = {(f["src"], f["spi"]) for f in audit.report["flows"]}
        check_equal(len(spis), 2, "one SA pair all along")


@case("a peer that restarts gets a new tunnel, and the old one goes")
def restart():
    with Lab("restart") as lab:
        tunnel = Tunnel(lab).start()
        with tunnel.audited(account=False):
            tunnel.up_from_carol("net")
            tunnel.settle()
            tunnel.peer.kill()
            tunnel.peer.start()
            tunnel.up_from_carol("net")
            tunnel.settle()
            check_equal(ping(tunnel.alice, CAROL_IN4, count=5), 5)
        wait_until(lambda: tunnel.daemon.metric("ike_sas") <= 1, 15, lambda: f"the old IKE SA is gone: {tunnel.daemon.ctl('list-sas').stdout}")


@case("TRAPS 22: a peer that vanishes is noticed by DPD and its SAs go")
def dead_peer():
    with Lab("dpd") as lab:
        tunnel = Tunnel(lab, moon_keys='dpd_delay = "1s"').start()
        tunnel.up_from_carol("net")
        tunnel.settle()
        check("ESTABLISHED" in tunnel.daemon.ctl("list-sas").stdout, "the SA is there")
        time.sleep(2.5)
        check("ESTABLISHED" in tunnel.daemon.ctl("list-sas").stdout, "a peer that answers DPD is kept")
        tunnel.peer.process.kill()
        wait_until(lambda: "ESTABLISHED" not in tunnel.daemon.ctl("list-sas").stdout, 20, "the dead peer's SA goes", 0.3)
        with tunnel.audited(account=False):
            check_equal(ping(tunnel.alice, CAROL_IN4, ok=False, timeout=1), 0, "no way to carol")


@case("a wrong secret gives a clear error at both ends, whoever initiates")
def wrong_secret():
    with Lab("secret") as lab:
        tunnel = Tunnel(lab).start()
        tunnel.peer.configure(carol_connection(secret="not the same secret"))
        tunnel.peer.load()
        with tunnel.audited(account=False):
            said = tunnel.peer.initiate("net", ok=None)
            check("AUTHENTICATION_FAILED" in said, f"carol is told: {said}")
            log = tunnel.daemon.log()
            check("shared key" in log and "carol.lab.test" in log, f"Sluice's log names peer and reason: {log[-800:]}")
            done = tunnel.daemon.initiate("net", ok=None)
            check_equal(done.returncode, 1, "sluicectl fails")
            said = (done.stdout + done.stderr).lower()
            check("authentication" in said, f"sluicectl names the reason: {said}")
            check("AUTH" in tunnel.peer.log(), "charon's log has it")


@case("no common proposal gives a clear error at both ends")
def no_proposal():
    with Lab("proposal") as lab:
        tunnel = Tunnel(lab, carol_proposal="aes256gcm16").start()
        with tunnel.audited(account=False):
            check("NO_PROPOSAL_CHOSEN" in tunnel.peer.initiate("net", ok=None), "carol is told")
            done = tunnel.daemon.initiate("net", ok=None)
            check_equal(done.returncode, 1)
            check("proposal" in (done.stdout + done.stderr).lower(), done.stdout + done.stderr)


@case("a packet brings the tunnel up (start_action trap), and the daemon starts one by itself (start)")
def trap_and_start():
    for action in ("trap", "start"):
        with Lab(f"action-{action}") as lab:
            tunnel = Tunnel(lab, start_action=action)
            tunnel.peer.start()
            tunnel.daemon.start()
            with tunnel.audited(account=False):
                if action == "start":
                    tunnel.peer.wait_installed("net")
                ping_until(tunnel.alice, CAROL_IN4)
            check("INSTALLED" in tunnel.peer.sas(), topology.MOON4)


if __name__ == "__main__":
    main()
