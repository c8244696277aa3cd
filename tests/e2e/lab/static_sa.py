# SPDX-License-Identifier: Apache-2.0
"""SA pairs with keys by hand: the same suite said to the daemon (TOML), to a Linux kernel (`ip xfrm`) and to scapy."""
import copy
import socket
import struct
from dataclasses import dataclass

import warnings

warnings.filterwarnings("ignore")  # scapy and cryptography of Debian 12 disagree about retired ciphers
from scapy.config import conf  # noqa: E402
from scapy.layers.inet import IP, UDP  # noqa: E402
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.ipsec import ESP, IPSecIntegrityError, SecurityAssociation  # noqa: E402
from scapy.packet import raw  # noqa: E402

conf.verb = 0


@dataclass(frozen=True)
class Suite:
    """proposal: as the configuration says it. encr_bytes: key with its salt. The rest: what kernel and scapy call it; scapy lacks some."""

    proposal: str
    encr_bytes: int
    integ_bytes: int
    kernel: str
    scapy_encr: str = None
    scapy_integ: str = None
    aead: bool = True


def _separate(proposal, encr_bytes, kernel_encr, scapy_encr, integ_bytes, kernel_integ, scapy_integ):
    return Suite(proposal, encr_bytes, integ_bytes, f"enc '{kernel_encr}' {{encr}} auth-trunc {kernel_integ}", scapy_encr, scapy_integ, False)


_SHA1 = (20, "'hmac(sha1)' {integ} 96", "HMAC-SHA1-96")
_SHA256 = (32, "'hmac(sha256)' {integ} 128", "SHA2-256-128")
_SHA384 = (48, "'hmac(sha384)' {integ} 192", "SHA2-384-192")
_SHA512 = (64, "'hmac(sha512)' {integ} 256", "SHA2-512-256")
_XCBC = (16, "'xcbc(aes)' {integ} 96", None)
_CMAC = (16, "'cmac(aes)' {integ} 96", "AES-CMAC-96")

SUITES = [
    Suite("aes128gcm16", 20, 0, "aead 'rfc4106(gcm(aes))' {encr} 128", "AES-GCM"),
    Suite("aes256gcm16", 36, 0, "aead 'rfc4106(gcm(aes))' {encr} 128", "AES-GCM"),
    Suite("chacha20poly1305", 36, 0, "aead 'rfc7539esp(chacha20,poly1305)' {encr} 128", "CHACHA20-POLY1305"),
    _separate("aes128-sha256", 16, "cbc(aes)", "AES-CBC", *_SHA256),
    _separate("aes256-sha256", 32, "cbc(aes)", "AES-CBC", *_SHA256),
    Suite("null-sha256", 0, 32, "enc 'ecb(cipher_null)' '' auth-trunc 'hmac(sha256)' {integ} 128", "NULL", "SHA2-256-128", False),
    Suite("aes256gcm8", 36, 0, "aead 'rfc4106(gcm(aes))' {encr} 64"),
    Suite("aes192gcm12", 28, 0, "aead 'rfc4106(gcm(aes))' {encr} 96"),
    Suite("aes128gmac", 20, 0, "aead 'rfc4543(gcm(aes))' {encr} 128"),
    Suite("aes256gmac", 36, 0, "aead 'rfc4543(gcm(aes))' {encr} 128"),
    Suite("aes128ccm16", 19, 0, "aead 'rfc4309(ccm(aes))' {encr} 128", "AES-CCM"),
    Suite("aes192ccm12", 27, 0, "aead 'rfc4309(ccm(aes))' {encr} 96"),
    Suite("aes256ccm8", 35, 0, "aead 'rfc4309(ccm(aes))' {encr} 64"),
    _separate("aes128ctr-sha1", 20, "rfc3686(ctr(aes))", "AES-CTR", *_SHA1),
    _separate("aes256ctr-sha512", 36, "rfc3686(ctr(aes))", "AES-CTR", *_SHA512),
    _separate("aes192-sha384", 24, "cbc(aes)", "AES-CBC", *_SHA384),
    _separate("aes128-aesxcbc", 16, "cbc(aes)", None, *_XCBC),
    _separate("aes128-aescmac", 16, "cbc(aes)", "AES-CBC", *_CMAC),
]
# scapy speaks these.
SCAPY_SUITES = [suite for suite in SUITES if suite.scapy_encr]


