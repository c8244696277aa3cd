# SPDX-License-Identifier: Apache-2.0
# timeout: 900
"""SAs with keys by hand against two other implementations of ESP: scapy's, and the Linux kernel's."""
import socket
import sys
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab import topology
from lab.audit import Audited
from lab.guest import KernelPeer
from lab.net import Lab, wait_until
from lab.sluiced import Sluiced, moon_config
from lab.static_sa import IP, SCAPY_SUITES, SUITES, UDP, ScapyPeer, StaticPair
from lab.topology import ALICE4, ALICE6, CAROL4, CAROL6, CAROL_IN4, CAROL_IN6, FAR4, FAR6, LAN4, LAN6, MOON4, MOON6, MOON_IN4, MOON_IN6
from lab.traffic import ping, ping_until
from scapy.layers.inet import ICMP, IPOption_Router_Alert
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, PadN
from scapy.layers.ipsec import ESP
from scapy.packet import Raw, raw
from script import case, check, check_equal, main

GCM = SUITES[0]
HOSTS = Path(__file__).resolve().parent / "lab/hosts.py"


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


def host_pair(v6, encap=False, ts=""):
    """A transport-mode pair between moon's and carol's own addresses."""
    near, far = (MOON6, CAROL6) if v6 else (MOON4, CAROL4)
    length = 128 if v6 else 32
    return StaticPair(GCM, near, far, f"{near}/{length}{ts}", f"{far}/{length}{ts}", encap=encap, mode="transport")


def padding():
    return [PadN(optdata=b"\0\0\0\0")]


def echo_of(v6, seq, between=None, options=None):
    """scapy's echo request from carol to moon, with what stands between IP header and ICMP."""
    if v6:
        message = ICMPv6EchoRequest(id=9, seq=seq, data=b"x" * 40)
        return IPv6(src=CAROL6, dst=MOON6) / (between / message if between else message)
    return IP(src=CAROL4, dst=MOON4, options=options or []) / ICMP(type=8, id=9, seq=seq) / Raw(b"x" * 40)


def answered(peer, v6, seq):
    reply = peer.receive(3)
    if reply is None:
        return False
    answer = reply[ICMPv6EchoReply] if v6 else reply[ICMP]
    return answer.seq == seq


@case("scapy: transport mode to the daemon's host, IPv4 with options, IPv6 with extension headers, in UDP", timeout=90)
def scapy_transport():
    for v6 in (False, True):
        for encap in (False, True):
            with Lab(f"transport-{6 if v6 else 4}{'-udp' if encap else ''}") as lab:
                scene = ScapyLab(lab, host_pair(v6, encap))
                peer = scene.peer
                if encap:
                    packets = [echo_of(v6, 1), echo_of(v6, 2)]
                elif v6:
                    packets = [echo_of(True, 1), echo_of(True, 2, IPv6ExtHdrDestOpt(options=padding())),
                               echo_of(True, 3, IPv6ExtHdrHopByHop(options=padding()))]
                else:
                    packets = [echo_of(False, 1), echo_of(False, 2, options=[IPOption_Router_Alert()])]
                for seq, packet in enumerate(packets, 1):
                    sealed = peer.out.encrypt(packet)
                    peer.send_esp(raw(sealed[ESP])) if encap else peer.send_whole(sealed)
                    check(answered(peer, v6, seq), f"echo {seq}, IPv{6 if v6 else 4}, encap {encap}: {scene.daemon.drops()}")
                check_equal(scene.daemon.drops().get("policy_mismatch", 0), 0)


@case("X1: an SA for UDP port 7007 takes neither another port nor another protocol, in transport mode")
def scapy_transport_selectors():
    with Lab("transport-x1") as lab:
        pair = replace(host_pair(False), near_ts=f"{MOON4}/32[udp/7007]", far_ts=f"{CAROL4}/32[udp]")
        scene = ScapyLab(lab, pair)
        server = scene.gateway.moon.call(udp_server, MOON4)
        sent = [IP(src=CAROL4, dst=MOON4) / UDP(sport=5, dport=7007) / Raw(b"right"),
                IP(src=CAROL4, dst=MOON4) / UDP(sport=5, dport=7008) / Raw(b"port"),
                IP(src=CAROL4, dst=MOON4) / ICMP(type=8, id=9, seq=1) / Raw(b"protocol")]
        for packet in sent:
            scene.peer.send_whole(scene.peer.out.encrypt(packet))
        wait_until(lambda: scene.daemon.drops().get("policy_mismatch", 0) == 2, 5, lambda: f"both are counted: {scene.daemon.drops()}")
        check_equal(server.recv(99), b"right")
        server.close()


