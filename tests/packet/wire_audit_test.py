# SPDX-License-Identifier: Apache-2.0
"""tools/wire-audit finds each violation where there is exactly one, and none in clean captures. scapy builds the captures."""
import json
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests"), str(TOP / "tests/e2e")]
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lab.static_sa import SCAPY_SUITES, SUITES, StaticPair
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw, raw
from scapy.utils import wrpcap, wrpcapng
from script import case, check, check_equal, main

MOON, CAROL = "192.0.2.1", "192.0.2.2"
ENCR = {"AES-GCM": 20, "AES-CCM": 16, "CHACHA20-POLY1305": 28, "AES-CBC": 12, "AES-CTR": 13, "NULL": 11}
INTEG = {None: 0, "HMAC-SHA1-96": 2, "AES-CMAC-96": 8, "SHA2-256-128": 12, "SHA2-384-192": 13, "SHA2-512-256": 14}
SALT = {"AES-GCM": 4, "AES-CCM": 3, "CHACHA20-POLY1305": 4, "AES-CTR": 4}


def inner(number, reverse=False, size=40):
    src, dst = ("10.2.0.9", "10.1.0.9") if reverse else ("10.1.0.9", "10.2.0.9")
    return IP(src=src, dst=dst, id=number + 1, ttl=63) / UDP(sport=7, dport=9) / Raw(bytes([number & 255]) * size)


class Scene:
    """Packets of both captures, the key log and the policy; a test adds one violation and asks what the audit says."""

    def __init__(self, suite=SUITES[0], esn=False, first=1):
        self.pair = StaticPair(suite, MOON, CAROL, "10.1.0.0/24", "10.2.0.0/24", esn=esn)
        self.inside, self.outside, self.keys = [], [Ether() / ARP(pdst=CAROL)], []
        self.sa = {"out": self._association(self.pair.spi_out, MOON, CAROL, first), "in": self._association(self.pair.spi_in, CAROL, MOON, first)}
        self.policy = {"extra": "", "drops": ""}
        self.metrics = {}

    def _association(self, spi, src, dst, first):
        suite = self.pair.suite
        encr, integ = self.pair.keys(spi)
        bits = 8 * (len(encr) - SALT.get(suite.scapy_encr, 0))
        self.keys.append({"t": "esp", "dir": "out", "spi": f"{spi:#010x}", "src": src, "dst": dst, "encr": ENCR[suite.scapy_encr],
                          "key_bits": bits, "integ": INTEG[suite.scapy_integ], "esn": self.pair.esn, "encr_key": encr.hex(), "integ_key": integ.hex()})
        words = {"auth_algo": suite.scapy_integ, "auth_key": integ} if integ else {}
        words.update({"esn_en": True, "esn": first >> 32} if self.pair.esn else {})
        return SecurityAssociation(ESP, spi=spi, seq_num=first & 0xFFFFFFFF, crypt_algo=suite.scapy_encr, crypt_key=encr or None,
                                   tunnel_header=IP(src=src, dst=dst), **words)

    def seal(self, packet, way="out", **words):
        return self.sa[way].encrypt(packet, **words)

    def forward(self, packet, way="out", encap=False):
        """The packet crosses the gateway: once clear inside (with another TTL), once sealed outside."""
        clear = packet.copy()
        clear.ttl = 64
        self.inside.append(Ether() / clear)
        sealed = self.seal(packet, way)
        if encap:
            sealed = IP(src=sealed.src, dst=sealed.dst) / UDP(sport=4500, dport=4500, chksum=0) / Raw(raw(sealed[ESP]))
        self.outside.append(Ether() / sealed)
        return sealed

    def audit(self, names=("outside.pcap", "inside.pcap"), second_outside=False):
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            wrpcap(str(here / "outside.pcap"), self.outside)
            wrpcapng(str(here / "inside.pcap"), self.inside or [Ether() / ARP()])
            wrpcap(str(here / "again.pcap"), self.outside)
            (here / "keys").write_text("".join(json.dumps(k) + "\n" for k in self.keys))
            for name, text in self.metrics.items():
                (here / name).write_text(text)
            (here / "policy").write_text(f"""{self.policy['extra']}
[[protect]]
local = ["10.1.0.0/24", "fd01::/64"]
remote = ["10.2.0.0/24", "fd02::/64"]
[captures]
"outside.pcap" = "outside"
"again.pcap" = "outside"
"inside.pcap" = "inside"
{self.policy['drops']}""")
            captures = [str(here / n) for n in names + (("again.pcap",) if second_outside else ())]
            done = subprocess.run([str(TOP / "tools/wire-audit"), *captures, "--keys", str(here / "keys"), "--policy", str(here / "policy"), "--json"],
                                  capture_output=True, text=True, check=False)
        check(done.returncode in (0, 1), done.stderr)
        report = json.loads(done.stdout)
        check_equal(done.returncode, 0 if report["ok"] else 1, "exit code")
        return report


