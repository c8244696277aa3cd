# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""SAs with keys by hand against two other implementations of ESP: scapy's, and the Linux kernel's."""
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab import topology
from lab.audit import Audited
from lab.guest import KernelPeer
from lab.net import Lab, wait_until
from lab.sluiced import Sluiced, moon_config
from lab.static_sa import IP, SCAPY_SUITES, SUITES, UDP, ScapyPeer, StaticPair
from lab.topology import ALICE4, CAROL4, CAROL_IN4, FAR4, LAN4, MOON4, MOON_IN4
from lab.traffic import ping, ping_until
from scapy.layers.inet import ICMP
from scapy.packet import Raw
from script import case, check, check_equal, main

GCM = SUITES[0]


FAR_HOSTS = [FAR4.replace("0/24", str(n)) for n in range(1, 250)]


def toml(pairs):
    return "".join(pair.toml(f"lab{i}") for i, pair in enumerate(pairs))


class ScapyLab:
    """sluiced with `pairs` as its static SAs; carol's address belongs to scapy, which speaks one of them at a time."""

    def __init__(self, lab, *pairs, first_seq=1):
        self.lab, self.peer = lab, None
        self.gateway = topology.Gateway(lab)
        self.daemon = Sluiced(self.gateway.moon, moon_config(lab, toml(pairs))).start()
        self.speak(pairs[0], first_seq)
        ping_until(self.gateway.alice, MOON_IN4)

    def speak(self, pair, first_seq=1):
        if self.peer:
            self.peer.close()
        self.peer = ScapyPeer(self.gateway.carol, pair, first_seq)

    def audited(self, **words):
        gateway = self.gateway
        return Audited(self.lab, self.daemon, gateway.alice, gateway.outside, gateway.outside_device, **words)

    def accepted(self):
        return self.daemon.metric("worker_esp_in_packets_total")

    def echo(self, seq, size=40, source=CAROL_IN4):
        """scapy asks alice, alice answers through the daemon; the decrypted answer."""
        self.peer.send(IP(src=source, dst=ALICE4, id=1000 + seq) / ICMP(type=8, id=77, seq=seq) / Raw(bytes([seq & 255]) * size))
        return self.peer.receive(3)


def scapy_echoes(encap):
    pairs = StaticPair.for_each(SCAPY_SUITES, MOON4, CAROL4, LAN4, FAR_HOSTS, encap=encap)
    with Lab("scapy-udp" if encap else "scapy") as lab:
        scene = ScapyLab(lab, *pairs)
        with scene.audited(esp_at_least=9 * len(pairs)):
            for pair in pairs:
                scene.speak(pair)
                for seq, size in enumerate((0, 1, 2, 3, 15, 16, 64, 1000, 1300), 1):
                    reply = scene.echo(seq, size, pair.far_host)
                    check(reply is not None, f"{pair.name}: no reply to size {size}; drops {scene.daemon.drops()} {scene.daemon.log()[-300:]}")
                    check_equal((reply[ICMP].type, reply[ICMP].seq), (0, seq), pair.name)
                    check_equal(bytes(reply[Raw]) if size else b"", bytes([seq]) * size, f"{pair.name} size {size}")


@case("scapy: every suite that it knows, with and without ESN, plain ESP", timeout=90)
def scapy_plain():
    scapy_echoes(encap=False)


@case("scapy: every suite that it knows, with and without ESN, in UDP", timeout=90)
def scapy_udp():
    scapy_echoes(encap=True)


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
    """sluiced and a Linux kernel with the same static SAs, each for a host of its own in the guest."""

    def __init__(self, lab, pairs):
        self.lab, self.pairs = lab, pairs
        self.moon, self.alice = lab.namespace("moon"), lab.namespace("alice")
        lab.veth(self.moon, "lan0", self.alice, "eth0")
        self.alice.address("eth0", f"{ALICE4}/24")
        self.alice.route(f"default via {MOON_IN4}")
        self.peer = KernelPeer(lab, self.moon)
        self.peer.exec(f"ip route add {LAN4} via {MOON4}")
        for pair in pairs:
            self.peer.exec(f"ip addr replace {pair.far_host}/24 dev inner0 && {pair.kernel()}")
        self.daemon = Sluiced(self.moon, moon_config(lab, toml(pairs))).start()

    def play(self, pair):
        for size in (0, 1, 56, 700, 1372):
            check_equal(ping(self.alice, pair.far_host, count=3, interval=0.01, size=size), 3, f"{pair.name} size {size}")
        self.peer.exec(f"ping -n -q -c 3 -i 0.01 -I {pair.far_host} {ALICE4}")


@case("the Linux kernel: every kind of algorithm, plain ESP, with and without ESN", timeout=200)
def kernel():
    with Lab("kernel") as lab:
        scene = KernelLab(lab, StaticPair.for_each(SUITES, MOON4, CAROL4, LAN4, FAR_HOSTS))
        with Audited(lab, scene.daemon, scene.alice, scene.peer.space, "guest0", esp_at_least=18 * len(scene.pairs)):
            ping_until(scene.alice, scene.pairs[0].far_host)
            for pair in scene.pairs:
                scene.play(pair)
        check_equal(scene.peer.xfrm_errors(), {}, "XFRM errors of the kernel")


if __name__ == "__main__":
    main()