def udp_server(address):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 7007))
    server.settimeout(5)
    return server


@case("scapy: ESP over IPv6 behind extension headers, TFC padding both ways, and UDP checksums (X4)", timeout=60)
def scapy_outer_headers():
    with Lab("outer6") as lab:
        pair = StaticPair(GCM, MOON6, CAROL6, LAN4, FAR4, near_keys='tfc_padding = 600\ndscp = 34')
        scene = ScapyLab(lab, pair)
        peer = scene.peer
        for seq, between in ((1, IPv6ExtHdrHopByHop(options=padding())), (2, IPv6ExtHdrDestOpt(options=padding()))):
            inner = IP(src=CAROL_IN4, dst=ALICE4) / ICMP(type=8, id=77, seq=seq) / Raw(b"y" * 30)
            padded = raw(inner) + bytes(200)  # TFC padding behind the inner length
            sealed = peer.out.encrypt(IP(padded))
            peer.send_whole(IPv6(src=CAROL6, dst=MOON6) / between / ESP(raw(sealed[ESP])))
            reply = peer.receive(3)
            check(reply is not None and reply[ICMP].seq == seq, f"echo {seq}: {scene.daemon.drops()}")
    with Lab("outer6-udp") as lab:
        scene = ScapyLab(lab, replace(pair, near_keys="", encap=True))
        peer = scene.peer
        for seq, zero in ((1, False), (2, True)):
            esp = peer.seal(IP(src=CAROL_IN4, dst=ALICE4) / ICMP(type=8, id=77, seq=seq) / Raw(b"z" * 30))
            datagram = IPv6(src=CAROL6, dst=MOON6) / UDP(sport=4500, dport=4500, **({"chksum": 0} if zero else {})) / Raw(esp)
            peer.send_whole(datagram)
            reply = peer.receive(3)
            check(reply is not None and reply[ICMP].seq == seq, f"echo {seq}, zero checksum {zero}: {scene.daemon.drops()}")