def kinds(report):
    return [v["kind"] for v in report["violations"]]


def busy(**words):
    scene = Scene(**words)
    for number in range(6):
        scene.forward(inner(number), encap=number % 2 == 1)
        scene.forward(inner(number + 100, reverse=True), "in")
    return scene


@case("clean captures of every suite pass, plain and in UDP")
def clean():
    for suite in SCAPY_SUITES:
        report = busy(suite=suite).audit()
        check_equal(report["violations"], [], suite.proposal)
        check_equal(report["protected"]["out"], {"entered": 6, "left": 6, "missing": 0, "more_than_entered": 0})
        check_equal(sum(f["packets"] for f in report["flows"]), 12)


@case("ESN: sequence numbers above 2^32 verify, and across the wrap")
def esn():
    report = busy(esn=True, first=(3 << 32) + 7).audit()
    check_equal(report["violations"], [])
    check_equal(max(f["highest_seq"] for f in report["flows"]), (3 << 32) + 12)
    scene = Scene(esn=True, first=(1 << 32) - 2)
    scene.forward(inner(1))
    scene.forward(inner(2))
    scene.sa["out"].seq_num, scene.sa["out"].esn = 0, 1
    scene.forward(inner(3))
    check_equal(scene.audit()["violations"], [])


@case("a second capture of the same wire counts nothing twice")
def twice_captured():
    report = busy().audit(second_outside=True)
    check_equal(report["violations"], [])


@case("a sequence number used twice is found")
def repeated_seq():
    scene = busy()
    scene.sa["out"].seq_num = 3
    scene.forward(inner(50))
    check_equal(kinds(scene.audit()), ["repeated-seq"])


@case("an IV used twice under one key is found")
def repeated_iv():
    scene = Scene()
    for number in range(2):
        scene.inside.append(Ether() / inner(number))
        scene.outside.append(Ether() / scene.seal(inner(number), iv=b"\0\0\0\0\0\0\0\7"))
    check_equal(kinds(scene.audit()), ["repeated-iv"])


@case("a CBC IV used twice is found")
def repeated_cbc_iv():
    scene = Scene(suite=SUITES[3])
    for number in range(2):
        scene.inside.append(Ether() / inner(number))
        scene.outside.append(Ether() / scene.seal(inner(number), iv=bytes(range(16))))
    check_equal(kinds(scene.audit()), ["repeated-iv"])


@case("a wrong ICV is found")
def bad_icv():
    for suite in (SUITES[0], SUITES[2], SUITES[3], SUITES[5]):
        scene = busy(suite=suite)
        broken = bytearray(raw(scene.seal(inner(9))))
        broken[-1] ^= 1
        scene.outside.append(Ether() / IP(bytes(broken)))
        check_equal(kinds(scene.audit()), ["bad-icv"], suite.proposal)


@case("an SPI without a logged key is found, and may be allowed")
def unknown_spi():
    scene = busy()
    scene.outside.append(Ether() / IP(src=CAROL, dst=MOON) / ESP(spi=0x7777, seq=1, data=b"x" * 40))
    check_equal(kinds(scene.audit()), ["unknown-spi"])
    scene.policy["extra"] = 'allow = ["unknown-spi"]'
    report = scene.audit()
    check_equal((report["ok"], len(report["allowed"])), (True, 1))


@case("a protected packet in clear is found: whole, as a fragment, in an ICMP error, in an IP tunnel, IPv6")
def clear():
    for bad in ([inner(7)], [inner(7, reverse=True)],
                [fragment(inner(7, size=900), fragsize=400)[1]],
                [IP(src=MOON, dst="203.0.113.5") / ICMP(type=3, code=4) / Raw(raw(inner(7))[:28])],
                [IP(src=MOON, dst=CAROL) / inner(7)],
                [IPv6(src="fd01::9", dst="fd02::9") / ICMPv6EchoRequest()]):
        scene = busy()
        scene.outside += [Ether() / packet for packet in bad]
        scene.policy["extra"] = "account = false"
        check_equal(kinds(scene.audit()), ["clear"], bad[0].summary())


@case("clear traffic that no pair protects is no violation")
def clear_allowed():
    scene = busy()
    scene.outside.append(Ether() / IP(src="10.1.0.9", dst="203.0.113.5") / TCP())
    check_equal(scene.audit()["violations"], [])


