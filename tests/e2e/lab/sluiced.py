# SPDX-License-Identifier: Apache-2.0
"""The daemon under test in a namespace: configuration, start, stop, kill -9, sluicectl and metrics."""
import contextlib
import http.client
import json
import os
import re
import signal
from pathlib import Path

from .net import run, wait_until
from .topology import FAR4, FAR6, LAN4, LAN6, MOON4, MOON6, MOON_IN4, MOON_IN6

BUILD = Path(os.environ.get("SLUICE_BUILD") or Path(__file__).resolve().parents[3] / "build")
METRICS_PORT = 9464
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? ([0-9.eE+-]+)$", re.M)


def moon_config(lab, sections="", driver="af_xdp", default="bypass", key_log=True, ike="", routes=True, log_level="info", mtu=1500):
    """moon's configuration: ports wan and lan on wan0 and lan0, its addresses, routes to carol's networks, then `sections`."""
    far = "".join(f'[[route]]\ndestination = "{net}"\ngateway = "{via}"\n' for net, via in
                  ((FAR4, "192.0.2.2"), (FAR6, "2001:db8::2"))) if routes else ""
    return f"""[daemon]
state_dir = "{lab.work}/state"
vici_socket = "unix://{lab.work}/sluice.vici"
log_level = "{log_level}"
[metrics]
listen = "127.0.0.1:{METRICS_PORT}"
[debug]
allow_key_log = {str(key_log).lower()}
[[port]]
name = "wan"
driver = "{driver}"
device = "wan0"
mtu = {mtu}
addresses = ["{MOON4}/24", "{MOON6}/64"]
[[port]]
name = "lan"
driver = "{driver}"
device = "lan0"
addresses = ["{MOON_IN4}/24", "{MOON_IN6}/64"]
{far}[policy]
default = "{default}"
{f'[ike]{chr(10)}{ike}{chr(10)}' if ike else ''}{sections}"""


def psk_sections(esp="aes128gcm16", start_action="none", local_ts=(LAN4,), remote_ts=(FAR4,), secret="a secret of the lab", remote_addrs="%any",
                 local_addrs=MOON4, proposals="aes128gcm16-prfsha256-x25519", keys="", children=None):
    """[connections.carol] with a child `net`, and its secret, as strongSwan's side is made by charon.psk_connection()."""
    def listed(items):
        return "[" + ", ".join(f'"{i}"' for i in items) + "]"

    both = {"net": (local_ts, remote_ts)} if children is None else children
    parts = "".join(f"""[connections.carol.children.{name}]
local_ts = {listed(local)}
remote_ts = {listed(remote)}
esp_proposals = ["{esp}"]
start_action = "{start_action}"
""" for name, (local, remote) in both.items())
    return f"""[connections.carol]
version = 2
local_addrs = ["{local_addrs}"]
remote_addrs = ["{remote_addrs}"]
proposals = ["{proposals}"]
{keys}
[connections.carol.local]
auth = "psk"
id = "moon.lab.test"
[connections.carol.remote]
auth = "psk"
id = "carol.lab.test"
{parts}[secrets.ike-carol]
id = ["carol.lab.test", "moon.lab.test"]
secret = "{secret}"
"""


class Sluiced:
    """One daemon. start() returns when it answers on VICI; the Lab stops it at the end."""

    def __init__(self, space, config, name="sluiced"):
        self.space, self.lab, self.name = space, space.lab, name
        self.config_path = self.lab.logs / f"{name}.toml"
        self.key_log = self.lab.logs / "keys.jsonl"
        self.log_name = f"{name}.log"
        self.uri = f"unix://{self.lab.work}/sluice.vici"
        self.process = None
        self.configure(config)

    def configure(self, config):
        """Takes effect at the next start()."""
        self.config_path.write_text(config, encoding="utf-8")

    def words(self, key_log=True):
        return [str(BUILD / "apps/sluiced"), "--config", str(self.config_path)] + (["--key-log", str(self.key_log)] if key_log else [])

    def start(self, key_log=True, timeout=20):
        env = {**os.environ, "LIBXDP_SKIP_DISPATCHER": "1"}
        self.process = self.space.start(self.words(key_log), self.log_name, env)
        wait_until(lambda: self.answers() or not self.process.alive(), timeout, lambda: f"sluiced answers; {self.log()[-1500:]}")
        if not self.process.alive():
            raise AssertionError(f"sluiced ended with {self.process.popen.returncode}: {self.log()[-2000:]}")
        return self

    def answers(self):
        """True once it serves VICI."""
        return (self.lab.work / "sluice.vici").exists() and self.ctl("version", ok=None).returncode == 0

    def stop(self, code=0):
        got = self.process.stop(signal.SIGTERM)
        if code is not None and got != code:
            raise AssertionError(f"sluiced ended with {got}: {self.log()[-2000:]}")

    def kill(self):
        self.process.kill()

    @contextlib.contextmanager
    def suspended(self):
        """It stands still while the block runs; its ports go on receiving into their rings."""
        self.process.popen.send_signal(signal.SIGSTOP)
        try:
            wait_until(self._stopped, 10, "sluiced stands still")
            yield
        finally:
            self.process.popen.send_signal(signal.SIGCONT)

    def _stopped(self):
        """Every thread of it."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return all((task / "stat").read_text().rpartition(")")[2].split()[0] in "TX" for task in tasks)

    def log(self):
        path = self.lab.logs / self.log_name
        return path.read_text(errors="replace") if path.exists() else ""

    def ctl(self, *words, ok=(0,), timeout=30):
        """Runs sluicectl; the CompletedProcess."""
        return run([str(BUILD / "apps/sluicectl"), "--uri", self.uri, *words], ok, timeout)

    def json(self, *words):
        return json.loads(self.ctl("--json", *words).stdout)

    def initiate(self, child, timeout=15, ok=(0,)):
        return self.ctl("initiate", "--child", child, "--timeout", str(timeout), ok=ok, timeout=timeout + 10)

    def metrics_text(self):
        def fetch():
            link = http.client.HTTPConnection("127.0.0.1", METRICS_PORT, timeout=5)
            try:
                link.request("GET", "/metrics")
                return link.getresponse().read().decode()
            finally:
                link.close()

        return self.space.call(fetch)

    def metric(self, name, **labels):
        """Sum of the samples of `sluice_NAME` that carry these labels."""
        total = 0.0
        for metric, text, value in _SAMPLE.findall(self.metrics_text()):
            if metric == f"sluice_{name}" and all(f'{k}="{v}"' in text for k, v in labels.items()):
                total += float(value)
        return total

    def esp_counts(self):
        """(ESP packets sealed, ESP packets accepted) by all workers."""
        return self.metric("worker_esp_out_packets_total"), self.metric("worker_esp_in_packets_total")

    def drops(self):
        """Drop reason -> count, those that are not zero."""
        found = re.findall(r'^sluice_drops_total\{.*?reason="(\w+)".*?\} ([0-9.e+]+)$', self.metrics_text(), re.M)
        sums = {}
        for reason, value in found:
            sums[reason] = sums.get(reason, 0) + int(float(value))
        return {reason: count for reason, count in sums.items() if count}
