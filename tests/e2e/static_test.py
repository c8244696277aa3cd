# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""SAs with keys by hand against two other implementations of ESP: scapy's, and the Linux kernel's."""
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from dataclasses import replace

from lab import topology
from lab.audit import Audited
from lab.guest import KernelPeer
from lab.net import Lab, wait_until
from lab.sluiced import Sluiced, moon_config
from lab.static_sa import IP, SUITES, UDP, ScapyPeer, StaticPair
from lab.topology import ALICE4, CAROL4, CAROL_IN4, FAR4, LAN4, MOON4, MOON_IN4
from lab.traffic import ping, ping_until
from scapy.layers.inet import ICMP
from scapy.packet import Raw
from script import case, check, check_equal, main

GCM = SUITES[0]


class ScapyLab:
    """sluiced with `pair` as its static SA; carol's address belongs to scapy."""

    def __init__(self, lab, pair, first_seq=1):
        self.lab, self.pair = lab, pair
        self.gateway = topology.Gateway(lab)
        self.daemon = Sluiced(self.gateway.moon, moon_config(lab, pair.toml())).start()
        self.peer = ScapyPeer(self.gateway.carol, pair, first_seq)
        ping_until(self.gateway.alice, MOON_IN4)

    def audited(self, **words):
        gateway = self.gateway
        return Audited(self.lab, self.daemon, gateway.alice, gateway.outside, gateway.outside_device, **words)

    def accepted(self):
        return self.daemon.metric("worker_esp_in_packets_total")

    def echo(self, seq, size=40):
        """scapy asks alice, alice answers through the daemon; the decrypted answer."""
        self.peer.send(IP(src=CAROL_IN4, dst=ALICE4, id=1000 + seq) / ICMP(type=8, id=77, seq=seq) / Raw(bytes([seq & 255]) * size))
        return self.peer.receive(3)


def scapy_echo(suite, esn, encap):
    with Lab(f"{suite.proposal}{'-esn' if esn else ''}{'-udp' if encap else ''}") as lab:
        scene = ScapyLab(lab, StaticPair(suite, MOON4, CAROL4, LAN4, FAR4, esn=esn, encap=encap))
        with scene.audited(esp_at_least=8):
            for seq, size in enumerate((0, 1, 2, 3, 15, 16, 64, 1000, 1300), 1):
                reply = scene.echo(seq, size)
                check(reply is not None, f"no reply to size {size}; drops {scene.daemon.drops()} {scene.daemon.log()[-300:]}")
                check_equal((reply[ICMP].type, reply[ICMP].seq), (0, seq))
                check_equal(bytes(reply[Raw]) if size else b"", bytes([seq]) * size, f"size {size}")


def register():
    """One case for each suite, each encapsulation, and ESN where scapy can do it."""
    for suite in SUITES:
        for esn in (False, True) if suite.aead else (False,):
            for encap in (False, True):
                name = f"scapy: {suite.proposal}{' with ESN' if esn else ''}, {'in UDP' if encap else 'plain ESP'}"
                case(name)(lambda suite=suite, esn=esn, encap=encap: scapy_echo(suite, esn, encap))


register()


@case("TRAPS 31, 33: a replayed, a zero and a forged packet are counted and let nothing through")
def bad_packets():
    with Lab("bad-packets") as lab:
        scene = ScapyLab(lab, StaticPair(GCM, MOON4, CAROL4, LAN4, FAR4, encap=True))
        check(scene.echo(1) is not None, "a good packet passes")
        with scene.audited(allow=("repeated-seq", "repeated-iv", "bad-icv", "seq-zero"), esp_at_least=1):
            packet = scene.peer.seal(IP(src=CAROL_IN4, dst=ALICE4) / ICMP(type=8, id=77, seq=2))
            scene.peer.send_esp(packet)
            check(scene.peer.receive(3) is not None, "first time")
            for _ in range(3):
                scene.peer.send_esp(packet)
            forged = bytearray(scene.peer.seal(IP(src=CAROL_IN4, dst=ALICE4) / ICMP(type=8, id=77, seq=3)))
            forged[20] ^= 1
            scene.peer.send_esp(bytes(forged))
            far = bytearray(forged)
            far[4:8] = (1 << 30).to_bytes(4, "big")  # would move the window if it moved before the ICV
            scene.peer.send_esp(bytes(far))
            check(scene.peer.receive(0.5) is None, "nothing of it is answered")
            check(scene.echo(9) is not None, "the window has not moved")
        drops = scene.daemon.drops()
        check_equal((drops.get("replay"), drops.get("icv")), (3, 2), f"{drops}")