@case("a packet that went in and did not come out is found, in both directions")
def unaccounted():
    scene = busy()
    scene.inside.append(Ether() / inner(60))
    report = scene.audit()
    check_equal((kinds(report), report["protected"]["out"]["missing"]), (["unaccounted"], 1))
    scene = busy()
    scene.outside.append(Ether() / scene.seal(inner(61, reverse=True), "in"))
    report = scene.audit()
    check_equal((kinds(report), report["protected"]["in"]["missing"]), (["unaccounted"], 1))


@case("a drop counter explains a missing packet, and no more than it counted")
def drops():
    scene = busy()
    scene.inside.append(Ether() / inner(60))
    scene.policy["drops"] = '[drops]\nbefore = "before"\nafter = "after"\n'
    line = 'sluice_drops_total{reason="no_neighbour",worker="0"} %d\n'
    scene.metrics = {"before": line % 4, "after": line % 5}
    check_equal(scene.audit()["violations"], [])
    scene.inside.append(Ether() / inner(61))
    check_equal(kinds(scene.audit()), ["unaccounted"])
    scene.metrics["before"] = line % 5
    check_equal(kinds(scene.audit()), ["unaccounted"])


@case("a changed payload counts as missing; a changed TTL, DSCP and checksum do not")
def changed():
    scene = Scene()
    scene.inside.append(Ether() / inner(1))
    other = inner(1)
    other[IP].tos, other[IP].ttl = 0xB8, 12
    scene.outside.append(Ether() / scene.seal(other))
    check_equal(scene.audit()["violations"], [])
    other[Raw].load = b"?" * 40
    scene.outside[-1] = Ether() / scene.seal(other)
    check_equal(kinds(scene.audit()), ["unaccounted"])


@case("packets in fragments are the same packet on both sides")
def fragments():
    scene = Scene()
    whole = inner(1, size=2000)
    scene.inside += [Ether() / piece for piece in fragment(whole, fragsize=1400)]
    scene.outside += [Ether() / scene.seal(piece) for piece in fragment(whole, fragsize=600)]
    check_equal(scene.audit()["violations"], [])
    sealed = scene.seal(inner(2, size=2000))
    scene.inside.append(Ether() / inner(2, size=2000))
    scene.outside += [Ether() / piece for piece in reversed(fragment(sealed, fragsize=800))]
    check_equal(scene.audit()["violations"], [])


@case("packets of the gateway itself are seen at one side only")
def hosts():
    scene = busy()
    scene.outside.append(Ether() / scene.seal(IP(src="10.1.0.1", dst="10.2.0.9", id=5) / ICMP()))
    scene.outside.append(Ether() / scene.seal(IP(src="10.2.0.9", dst="10.1.0.1", id=6) / ICMP(), "in"))
    check_equal(kinds(scene.audit()), ["unaccounted"])
    scene.policy["extra"] = 'hosts = ["10.1.0.1"]'
    check_equal(scene.audit()["violations"], [])


@case("displacement is the greatest distance behind the highest sequence number")
def displacement():
    scene = Scene()
    for number in range(8):
        scene.forward(inner(number))
    moved = scene.outside.pop(2)
    scene.outside.insert(7, moved)
    flow = scene.audit()["flows"][0]
    check_equal((flow["reordered"], flow["max_displacement"]), (1, 5))


@case("a sequence number 0 and wrong padding are found")
def zero_and_padding():
    scene = Scene()
    scene.sa["out"].seq_num = 0
    scene.forward(inner(1))
    check_equal(kinds(scene.audit()), ["seq-zero"])
    scene = Scene()
    key, _ = scene.pair.keys(scene.pair.spi_out)
    plain = raw(inner(1)) + b"\2\2\2\4"
    head, iv = struct.pack("!II", scene.pair.spi_out, 1), bytes(8)
    body = AESGCM(key[:16]).encrypt(key[16:] + iv, plain, head)
    scene.outside.append(Ether() / IP(src=MOON, dst=CAROL, proto=50) / Raw(head + iv + body))
    check_equal(kinds(scene.audit()), ["bad-padding"])


def ike_message(key, iv, message_id, payload, initiator=True):
    """An INFORMATIONAL message with one SK payload, AES-GCM-128 (RFC 5282)."""
    size = 28 + 4 + 8 + len(payload) + 1 + 16
    head = b"INITSPI1RESPSPI2" + bytes([46, 0x20, 37, 0x08 if initiator else 0x20]) + struct.pack("!II", message_id, size)
    head += struct.pack("!BBH", 0, 0, size - 28)
    return head + iv + AESGCM(key[:16]).encrypt(key[16:] + iv, payload + b"\0", head)


