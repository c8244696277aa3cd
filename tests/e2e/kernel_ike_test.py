#!/usr/bin/python3
# timeout: 800
# SPDX-License-Identifier: Apache-2.0
"""strongSwan on a real kernel's ESP negotiates with sluiced: plain ESP (no NAT between them), ESN, each initiating.

    [alice] eth0 --- lan0 [moon: sluiced] wan0 --- guest0 [guestnet] tap0 === vec0 [guest kernel: charon, kernel-netlink]
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from lab.audit import Audited  # noqa: E402
from lab.charon import psk_connection  # noqa: E402
from lab.guest import KernelPeer  # noqa: E402
from lab.kernel_charon import KernelCharon  # noqa: E402
from lab.net import Lab, wait_until  # noqa: E402
from lab.sluiced import Sluiced, moon_config, psk_sections  # noqa: E402
from lab.topology import ALICE4, CAROL4, CAROL_IN4, FAR4, LAN4, MOON4, MOON_IN4  # noqa: E402
from lab.traffic import ping, ping_until  # noqa: E402
from script import case, check, check_equal, main  # noqa: E402

SECRET = "a secret of the lab"


class Scene:
    def __init__(self, lab, esp):
        self.lab = lab
        self.moon, self.alice = lab.namespace("moon"), lab.namespace("alice")
        lab.veth(self.moon, "lan0", self.alice, "eth0")
        self.alice.address("eth0", f"{ALICE4}/24")
        self.alice.route(f"default via {MOON_IN4}")
        self.peer = KernelPeer(lab, self.moon)
        self.peer.exec(f"ip route add {LAN4} via {MOON4}")
        sections = psk_sections(esp, secret=SECRET, remote_addrs=CAROL4, children={"net": ([LAN4], [FAR4])})
        self.daemon = Sluiced(self.moon, moon_config(lab, sections)).start()
        child = {"esp_proposals": esp, "local_ts": FAR4, "remote_ts": LAN4}
        self.charon = KernelCharon(self.peer, psk_connection(CAROL4, MOON4, "carol.lab.test", "moon.lab.test", {"net": child}, SECRET,
                                                             mobike="no")).start()

    def carry(self, name):
        """Packets of several sizes both ways: all arrive, all as plain ESP, none refused by the kernel."""
        with Audited(self.lab, self.daemon, self.alice, self.peer.space, "guest0", name, esp_at_least=30) as audit:
            ping_until(self.alice, CAROL_IN4)
            for size in (0, 1, 56, 700, 1372):
                check_equal(ping(self.alice, CAROL_IN4, count=6, interval=0.01, size=size), 6, f"{name} size {size}")
            self.peer.exec(f"ping -n -q -c 5 -i 0.01 -I {CAROL_IN4} {ALICE4}")
        check(audit.esp() >= 60, f"{audit.esp()} ESP packets on the wire")
        check_equal(self.peer.xfrm_errors(), {}, f"{name}: XFRM errors of the kernel")
        child = next(iter(self.daemon.json("list-sas")[0]["carol"]["child-sas"].values()))
        check("encap" not in child, f"no NAT, so no UDP: {child}")
        return child


def play(esp, esn):
    with Lab("kernel-ike") as lab:
        scene = Scene(lab, esp)
        scene.charon.initiate("net")
        child = scene.carry("from-carol")
        check_equal(child.get("esn") == "1", esn, f"extended sequence numbers: {child}")
        scene.charon.terminate()
        wait_until(lambda: not scene.daemon.json("list-sas"), 5, "moon's SA goes")
        scene.daemon.initiate("net")
        scene.charon.wait_installed("net")
        scene.carry("from-moon")


@case("aes128gcm16 with ESN: the kernel's charon initiates, then Sluice; plain ESP", timeout=240)
def gcm_esn():
    play("aes128gcm16-esn", True)


@case("aes256-sha256 without ESN: the kernel's charon initiates, then Sluice; plain ESP", timeout=240)
def cbc():
    play("aes256-sha256", False)


@case("aes128gmac with ESN: the kernel's charon initiates, then Sluice; plain ESP", timeout=240)
def gmac():
    play("aes128gmac-esn", True)


if __name__ == "__main__":
    main()
