# SPDX-License-Identifier: Apache-2.0
"""The policy file (see __init__.py) and the drop counters of a metrics text."""
import ipaddress
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

_KEYS = {"account", "allow", "hosts", "protect", "captures", "drops"}
_DROP_LINE = re.compile(r'^sluice_drops?(?:_(\w+))?_total(?:\{([^}]*)\})? ([0-9.e+]+)', re.M)
# Drops of frames that never were a protected packet on its way: they explain no loss.
_UNRELATED = {"foreign_mac", "keepalive", "dummy"}


class BadPolicy(Exception):
    """The policy file cannot be used."""


@dataclass
class Policy:
    protect: list  # of ([local networks], [remote networks])
    captures: dict  # file name -> "inside" or "outside"
    hosts: frozenset = frozenset()
    account: bool = True
    allow: frozenset = frozenset()
    drops: dict = None  # reason -> how often it counted during the captures; None: not given
    _memory: dict = field(default_factory=dict)

    def direction(self, src, dst):
        """"out" for local to remote, "in" for remote to local, None for what no pair protects."""
        name = (src, dst)
        if name not in self._memory:
            self._memory[name] = self._look(src, dst)
        return self._memory[name]

    def _look(self, src, dst):
        def holds(networks, address):
            return any(address.version == n.version and address in n for n in networks)

        for local, remote in self.protect:
            if holds(local, src) and holds(remote, dst):
                return "out"
            if holds(remote, src) and holds(local, dst):
                return "in"
        return None


def _networks(value):
    return [ipaddress.ip_network(text) for text in ([value] if isinstance(value, str) else value)]


def drop_counters(text):
    """Drop reason -> count, summed over workers and ports, of a metrics text."""
    sums = {}
    for name, labels, value in _DROP_LINE.findall(text):
        reason = re.search(r'reason="([^"]*)"', labels)
        key = reason[1] if reason else name or "all"
        if key in _UNRELATED:
            continue
        sums[key] = sums.get(key, 0) + int(float(value))
    return sums


def _drops(section, folder):
    before, after = (drop_counters((folder / section[k]).read_text(encoding="utf-8")) if k in section else {} for k in ("before", "after"))
    rise = {reason: count - before.get(reason, 0) for reason, count in after.items()}
    return {reason: after[reason] if count < 0 else count for reason, count in rise.items() if count}  # below zero: a new process


def read(path):
    path = Path(path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = set(data) - _KEYS
        if unknown:
            raise BadPolicy(f"{path}: unknown key {sorted(unknown)[0]}; there are {' '.join(sorted(_KEYS))}")
        for name, side in data.get("captures", {}).items():
            if side not in ("inside", "outside"):
                raise BadPolicy(f"{path}: captures.{name}: expected inside or outside, not {side}")
        protect = [(_networks(pair["local"]), _networks(pair["remote"])) for pair in data.get("protect", [])]
        return Policy(protect, data.get("captures", {}), frozenset(ipaddress.ip_address(h) for h in data.get("hosts", [])),
                      data.get("account", True), frozenset(data.get("allow", [])),
                      _drops(data["drops"], path.parent) if "drops" in data else None)
    except (OSError, ValueError, KeyError) as error:
        raise BadPolicy(f"{path}: {type(error).__name__} {error}") from error