def key(size, salt):
    """A key that is not symmetric under any swap of bytes, different for every `salt`."""
    return bytes((salt * 37 + i * 5 + 1) & 0xFF for i in range(size))


@dataclass(frozen=True)
class StaticPair:
    """One SA pair between the daemon (`near`) and a peer (`far`). spi_in and spi_out are the daemon's view."""

    suite: Suite
    near: str
    far: str
    near_ts: str
    far_ts: str
    esn: bool = False
    encap: bool = False
    spi_in: int = 0x1001
    spi_out: int = 0x2002
    replay_window: int = 64
    reqid: int = 7  # the kernel's: ties its policies to its SAs
    peer_window: int = 64
    workers: str = "one"
    mode: str = "tunnel"
    near_keys: str = ""  # further lines of the daemon's section
    far_extra: str = ""  # further words of the kernel's outbound state

    @classmethod
    def for_each(cls, suites, near, far, near_ts, far_hosts, **words):
        """A pair for each suite, without and with ESN; each has its own keys and its own host of `far_hosts` behind the far side."""
        pairs = [(suite, esn) for suite in suites for esn in (False, True)]
        return [cls(suite, near, far, near_ts, f"{host}/32", esn=esn, spi_in=0x10001 + 2 * i, spi_out=0x20002 + 2 * i, reqid=100 + i, **words)
                for i, ((suite, esn), host) in enumerate(zip(pairs, far_hosts, strict=False))]

    @property
    def name(self):
        return self.suite.proposal + ("-esn" if self.esn else "")

    @property
    def far_host(self):
        """The host that is all of far_ts."""
        return self.far_ts.removesuffix("/32")

    def keys(self, spi):
        return key(self.suite.encr_bytes, spi & 0xFF), key(self.suite.integ_bytes, (spi & 0xFF) + 0x40)

    def toml(self, name="lab"):
        """The [static.NAME] section of the daemon's configuration."""

        def half(spi):
            encr, integ = self.keys(spi)
            parts = [f"spi = {spi:#x}"] + ([f'encr_key = "0x{encr.hex()}"'] if encr else [])
            return "{ " + ", ".join(parts + ([f'integ_key = "0x{integ.hex()}"'] if integ else [])) + " }"

        return f"""[static.{name}]
local = "{self.near}"
remote = "{self.far}"
local_ts = ["{self.near_ts}"]
remote_ts = ["{self.far_ts}"]
esp_proposal = "{self.name}"
encap = {str(self.encap).lower()}
replay_window = {self.replay_window}
workers = "{self.workers}"
mode = "{self.mode}"
{self.near_keys}
in = {half(self.spi_in)}
out = {half(self.spi_out)}
"""

    def kernel(self):
        """The far side's `ip xfrm` commands, joined by &&."""

        def selector(ts):
            """An address or a network, with its protocol where the selector has one: "10.2.0.1/32[udp]"."""
            net, _, protocol = ts.rstrip("]").partition("[")
            return net, f" proto {protocol}" if protocol else ""

        def state(src, dst, spi, extra_words):
            encr, integ = (f"0x{k.hex()}" for k in self.keys(spi))
            extra = f"{'flag esn ' if self.esn else ''}replay-window {self.peer_window}"
            extra += " encap espinudp 4500 4500 0.0.0.0" if self.encap else ""
            return (f"ip xfrm state add src {src} dst {dst} proto esp spi {spi:#x} reqid {self.reqid} mode {self.mode} "
                    f"{self.suite.kernel.format(encr=encr, integ=integ)} {extra}{extra_words}")

        def policy(direction, src_ts, dst_ts, src, dst):
            (source, protocol), (destination, _) = selector(src_ts), selector(dst_ts)
            return (f"ip xfrm policy add dir {direction} src {source} dst {destination}{protocol} "
                    f"tmpl src {src} dst {dst} proto esp reqid {self.reqid} mode {self.mode}")

        (near, protocol), (far, _) = selector(self.near_ts), selector(self.far_ts)
        both = f" sel src {near} dst {far}{protocol}"
        mixed = " flag af-unspec" if (":" in near) != (":" in self.near) else ""
        return " && ".join([state(self.far, self.near, self.spi_in, mixed + self.far_extra), state(self.near, self.far, self.spi_out, both),
                            policy("in", self.near_ts, self.far_ts, self.near, self.far),
                            policy("fwd", self.near_ts, self.far_ts, self.near, self.far),
                            policy("out", self.far_ts, self.near_ts, self.far, self.near)])


