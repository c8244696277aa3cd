# SPDX-License-Identifier: Apache-2.0
"""What tools/demo shows, step by step. Runs as root with the daemon built.

    demo-alice  10.1.0.10 ---- demo-moon: sluiced ---- 192.0.2.0/24 ---- demo-carol: strongSwan, 10.2.0.1
"""
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests/e2e")]
from lab.charon import FAST_PLUGINS  # noqa: E402
from lab.net import Lab, run  # noqa: E402
from lab.sluiced import BUILD, METRICS_PORT  # noqa: E402
from lab.topology import ALICE4, CAROL_IN4, leftovers  # noqa: E402
from lab.traffic import Iperf3, ping, ping_until  # noqa: E402
from lab.tunnel import Tunnel  # noqa: E402

PREFIX = os.environ.get("SLUICE_DEMO_PREFIX", "demo-")
STATE = Path(f"/run/sluice-{PREFIX}kept.json")
SHOWN_METRICS = ("sluice_worker_esp_", "sluice_ike_sas", "sluice_child_sas", "sluice_drops_total")


class StepFailed(Exception):
    """A step of the demo did not work; the message is for the user."""


class Demo:
    """The scene and its steps. Every step prints ok, or what failed and where the logs are."""

    def __init__(self, lab):
        self.lab, self.tunnel, self.iperf = lab, None, None

    def step(self, text, function):
        print(f"{text} ... ", end="", flush=True)
        try:
            said = function()
        except Exception as error:
            print("FAILED", flush=True)
            raise StepFailed(f"{error}\nlogs: {self.lab.logs}") from error
        print(f"ok{f': {said}' if said else ''}", flush=True)

    def play(self):
        self.step("network namespaces alice - moon - carol", self.build)
        self.step("sluiced in moon, strongSwan in carol", self.start)
        self.step("carol brings the tunnel up", lambda: self.tunnel.up_from_carol("net"))
        self.step("ping carol -> alice", self.ping)
        self.step("iperf3 carol -> alice", lambda: self.throughput(False))
        self.step("sluicectl ends the tunnel", self.tunnel.down_from_moon)
        self.step("Sluice brings the tunnel up", lambda: self.tunnel.up_from_moon("net"))
        self.step("ping alice -> carol", self.ping_back)
        self.step("iperf3 alice -> carol", lambda: self.throughput(True))
        self.show()

    def build(self):
        self.tunnel = Tunnel(self.lab, carol_options={"load": FAST_PLUGINS})

    def start(self):
        self.tunnel.start()

    def ping(self):
        ping_until(self.tunnel.carol, ALICE4, CAROL_IN4)
        return f"{ping(self.tunnel.carol, ALICE4, CAROL_IN4, count=5)} of 5 replies"

    def ping_back(self):
        ping_until(self.tunnel.alice, CAROL_IN4)
        return f"{ping(self.tunnel.alice, CAROL_IN4, count=5)} of 5 replies"

    def throughput(self, reverse):
        self.iperf = self.iperf or Iperf3(self.tunnel.alice, ALICE4)
        sealed, accepted = self.tunnel.daemon.esp_counts()
        rate, _ = self.iperf.run(self.tunnel.carol, CAROL_IN4, seconds=3, reverse=reverse)
        now_sealed, now_accepted = self.tunnel.daemon.esp_counts()
        if now_sealed <= sealed or now_accepted <= accepted:
            raise StepFailed("the traffic did not pass the worker: its ESP counters stand still")
        return f"{rate:.0f} Mbit/s ({now_sealed - sealed:.0f} ESP packets out, {now_accepted - accepted:.0f} in)"

    def show(self):
        print("\n$ sluicectl list-sas")
        print(self.tunnel.daemon.ctl("list-sas").stdout.rstrip())
        print(f"\nmetrics (http://127.0.0.1:{METRICS_PORT}/metrics in moon), some that are not zero:")
        for line in self.tunnel.daemon.metrics_text().splitlines():
            if line.startswith(SHOWN_METRICS) and not line.endswith(" 0"):
                print(f"  {line}")


def entering(lab):
    """How to look further, for a scene that was kept."""
    ctl = f"{BUILD}/apps/sluicectl --uri unix://{lab.work}/sluice.vici"
    print(f"""
It keeps running. To look further, as root:
  ip netns exec {PREFIX}carol ping -I {CAROL_IN4} {ALICE4}     traffic through the tunnel
  ip netns exec {PREFIX}carol tcpdump -ni eth0                what the wire shows
  {ctl} list-sas    (also list-conns, stats, terminate --ike carol, initiate --child net)
  ip netns exec {PREFIX}moon curl -s http://127.0.0.1:{METRICS_PORT}/metrics
  ip netns exec {PREFIX}moon bash                             a shell in the gateway
  configuration and logs: {lab.logs}
  tools/demo --down                                           takes it all down""")


def started_at(pid):
    """When a process began, in clock ticks since boot: with its pid it names a process for good. None: there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
    except OSError:
        return None


def keep(lab):
    names = leftovers(lab.prefix)
    pids = [int(p) for name in names for p in run(["ip", "netns", "pids", name]).stdout.split()]
    STATE.write_text(json.dumps({"namespaces": names, "processes": [[p, started_at(p)] for p in pids],
                                 "folders": [str(lab.work), os.environ["SLUICE_LOGS"]]}), encoding="utf-8")
    lab.abandon()
    entering(lab)


def down():
    """Removes what keep() has written down, and nothing else."""
    if not STATE.exists():
        print("demo: nothing was kept")
        return 0
    state = json.loads(STATE.read_text(encoding="utf-8"))
    for how in (signal.SIGTERM, signal.SIGKILL):
        for pid, since in state["processes"]:
            if since is not None and started_at(pid) == since:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
        time.sleep(1 if how == signal.SIGTERM else 0)
    for name in state["namespaces"]:
        run(["ip", "netns", "del", name], ok=None)
    for folder in state["folders"]:
        shutil.rmtree(folder, ignore_errors=True)
    STATE.unlink()
    print("demo: taken down")
    return 0


def main():
    if "--down" in sys.argv:
        return down()
    if leftovers(PREFIX):
        print("demo: a demo is there already; take it down with tools/demo --down", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell started this in the background
    os.environ["SLUICE_LOGS"] = tempfile.mkdtemp(prefix="sluice-demo-logs-")
    lab = Lab("demo", prefix=PREFIX)
    try:
        Demo(lab).play()
        if "--keep" in sys.argv:
            keep(lab)
            return 0
        print("\nto look further: sudo tools/demo --keep leaves all this running and says how to enter")
    except StepFailed as failed:
        print(failed)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted")
        code = 130
    else:
        code = 0
    finally:
        lab.close()
    print("taken down")
    shutil.rmtree(os.environ["SLUICE_LOGS"], ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
