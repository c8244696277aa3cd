# SPDX-License-Identifier: Apache-2.0
"""A gateway namespace with a port device, a peer at its other end, and a third network behind the gateway's kernel.

      peer 192.0.2.2/24  ------ veth ------  port0   gate   lan0 ------ veth ------ lan 10.9.0.2/24
           2001:db8::2/64                      | DPDK        10.9.0.1
                                              wan 192.0.2.1/24, 2001:db8::1/64 (the host interface)
"""
import os
import signal
import subprocess
from pathlib import Path

from script import check, wait_for

BUILD = Path(os.environ.get("SLUICE_BUILD", "build")) / "tests/packet"
GATE, PEER, LAN = (f"host-{name}{os.getpid()}" for name in ("gate", "peer", "lan"))


def run(*command, stdin=None, fine=(0,)):
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    check(done.returncode in fine, f"{' '.join(map(str, command))}: {done.stdout.strip()} {done.stderr.strip()}")
    return done.stdout


def inside(namespace, *command, **kwargs):
    return run("ip", "netns", "exec", namespace, *command, **kwargs)


def control(*words):
    return inside(GATE, str(BUILD / "host-control"), *words)


def link_up():
    """The two veths; the peer's checksums are whole, since no NIC would send unfinished ones."""
    run("ip", "link", "add", "port0", "netns", GATE, "type", "veth", "peer", "name", "peer0", "netns", PEER)
    inside(PEER, "ethtool", "-K", "peer0", "tx", "off", "tso", "off", "gso", "off")
    inside(PEER, "ip", "address", "add", "192.0.2.2/24", "dev", "peer0")
    inside(PEER, "ip", "address", "add", "2001:db8::2/64", "dev", "peer0", "nodad")
    inside(PEER, "ip", "link", "set", "peer0", "up")
    inside(PEER, "ip", "route", "add", "10.9.0.0/24", "via", "192.0.2.1")
    run("ip", "link", "add", "lan0", "netns", GATE, "type", "veth", "peer", "name", "host0", "netns", LAN)
    inside(GATE, "ip", "address", "add", "10.9.0.1/24", "dev", "lan0")
    inside(GATE, "ip", "link", "set", "lan0", "up")
    inside(LAN, "ip", "address", "add", "10.9.0.2/24", "dev", "host0")
    inside(LAN, "ip", "link", "set", "host0", "up")
    inside(LAN, "ip", "route", "add", "default", "via", "10.9.0.1")


def up():
    check(os.geteuid() == 0, "this test makes network namespaces: run it as root")
    for namespace in (GATE, PEER, LAN):
        run("ip", "netns", "add", namespace)
        inside(namespace, "ip", "link", "set", "lo", "up")
    link_up()


def down():
    for namespace in (GATE, PEER, LAN):
        subprocess.run(["ip", "netns", "delete", namespace], capture_output=True)


class Twin:
    """host-twin in the gateway's namespace: a port and its host interface, and what it printed."""

    def __init__(self, driver, mtu=1500, mode="adaptive"):
        control("prepare", "port0")
        control("guard", "twin", "port0")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", GATE, str(BUILD / "host-twin"), driver, "port0", "wan", str(mtu), mode],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline()
        if not self.ready.startswith("ready"):
            self.process.kill()
            raise AssertionError(f"host-twin: {self.process.communicate()[1]}")
        inside(GATE, "ip", "address", "add", "192.0.2.1/24", "dev", "wan")
        inside(GATE, "ip", "address", "add", "2001:db8::1/64", "dev", "wan", "nodad")

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        out, errors = self.process.communicate(timeout=30)
        check(self.process.returncode == 0, f"host-twin ended with {self.process.returncode}: {errors}")
        return dict(word.split("=") for word in out.split() if "=" in word)

    def kill(self):
        self.process.kill()
        self.process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.kill()
        subprocess.run(["ip", "netns", "exec", GATE, str(BUILD / "host-control"), "unguard", "twin"])
        wait_for(lambda: "wan" not in inside(GATE, "ip", "-br", "link"), 5, "the TAP goes")


def ping(namespace, address, count=5, size=56, fine=(0,)):
    """Replies and the duplicates among them."""
    out = inside(namespace, "ping", "-n", "-c", str(count), "-i", "0.1", "-W", "2", "-s", str(size), address,
                 fine=fine)
    replies = sum("bytes from" in line for line in out.splitlines())
    return replies, out.count("DUP!")