@case("RFC 4301 5.2: a decrypted packet outside the SA's selectors is dropped and counted")
def wrong_selector():
    with Lab("selector") as lab:
        scene = ScapyLab(lab, StaticPair(GCM, MOON4, CAROL4, LAN4, FAR4, encap=True))
        for src, dst in (("10.3.0.1", ALICE4), (CAROL_IN4, "203.0.113.9")):
            scene.peer.send(IP(src=src, dst=dst) / UDP(sport=1, dport=2))
        wait_until(lambda: scene.daemon.drops().get("policy_mismatch", 0) == 2, 5, lambda: f"both are counted: {scene.daemon.drops()}")
        with scene.audited(allow=("bad-inner",)):
            check(scene.echo(1) is not None, "and a good one passes after them")


@case("TRAPS 34: ESN goes on over 2^32", timeout=60)
def esn_wrap():
    with Lab("esn-wrap") as lab:
        pair = StaticPair(GCM, MOON4, CAROL4, LAN4, FAR4, esn=True, encap=True)
        scene = ScapyLab(lab, pair, first_seq=1)
        with scene.audited(esp_at_least=10, allow=("bad-icv",)):
            check(scene.echo(1) is not None, "the window stands at its start")
            # The window follows from 2^31 to the end of the low half, and over it.
            for seq, first in ((2, 0x7FFFFFF0), (3, 0xFFFFFFF0), (4, 0xFFFFFFFF)):
                scene.peer.out.seq_num = first
                check(scene.echo(seq) is not None, f"sequence {first:#x}; {scene.daemon.drops()}")
            scene.peer.out.seq_num, scene.peer.out.esn = 0, 1
            for seq in range(5, 12):
                check(scene.echo(seq) is not None, f"above 2^32, {seq}; {scene.daemon.drops()}")


class KernelLab:
    """sluiced and a Linux kernel with the same static SAs."""

    def __init__(self, lab):
        self.lab = lab
        self.moon, self.alice = lab.namespace("moon"), lab.namespace("alice")
        lab.veth(self.moon, "lan0", self.alice, "eth0")
        self.alice.address("eth0", f"{ALICE4}/24")
        self.alice.route(f"default via {MOON_IN4}")
        self.peer = KernelPeer(lab, self.moon)
        self.peer.exec(f"ip route add {LAN4} via {MOON4}")
        self.daemon = None

    def play(self, pair, name):
        self.peer.clear()
        self.peer.exec(pair.kernel())
        self.daemon = Sluiced(self.moon, moon_config(self.lab, pair.toml(), routes=True), name).start()
        with Audited(self.lab, self.daemon, self.alice, self.peer.space, "guest0", name, esp_at_least=30):
            ping_until(self.alice, CAROL_IN4)
            for size in (0, 1, 56, 700, 1372):
                check_equal(ping(self.alice, CAROL_IN4, count=6, interval=0.01, size=size), 6, f"{name} size {size}")
            self.peer.exec(f"ping -n -q -c 5 -i 0.01 -I {CAROL_IN4} {ALICE4}")
        check_equal(self.peer.xfrm_errors(), {}, f"{name}: XFRM errors of the kernel")
        self.daemon.stop()


@case("the Linux kernel: every algorithm, plain ESP, with and without ESN", timeout=200)
def kernel():
    with Lab("kernel") as lab:
        scene = KernelLab(lab)
        for suite in SUITES:
            for esn in (False, True):
                pair = StaticPair(suite, MOON4, CAROL4, LAN4, FAR4, esn=esn)
                # New SPIs each time: keys in the log are found by SPI.
                number = 0x100 * (1 + SUITES.index(suite)) + 0x10 * esn
                scene.play(replace(pair, spi_in=0x10000 + number + 1, spi_out=0x20000 + number + 2), f"{suite.proposal}{'-esn' if esn else ''}")


if __name__ == "__main__":
    main()
