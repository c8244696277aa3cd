# SPDX-License-Identifier: Apache-2.0
"""Rekeyings by the dozen between Sluice and charon, begun by `swanctl --rekey` at either end, under counted flows.

Pings go through the tunnel that is rekeyed and, at the same moments, through one that is left alone: the control. What is lost of the first
and not of the second was lost to rekeying.
"""
import time
from dataclasses import dataclass

from .net import run, wait_until
from .slots import ESP, Slot

SIDES = ("charon", "sluice")
KINDS = {"child": "a child without PFS", "pfs": "a child with PFS", "ike": "an IKE SA"}
CONTROL = "still"
BLOCK = 5  # seconds of a flow
SLOTS = [Slot("child"), Slot("pfs", moon_esp=f"{ESP}-x25519"), Slot("ike"), Slot(CONTROL)]


@dataclass
class Outcome:
    kind: str
    side: str
    rekeyed: int = 0
    sent: int = 0
    back: int = 0
    control_sent: int = 0
    control_back: int = 0
    seconds: float = 0.0

    @property
    def lost(self):
        return self.sent - self.back

    @property
    def control_lost(self):
        return self.control_sent - self.control_back

    def text(self):
        return (f"{KINDS[self.kind]}, begun by {self.side}: {self.rekeyed} rekeyings in {self.seconds:.0f} s, {self.lost} of {self.sent} pings lost, "
                f"control {self.control_lost} of {self.control_sent}")


def swanctl(world, side, *words):
    if side == "charon":
        return world.charon.swanctl(*words)
    return run(["swanctl", *words, "--uri", world.daemon.uri], (0,), 20)


def identity(world, kind):
    """What changes with a rekeying, as moon shows it; None while old and new are both there."""
    shown = world.ikes(kind)
    if len(shown) != 1:
        return None
    if kind == "ike":
        return shown[0]["initiator-spi"]
    installed = [child for child in shown[0]["child-sas"].values() if child["state"] == "INSTALLED"]
    return installed[0]["spi-in"] if len(installed) == 1 else None


def rekey_once(world, kind, side):
    before = wait_until(lambda: identity(world, kind), 10, lambda: f"{kind} is at rest: {world.ikes(kind)}", 0.05)
    swanctl(world, side, "--rekey", "--ike" if kind == "ike" else "--child", kind)
    wait_until(lambda: identity(world, kind) not in (None, before), 10, lambda: f"{kind} by {side}: {before}, {world.ikes(kind)}", 0.05)


def rekey_under_flow(world, kind, side, count):
    """`count` rekeyings, one after the other, in blocks of flows; the Outcome."""
    outcome = Outcome(kind, side)
    began = time.monotonic()
    while outcome.rekeyed < count:
        end = time.monotonic() + BLOCK - 0.7
        flow, control = world.stream(kind, BLOCK), world.stream(CONTROL, BLOCK)
        while outcome.rekeyed < count and time.monotonic() < end:
            rekey_once(world, kind, side)
            outcome.rekeyed += 1
        sent, back = flow()
        control_sent, control_back = control()
        outcome.sent += sent
        outcome.back += back
        outcome.control_sent += control_sent
        outcome.control_back += control_back
    outcome.seconds = time.monotonic() - began
    return outcome


def begin(world):
    for name in (*KINDS, CONTROL):
        world.up(name)
        world.traffic(name)


def faults(world, outcomes, drops_before):
    """What must not be: losses beyond the control's, drops that the workers counted, more than one SA of a kind left."""
    found = [one.text() for one in outcomes if one.lost > one.control_lost]
    now = world.daemon.drops()
    grown = {reason: n - drops_before.get(reason, 0) for reason, n in now.items() if n > drops_before.get(reason, 0)}
    grown.pop("foreign_mac", None)  # what the lab's switch sends to everyone
    if grown:
        found.append(f"drops of the workers: {grown}")
    for kind in (*KINDS, CONTROL):
        wait_until(lambda k=kind: [c["state"] for sa in world.ikes(k) for c in sa["child-sas"].values()] == ["INSTALLED"], 12,
                   lambda k=kind: f"{k}: one child is left: {world.ikes(k)}")
        shown = world.charon_sas(kind)
        if shown.count("ESTABLISHED") != 1 or shown.count("INSTALLED") != 1:
            found.append(f"charon shows of {kind}: {shown}")
    return found