class KernelLab:
    """sluiced and a Linux kernel with the same static SAs."""

    def __init__(self, lab):
        self.lab = lab
        self.moon, self.alice = lab.namespace("moon"), lab.namespace("alice")
        lab.veth(self.moon, "lan0", self.alice, "eth0")
        self.alice.address("eth0", f"{ALICE4}/24", f"{ALICE6}/64")
        self.alice.route(f"default via {MOON_IN4}", f"default via {MOON_IN6}")
        self.peer = KernelPeer(lab, self.moon)
        self.peer.exec(f"ip route add {LAN4} via {MOON4} && ip route add {LAN6} via {MOON6}")
        self.daemon = None

    def start(self, pair, name):
        self.peer.clear()
        self.peer.exec(pair.kernel())
        self.daemon = Sluiced(self.moon, moon_config(self.lab, pair.toml(), routes=True), name).start()

    def stop(self, name):
        check_equal(self.peer.xfrm_errors(), {}, f"{name}: XFRM errors of the kernel")
        self.daemon.stop()

    def tunnel(self, pair, name, source, target):
        """Pings through a tunnel, either way, audited."""
        self.start(pair, name)
        with Audited(self.lab, self.daemon, self.alice, self.peer.space, "guest0", name, esp_at_least=10):
            ping_until(self.alice, target)
            for size in (0, 56, 700, 1300):
                check_equal(ping(self.alice, target, count=3, interval=0.01, size=size), 3, f"{name} size {size}")
            self.peer.exec(f"ping -n -q -c 3 -i 0.01 -I {target} {source}")
        self.stop(name)

    def transport(self, pair, name):
        """UDP between the two hosts, from small to what the kernels have to cut, either way; TCP over IPv4."""
        self.start(pair, name)
        with Audited(self.lab, self.daemon, self.alice, self.peer.space, "guest0", name, account=False):
            self.peer.write("/run/hosts.py", HOSTS.read_text(encoding="utf-8"))
            self.peer.exec(f"python3 /run/hosts.py serve {pair.far} 7007 >/dev/null 2>&1 &")
            for size in (1, 1000, 1400, 1472, 4000):
                done = self.moon.run(["python3", str(HOSTS), "ask", pair.near, pair.far, "7007", str(size)], ok=None, timeout=90)
                check_equal(done.returncode, 0, f"{name}: {size} bytes: {done.stderr[-300:]} {self.daemon.drops()}")
        sealed, accepted = self.daemon.esp_counts()
        check(sealed >= 5 and accepted >= 5, f"{name}: {sealed} sealed, {accepted} accepted")
        self.stop(name)

    def start_all(self, pairs):
        """Many SAs at once, each for a host of its own in the guest, which takes its time to start a command: it gets one."""
        lines = [f"addr replace {pair.far_host}/24 dev inner0" for pair in pairs]
        lines += [command.removeprefix("ip ") for pair in pairs for command in pair.kernel().split(" && ")]
        self.peer.write("/run/batch", "".join(line + "\n" for line in lines))
        self.peer.exec("ip -batch /run/batch", timeout=90)
        self.daemon = Sluiced(self.moon, moon_config(self.lab, toml(pairs))).start()

    def play(self, pair):
        """Pings of several sizes; in one command each way, since a busy machine takes its time to start one. ping fails where the
        deadline comes before the replies."""
        ask = f"for size in 0 1 56 700 1372; do ping -n -q -c 2 -i 0.01 -w 20 -s $size {pair.far_host} || exit; done"
        done = self.alice.run(["sh", "-c", ask], ok=None, timeout=120)
        check_equal(done.returncode, 0, f"{pair.name}: {done.stdout}")
        self.peer.exec(f"ping -n -q -c 2 -i 0.01 -w 20 -I {pair.far_host} {ALICE4}")


@case("the Linux kernel: every kind of algorithm, plain ESP, with and without ESN", timeout=400)
def kernel():
    with Lab("kernel") as lab:
        scene = KernelLab(lab)
        pairs = StaticPair.for_each(SUITES, MOON4, CAROL4, LAN4, FAR_HOSTS)
        scene.start_all(pairs)
        with Audited(lab, scene.daemon, scene.alice, scene.peer.space, "guest0", esp_at_least=12 * len(pairs)):
            ping_until(scene.alice, pairs[0].far_host)
            for pair in pairs:
                scene.play(pair)
        check_equal(scene.peer.xfrm_errors(), {}, "XFRM errors of the kernel")


@case("the Linux kernel: transport mode, TFC padding and IPv6 outside", timeout=400)
def kernel_modes():
    with Lab("kernel-modes") as lab:
        scene = KernelLab(lab)
        scene.transport(replace(host_pair(False), spi_in=0x3011, spi_out=0x4012), "transport-v4")
        scene.transport(replace(host_pair(True, ts="[udp]"), spi_in=0x3021, spi_out=0x4022), "transport-v6")
        padded = StaticPair(GCM, MOON4, CAROL4, LAN4, FAR4, near_keys='tfc_padding = "mtu"', far_extra=" tfcpad 900")
        scene.tunnel(replace(padded, spi_in=0x3031, spi_out=0x4032), "tfc", ALICE4, CAROL_IN4)
        six = StaticPair(GCM, MOON6, CAROL6, LAN6, FAR6)
        scene.tunnel(replace(six, spi_in=0x3041, spi_out=0x4042), "v6-in-v6", ALICE6, CAROL_IN6)
        scene.tunnel(replace(six, near_ts=LAN4, far_ts=FAR4, spi_in=0x3051, spi_out=0x4052), "v4-in-v6", ALICE4, CAROL_IN4)


if __name__ == "__main__":
    main()