@case("IKE: an IV used twice, a wrong ICV and an unknown SA are found; a retransmission is none of them")
def ike():
    keys = {"i": bytes(range(20)), "r": bytes(range(40, 60))}

    def scene_of(*messages):
        scene = busy()
        scene.keys.append({"t": "ike", "spi_i": b"INITSPI1".hex(), "spi_r": b"RESPSPI2".hex(), "encr": 20, "key_bits": 128, "integ": 0, "prf": 5,
                           "sk_ei": keys["i"].hex(), "sk_er": keys["r"].hex(), "sk_ai": "", "sk_ar": ""})
        for at, message in enumerate(messages):
            natted = at % 2 == 1
            body = (b"\0\0\0\0" if natted else b"") + message
            port = 4500 if natted else 500
            scene.outside.append(Ether() / IP(src=CAROL, dst=MOON) / UDP(sport=port, dport=port) / Raw(body))
        return scene.audit()

    first = ike_message(keys["i"], bytes(8), 2, b"")
    check_equal(scene_of(first, first, ike_message(keys["r"], bytes(8), 2, b"", False))["violations"], [])
    check_equal(kinds(scene_of(first, ike_message(keys["i"], bytes(8), 3, b"abcd"))), ["repeated-iv"])
    check_equal(kinds(scene_of(first[:-1] + bytes([first[-1] ^ 1]))), ["bad-icv"])
    check_equal(kinds(scene_of(b"OTHERSPI" + first[8:])), ["unknown-ike-sa"])


@case("a capture that the policy does not place, a cut frame and a bad key log are refused")
def refused():
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        wrpcap(str(here / "a.pcap"), [Ether() / inner(1)])
        cut = bytearray((here / "a.pcap").read_bytes())
        cut[36:40] = struct.pack("<I", 4000)
        (here / "cut.pcap").write_bytes(cut)
        (here / "keys").write_text("")
        (here / "bad").write_text('{"t":"esp"}\n')
        (here / "none").write_text("")
        (here / "place").write_text('[captures]\n"a.pcap" = "outside"\n"cut.pcap" = "outside"\n')
        for capture, keys, policy, text in (("a.pcap", "keys", "none", "which side"), ("cut.pcap", "keys", "place", "is cut"),
                                            ("a.pcap", "bad", "place", "bad:1"), ("a.pcap", "keys", "bad", "bad")):
            done = subprocess.run([str(TOP / "tools/wire-audit"), str(here / capture), "--keys", str(here / keys), "--policy", str(here / policy)],
                                  capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
            check_equal(done.returncode, 2, text)
            check(text in done.stderr, done.stderr)


# Transforms that scapy does not know: encr, key with salt, integ and its key, IV, what is covered before it, text and ICV, plaintext.
PUBLISHED = {
    "draft-mcgrew-gcm-test, GMAC (RFC 4543)": (
        21, "4c80cdefbb5d10da906ac73c3613a63422433c64", 0, "", "0000000000000000", "0000432100000007",
        "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f707172737401020201"
        "f2a9a836e155106aa8dcd618e4099aaa",
        "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f707172737401020201"),
    "RFC 3566 4.6 test case 4": (11, "", 5, "000102030405060708090a0b0c0d0e0f", "", "0001020304050607",
                                 "08090a0b0c0d0e0f10111213" "47f51b4564966215b8985c63", "08090a0b0c0d0e0f10111213"),
    "the GCM specification's case 2 with an ICV of 8 bytes": (18, "00" * 20, 0, "", "00" * 8, "", "0388dace60b6a392f328c2b971b2fe78" "ab6e47d42cec13bd",
                                                              "00" * 16),
}


@case("GMAC, XCBC and short ICVs: published packets verify, and with any byte changed they do not")
def published():
    sys.path.insert(0, str(TOP / "tools"))
    from wire_audit.keys import Sealed
    for name, (encr, encr_key, integ, integ_key, *rest) in PUBLISHED.items():
        sealed = Sealed(encr, bytes.fromhex(encr_key), integ, bytes.fromhex(integ_key))
        iv, covered, body, plain = (bytes.fromhex(part) for part in rest)
        check_equal(sealed.open(iv, body, covered), plain, name)
        for at in range(len(body)):
            check(sealed.open(iv, body[:at] + bytes([body[at] ^ 1]) + body[at + 1:], covered) is None, f"{name}: byte {at} may change")


if __name__ == "__main__":
    main()
