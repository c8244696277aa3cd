# SPDX-License-Identifier: Apache-2.0
"""The checks. One Audit reads all captures and ends with a list of violations."""
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from . import capture, esp, ike, packets

IKE_PORT, NAT_PORT = 500, 4500
_NO_ESP = b"\0\0\0\0"


@dataclass
class Violation:
    kind: str
    where: str  # capture:frame, or empty
    text: str


@dataclass
class Flow:
    """What one sender did with one SPI in one capture."""

    packets: int = 0
    highest: int = -1
    displacement: int = 0  # greatest distance behind the highest sequence number seen before
    reordered: int = 0
    transform: str = ""
    seen: set = field(default_factory=set)

    def note(self, seq):
        self.packets += 1
        if seq < self.highest:
            self.reordered += 1
            self.displacement = max(self.displacement, self.highest - seq)
        self.highest = max(self.highest, seq)


@dataclass
class View:
    """What one capture saw of protected packets: direction -> digest -> how often."""

    name: str
    side: str
    frames: int = 0
    esp: int = 0
    ike: int = 0
    seen: dict = field(default_factory=lambda: {"out": Counter(), "in": Counter()})
    examples: dict = field(default_factory=dict)
    nonces: set = field(default_factory=set)


class Audit:
    """Feed it captures with read(), then call account(); `violations` and `report()` say what was found."""

    def __init__(self, log, policy):
        self.log, self.policy = log, policy
        self.views, self.violations = [], []
        self.flows = {}  # (capture, source, SPI) -> Flow
        self.content = {}  # (key digest, IV) -> digest of what was sealed under it, over all captures
        self.summary = {}

    def violate(self, kind, view, number, text):
        self.violations.append(Violation(kind, f"{view.name}:{number}" if view else "", text))

    def read(self, path):
        name = Path(path).name
        if name not in self.policy.captures:
            raise capture.BadCapture(f"{path}: the policy does not say on which side it was taken")
        view = View(name, self.policy.captures[name])
        self.views.append(view)
        look = self._outside if view.side == "outside" else self._inside
        outer, inner = packets.Reassembler(), packets.Reassembler()
        for number, link, frame in capture.frames(path):
            view.frames += 1
            data = packets.ip_of_frame(link, frame)
            packet = packets.parse(data) if data is not None else None
            if packet is not None:
                look(view, number, packet, outer, inner)

    def _count(self, view, packet, inner):
        """Counts a protected packet at this capture, once it is whole."""
        whole = inner.add(packet)
        direction = whole and self.policy.direction(whole.src, whole.dst)
        if direction:
            digest = packets.identity(whole)
            view.seen[direction][digest] += 1
            view.examples.setdefault(digest, whole)

    def _inside(self, view, number, packet, _outer, inner):
        del number
        self._count(view, packet, inner)

    def _outside(self, view, number, packet, outer, inner):
        self._clear(view, number, packet)
        whole = outer.add(packet)
        if whole is None:
            return
        body = whole.payload
        if whole.proto == packets.ESP:
            self._esp(view, number, whole, body, inner)
        elif whole.proto == packets.UDP and len(body) >= 8:
            ports = {int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big")}
            self._datagram(view, number, whole, ports, body[8:], inner)

    def _datagram(self, view, number, packet, ports, data, inner):
        if NAT_PORT in ports:
            if data[:4] == _NO_ESP:
                self._ike(view, number, data[4:])
            elif len(data) > 1:  # one byte 0xff is a keepalive (RFC 3948 2.3)
                self._esp(view, number, packet, data, inner)
        elif IKE_PORT in ports:
            self._ike(view, number, data)

    def _clear(self, view, number, packet, how="in clear"):
        """No protected packet outside: not itself, not a fragment of it, not in an IP tunnel, not quoted in an ICMP error."""
        if self.policy.direction(packet.src, packet.dst):
            self.violate("clear", view, number, f"{packet.src} -> {packet.dst} protocol {packet.proto} crossed {how}")
        if packet.offset:
            return
        quoted = packets.embedded(packet)
        if quoted and self.policy.direction(quoted.src, quoted.dst):
            self.violate("clear", view, number, f"{quoted.src} -> {quoted.dst} is quoted in an ICMP error from {packet.src}")
        if packet.proto in (packets.IPIP, packets.IPV6_IN_IP):
            tunnelled = packets.parse(packet.payload)
            if tunnelled:
                self._clear(view, number, tunnelled, "in an IP tunnel")

    def _esp(self, view, number, packet, data, inner):
        head = esp.header(data)
        if head is None:
            self.violate("short-esp", view, number, f"{len(data)} bytes from {packet.src}")
            return
        view.esp += 1
        opened = esp.open_packet(self.log, data, packet)
        if opened.fault:
            self.violate(opened.fault, view, number, opened.text)
        if opened.key is None:
            return
        flow = self.flows.setdefault((view.name, str(packet.src), head[0]), Flow())
        flow.transform = opened.key.sealed.name
        if opened.seq in flow.seen:
            self.violate("repeated-seq", view, number, f"{packet.src} SPI {head[0]:#010x} sequence {opened.seq} a second time")
        flow.seen.add(opened.seq)
        flow.note(opened.seq)
        if opened.seq == 0:
            self.violate("seq-zero", view, number, f"{packet.src} SPI {head[0]:#010x} sent sequence number 0")
        self._nonce(view, number, opened.key.sealed, opened.iv, data, f"SPI {head[0]:#010x}", False)
        if opened.inner is not None:
            self._count(view, opened.inner, inner)

    def _ike(self, view, number, data):
        message = ike.open_message(self.log, data)
        if message is None:
            return
        view.ike += 1
        if message.fault:
            self.violate(message.fault, view, number, message.text)
        if message.sealed and not message.fault:
            self._nonce(view, number, message.sealed, message.iv, data, f"IKE {data[:8].hex()}", True)

    def _nonce(self, view, number, sealed, iv, data, name, repeats):
        """(key, IV) once: in one capture never again, in another only over the same bytes. IKE repeats a message in the same
        bytes (RFC 7296 2.1), so with `repeats` only different bytes are a violation."""
        if not iv:
            return
        nonce = (sealed.identity, iv)
        digest = hash(data)
        known = self.content.setdefault(nonce, digest)
        if known != digest:
            self.violate("repeated-iv", view, number, f"{name}: IV {iv.hex()} again under the same key, over other bytes")
        elif nonce in view.nonces and not repeats:
            self.violate("repeated-iv", view, number, f"{name}: IV {iv.hex()} again under the same key")
        view.nonces.add(nonce)

    def _union(self, side, direction):
        """How often each packet was seen at a side: captures of one wire see the same packet, so the greatest count holds."""
        union = Counter()
        for view in self.views:
            if view.side == side:
                union |= view.seen[direction]
        return union

    def account(self):
        """Every protected packet that went in and did not come out is matched by a drop counter."""
        missing, examples = {}, []
        for direction, enters, leaves in (("out", "inside", "outside"), ("in", "outside", "inside")):
            entered, left = self._union(enters, direction), self._union(leaves, direction)
            for digest in [d for d in entered | left if self._of_gateway(d)]:
                entered.pop(digest, None)
                left.pop(digest, None)
            lost, extra = entered - left, left - entered
            missing[direction] = sum(lost.values())
            self.summary[direction] = {"entered": sum(entered.values()), "left": sum(left.values()), "missing": sum(lost.values()),
                                       "more_than_entered": sum(extra.values())}
            examples += [self._describe(d) for d in list(lost)[:3]]
        dropped = sum((self.policy.drops or {}).values())
        total = sum(missing.values())
        sides = {view.side for view in self.views}
        if self.policy.account and sides == {"inside", "outside"} and total > dropped:
            self.violate("unaccounted", None, 0, f"{total} packets went in and did not come out, the drop counters explain {dropped}; "
                         f"for example {'; '.join(examples)}")

    def _example(self, digest):
        return next(view.examples[digest] for view in self.views if digest in view.examples)

    def _of_gateway(self, digest):
        packet = self._example(digest)
        return packet.src in self.policy.hosts or packet.dst in self.policy.hosts

    def _describe(self, digest):
        packet = self._example(digest)
        return f"{packet.src} -> {packet.dst} protocol {packet.proto} id {packet.ident} ({len(packet.payload)} bytes)"

    def judged(self):
        """(violations, those that the policy allows)."""
        bad = [v for v in self.violations if v.kind not in self.policy.allow]
        return bad, [v for v in self.violations if v.kind in self.policy.allow]

    def report(self):
        """Everything found, as a dictionary that JSON can carry."""
        bad, noted = self.judged()
        flows = [{"capture": name, "src": src, "spi": f"{spi:#010x}", "transform": flow.transform, "packets": flow.packets,
                  "highest_seq": flow.highest, "reordered": flow.reordered, "max_displacement": flow.displacement}
                 for (name, src, spi), flow in self.flows.items()]
        return {"ok": not bad, "captures": [{"name": v.name, "side": v.side, "frames": v.frames, "esp": v.esp, "ike": v.ike} for v in self.views],
                "flows": flows, "protected": self.summary, "drops": self.policy.drops or {},
                "violations": [vars(v) for v in bad], "allowed": [vars(v) for v in noted]}
