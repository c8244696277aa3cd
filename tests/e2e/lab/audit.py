# SPDX-License-Identifier: Apache-2.0
"""How an end-to-end test ends: its captures and the key log go through tools/wire-audit."""
import json
import time
from pathlib import Path

from .capture import Capture
from .net import run
from .topology import FAR4, FAR6, LAN4, LAN6, MOON_IN4, MOON_IN6

TOOL = Path(__file__).resolve().parents[3] / "tools/wire-audit"


class Audited:
    """Captures alice's wire (inside) and moon's far side (outside) while the block runs, then audits.

    with Audited(lab, daemon, gateway.alice, gateway.outside, gateway.outside_device) as audit: ...traffic...
    audit.report holds what wire-audit found; a violation is an AssertionError. The block asserts more with `esp_at_least`.
    """

    def __init__(self, lab, daemon, inside, outside, outside_device, name="audit", account=True, allow=(), esp_at_least=1):
        self.lab, self.daemon, self.name = lab, daemon, name
        self.account, self.allow, self.esp_at_least = account, allow, esp_at_least
        self.places = ((inside, "eth0", "inside"), (outside, outside_device, "outside"))
        self.report = None

    def __enter__(self):
        self.captures = [Capture(space, device, f"{self.name}-{side}") for space, device, side in self.places]
        self.before = self.daemon.metrics_text()
        self.counts = self.daemon.esp_counts()
        return self

    def __exit__(self, kind, _value, _trace):
        if kind is not None:
            for capture in self.captures:
                capture.process.stop()
            return False
        time.sleep(1.3)  # what is on the wires arrives, and the daemon publishes its counters every second
        after = self.daemon.metrics_text()
        self._write("before", self.before)
        self._write("after", after)
        paths = [capture.stop() for capture in self.captures]
        sealed, accepted = (int(now - then) for now, then in zip(self.daemon.esp_counts(), self.counts))
        if self.account and min(sealed, accepted) < self.esp_at_least:
            raise AssertionError(f"the workers count {sealed} ESP packets out and {accepted} in, want {self.esp_at_least} at least")
        self._audit(paths)
        return False

    def _write(self, suffix, text):
        (self.lab.logs / f"{self.name}.{suffix}").write_text(text, encoding="utf-8")

    def _audit(self, paths):
        names = "".join(f'"{p.name}" = "{side}"\n' for p, (_, _, side) in zip(paths, self.places))
        self._write("policy", f"""account = {str(self.account).lower()}
allow = {json.dumps(list(self.allow))}
hosts = ["{MOON_IN4}", "{MOON_IN6}"]
[[protect]]
local = ["{LAN4}", "{LAN6}"]
remote = ["{FAR4}", "{FAR6}"]
[captures]
{names}[drops]
before = "{self.name}.before"
after = "{self.name}.after"
""")
        done = run([TOOL, *paths, "--keys", self.daemon.key_log, "--policy", self.lab.logs / f"{self.name}.policy", "--json"], ok=None, timeout=120)
        self._write("report", done.stdout + done.stderr)
        if done.returncode not in (0, 1):
            raise AssertionError(f"wire-audit: {done.stderr}")
        self.report = json.loads(done.stdout)
        if not self.report["ok"]:
            found = "; ".join(f"{v['kind']} {v['where']} {v['text']}" for v in self.report["violations"][:3])
            raise AssertionError(f"wire-audit, {len(self.report['violations'])} violations: {found}")

    def esp(self, source=None):
        """How many ESP packets the outside capture holds, of one sender if given."""
        return sum(f["packets"] for f in self.report["flows"] if source in (None, f["src"]))