def _authenticate_high_half(association):
    """scapy leaves the high half of the sequence number out of a separate MAC of ESP (RFC 4303 2.2.1): puts it there."""
    algorithm = copy.copy(association.auth_algo)

    def icv(packet, key):
        machine = algorithm.new_mac(key)
        machine.update(raw(packet) + struct.pack("!I", association.esn))
        return machine.finalize()[:algorithm.icv_size]

    def sign(packet, key, *_unused, **_words):
        packet[ESP].data += icv(packet[ESP], key)
        return packet

    def verify(packet, key, *_unused, **_words):
        bare = packet[ESP].copy()
        bare.data, received = bare.data[:-algorithm.icv_size], bare.data[-algorithm.icv_size:]
        if icv(bare, key) != received:
            raise IPSecIntegrityError("the ICV does not verify")

    algorithm.sign, algorithm.verify = sign, verify
    association.auth_algo = algorithm


class ScapyPeer:
    """The far side of a StaticPair, in a namespace that has its address: seals and opens with scapy's own codec."""

    def __init__(self, space, pair, first_seq=1, port=4500):
        self.pair = pair
        self.v6 = ":" in pair.far
        family = socket.AF_INET6 if self.v6 else socket.AF_INET
        kind = (socket.SOCK_DGRAM, socket.IPPROTO_UDP) if pair.encap else (socket.SOCK_RAW, socket.IPPROTO_ESP)
        self.socket = space.call(socket.socket, family, *kind)
        self.socket.bind((pair.far, port if pair.encap else 0))
        self.whole = space.call(socket.socket, family, socket.SOCK_RAW, socket.IPPROTO_RAW)  # takes IP headers as they are
        self.out = self._association(pair.spi_in, pair.far, pair.near, first_seq)
        self.back = self._association(pair.spi_out, pair.near, pair.far, 1)

    def _association(self, spi, src, dst, first_seq):
        suite = self.pair.suite
        encr, integ = self.pair.keys(spi)
        header = IPv6(src=src, dst=dst) if self.v6 else IP(src=src, dst=dst)
        words = {"crypt_algo": suite.scapy_encr, "crypt_key": encr or None}
        if suite.scapy_integ:
            words.update(auth_algo=suite.scapy_integ, auth_key=integ)
        if self.pair.esn:
            words.update(esn_en=True, esn=first_seq >> 32)
        if self.pair.mode == "tunnel":
            words.update(tunnel_header=header)
        association = SecurityAssociation(ESP, spi=spi, seq_num=first_seq & 0xFFFFFFFF, **words)
        if self.pair.esn and not suite.aead:
            _authenticate_high_half(association)
        return association

    def seal(self, packet):
        """The ESP packet (without the outer header) that carries `packet`."""
        return raw(self.out.encrypt(packet)[ESP])

    def send_whole(self, packet):
        """Sends an IP packet of the caller's making, outer header included."""
        self.whole.sendto(raw(packet), (self.pair.near, 0))

    def send(self, packet):
        self.send_esp(self.seal(packet))

    def send_esp(self, esp):
        self.socket.sendto(esp, (self.pair.near, 4500 if self.pair.encap else 0))

    def receive(self, timeout=2):
        """The next inner packet from the daemon, ICV verified; None when nothing came."""
        self.socket.settimeout(timeout)
        try:
            data = self.socket.recv(65535)
        except socket.timeout:
            return None
        return self.open(data)

    def open(self, data):
        if not self.pair.encap and not self.v6:
            data = data[(data[0] & 15) * 4:]
        outer = IPv6(src=self.pair.near, dst=self.pair.far, nh=50) if self.v6 else IP(src=self.pair.near, dst=self.pair.far, proto=50)
        return self.back.decrypt(outer.__class__(raw(outer / ESP(data))))

    def close(self):
        self.socket.close()
        self.whole.close()


__all__ = ["SCAPY_SUITES", "SUITES", "ScapyPeer", "StaticPair", "Suite", "UDP", "key"]
