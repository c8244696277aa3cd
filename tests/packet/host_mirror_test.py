#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The mirror of the kernel's addresses, routes and neighbours, beside `ip` on a real interface. Here the port's device
plays the host interface: the mirror does not mind which it is."""
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from host_lab import BUILD, GATE, PEER, down, inside, up  # noqa: E402
from script import case, check, check_equal, main, wait_for  # noqa: E402


class Mirror:
    def __init__(self, *addresses):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", GATE, str(BUILD / "host-control"), "mirror", "port0", *addresses],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        self.view, self.gathering, self.neighbours, self.views = [], None, {}, 0
        threading.Thread(target=self.read, daemon=True).start()
        self.wait(lambda: self.views > 0, "a first view")

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def pump(self):
        while not self.lines.empty():
            line = self.lines.get()
            if line == "view":
                self.gathering = []
            elif line == "end":
                self.view, self.gathering = self.gathering, None
                self.neighbours = dict(row.split()[1:3] for row in self.view if row.startswith(" neighbour"))
                self.views += 1
            elif self.gathering is not None:
                self.gathering.append(line)
            elif line.startswith("set "):
                self.neighbours[line.split()[1]] = line.split()[2]
            elif line.startswith("removed "):
                self.neighbours.pop(line.split()[1], None)

    def wait(self, condition, text, timeout=10):
        def pumped():
            self.pump()
            return condition()
        try:
            wait_for(pumped, timeout, text)
        except AssertionError as error:
            raise AssertionError(f"{error}; view {self.view}, neighbours {self.neighbours}") from None

    def has(self, row):
        self.wait(lambda: " " + row in self.view, row)

    def lacks(self, row):
        self.wait(lambda: " " + row not in self.view, "no " + row)

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=10)


def gate(text):
    return inside(GATE, *text.split())


def fresh_port(*_):
    gate("ip address flush dev port0")
    gate("ip neigh flush dev port0")
    gate("sysctl -qw net.ipv6.conf.port0.accept_dad=0")  # as a host interface has it
    gate("sysctl -qw net.ipv6.conf.port0.disable_ipv6=1")
    gate("sysctl -qw net.ipv6.conf.port0.disable_ipv6=0")
    gate("ip link set port0 arp on up")


@case("configured addresses and routes reach the interface and come back")
def _():
    fresh_port()
    with Mirror("192.0.2.1/24", "2001:db8::1/64") as mirror:
        mirror.has("address 192.0.2.1/24")
        mirror.has("address 2001:db8::1/64")
        mirror.has("route 192.0.2.0/24 via link metric 0")
        mirror.has("route 2001:db8::/64 via link metric 256")
        mirror.say("route 10.2.0.0/16 192.0.2.2")
        mirror.say("route 2001:db8:2::/48 2001:db8::2")
        mirror.has("route 10.2.0.0/16 via 192.0.2.2 metric 0")
        mirror.wait(lambda: any("2001:db8:2::/48 via 2001:db8::2" in row for row in mirror.view), "the IPv6 route")
        state = json.loads(gate("ip -j address show port0"))[0]["addr_info"]
        check(not any(a.get("tentative") for a in state if a["local"] == "2001:db8::1"), "no DAD for what is configured")
    with Mirror("192.0.2.1/24", "2001:db8::1/64") as mirror:
        mirror.has("address 192.0.2.1/24")  # a second start finds them there already


@case("routes of every kind are followed as they come and go")
def _():
    fresh_port()
    with Mirror("192.0.2.1/24", "2001:db8::1/64") as mirror:
        gate("ip route add 10.3.0.0/16 via 198.51.100.9 dev port0 onlink")
        mirror.has("route 10.3.0.0/16 via 198.51.100.9 metric 0")
        gate("ip route add unreachable 10.4.0.0/16")
        gate("ip route add blackhole 2001:db8:4::/48")
        mirror.has("route 10.4.0.0/16 blackhole via link metric 0")
        mirror.wait(lambda: any("2001:db8:4::/48 blackhole" in row for row in mirror.view), "IPv6 blackhole")
        gate("ip route add 10.5.0.0/16 nexthop via 10.9.0.2 dev lan0 nexthop via 192.0.2.5 dev port0")
        mirror.has("route 10.5.0.0/16 via 192.0.2.5 metric 0")
        gate("ip route add 10.6.0.0/16 via 192.0.2.6 metric 20")
        mirror.has("route 10.6.0.0/16 via 192.0.2.6 metric 20")
        gate("ip route add 10.6.0.0/16 via 192.0.2.7 metric 10")
        mirror.has("route 10.6.0.0/16 via 192.0.2.7 metric 10")
        gate("ip route del 10.6.0.0/16 via 192.0.2.7 metric 10")
        mirror.has("route 10.6.0.0/16 via 192.0.2.6 metric 20")
        gate("ip route add 10.7.0.0/16 via inet6 2001:db8::2 dev port0")
        mirror.has("route 10.7.0.0/16 via 2001:db8::2 metric 0")
        gate("ip route add 10.8.0.0/16 via 192.0.2.2 table 100")
        gate("ip route add 10.10.0.0/16 via 10.9.0.2")  # behind another interface
        gate("ip route add default via 192.0.2.2")
        mirror.has("route 0.0.0.0/0 via 192.0.2.2 metric 0")
        check(not any("10.8.0.0" in row or "10.10.0.0" in row for row in mirror.view), f"foreign: {mirror.view}")
        gate("ip link set port0 down")  # the kernel takes IPv4 routes away without a word
        mirror.lacks("route 10.3.0.0/16 via 198.51.100.9 metric 0")
        mirror.lacks("route 0.0.0.0/0 via 192.0.2.2 metric 0")
        gate("ip link set port0 up")
        mirror.has("route 192.0.2.0/24 via link metric 0")
    for route in ("10.4.0.0/16", "10.10.0.0/16", "10.8.0.0/16 table 100"):
        gate(f"ip route del {route}") if "table" not in route else inside(
            GATE, *f"ip route del {route}".split(), fine=(0, 2))
    gate("ip -6 route del blackhole 2001:db8:4::/48")


@case("2,000 routes at once are all there in the end")
def _():
    fresh_port()
    with Mirror("192.0.2.1/24") as mirror:
        batch = "".join(f"route add 172.16.{i // 256}.{i % 256}/32 via 192.0.2.2\n" for i in range(2000))
        inside(GATE, "ip", "-batch", "-", stdin=batch)
        mirror.wait(lambda: sum("172.16." in row for row in mirror.view) == 2000, "all of them")
        gate("ip address del 192.0.2.1/24 dev port0")
        mirror.wait(lambda: not any("172.16." in row for row in mirror.view), "none of them")


def neighbour_state(address):
    found = json.loads(inside(GATE, "ip", "-j", "neigh", "show", address, "dev", "port0") or "[]")
    return found[0]["state"] if found else []


def peer_mac():
    return json.loads(inside(PEER, "ip", "-j", "link", "show", "peer0"))[0]["address"]


@case("TRAPS 57: a wanted neighbour is resolved, v4 and v6, and one that does not answer is not handed on")
def _():
    fresh_port()
    with Mirror("192.0.2.1/24", "2001:db8::1/64") as mirror:
        for address in ("192.0.2.2", "2001:db8::2", "192.0.2.77"):
            mirror.say(f"want {address}")
        mirror.wait(lambda: mirror.neighbours.get("192.0.2.2") == peer_mac(), "IPv4")
        mirror.wait(lambda: mirror.neighbours.get("2001:db8::2") == peer_mac(), "IPv6")
        time.sleep(3.5)  # ARP has given up by now
        mirror.pump()
        check("192.0.2.77" not in mirror.neighbours, "a neighbour that is not there")
        gate("ip neigh del 192.0.2.2 dev port0")
        mirror.wait(lambda: "192.0.2.2" not in mirror.neighbours, "it goes when the kernel's entry goes")


@case("notifications that did not fit the socket are made up for")
def _():
    fresh_port()
    with Mirror("192.0.2.1/24") as mirror:
        mirror.has("address 192.0.2.1/24")
        time.sleep(2)  # no dump runs or is due: the kernel tells of a link up to a second later
        inner = mirror.process.pid  # ip netns exec becomes the program
        os.kill(inner, signal.SIGSTOP)
        try:
            # Neighbours of another interface fill the buffer, and start no dump; then the one that counts is lost.
            flood = "".join(f"neigh replace 10.9.{i // 250 % 250}.{i % 250 + 1} lladdr 02:00:5e:00:{n:02x}:01 "
                            "nud permanent dev lan0\n" for n in range(8) for i in range(2500))
            inside(GATE, "ip", "-batch", "-", stdin=flood)
            gate("ip neigh replace 192.0.2.55 lladdr 02:00:5e:00:53:55 nud permanent dev port0")
            drops = [line.split()[8] for line in inside(GATE, "cat", "/proc/net/netlink").splitlines()[1:]]
            check(any(int(count) > 0 for count in drops), "the buffer holds it all: this test proves nothing")
        finally:
            os.kill(inner, signal.SIGCONT)
        mirror.wait(lambda: mirror.neighbours.get("192.0.2.55") == "02:00:5e:00:53:55", "the lost neighbour")
    gate("ip neigh flush dev lan0 nud permanent")


@case("TRAPS 57: a neighbour in use is confirmed again as it ages, so a new MAC is found; one not in use is not")
def _():
    fresh_port()
    # The kernel draws the reachable time from half to one and a half of its base. Where it is shorter than the delay
    # before the first probe, an entry goes from reachable to delay and back for ever and never comes to rest.
    for setting in ("base_reachable_time_ms=3000", "delay_first_probe_time=1", "retrans_time_ms=200"):
        gate(f"sysctl -qw net.ipv4.neigh.port0.{setting}")
    first, second = peer_mac(), "02:00:5e:00:53:07"
    with Mirror("192.0.2.1/24") as mirror:
        def use_until(mac, seconds):
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                mirror.say("want 192.0.2.2")
                mirror.pump()
                if mirror.neighbours.get("192.0.2.2") == mac:
                    return True
                time.sleep(0.3)
            return False
        check(use_until(first, 10), "resolved")
        # Nobody uses it any more; what was still being verified has come to rest.
        wait_for(lambda: neighbour_state("192.0.2.2") == ["STALE"], 20, "it goes stale")
        # The peer falls silent under another MAC: nothing of it may teach the gateway.
        inside(PEER, "sysctl", "-qw", "net.ipv4.conf.peer0.arp_notify=0")
        inside(PEER, "ip", "link", "set", "peer0", "address", second)
        time.sleep(3)
        mirror.pump()
        check_equal(mirror.neighbours.get("192.0.2.2"), first, "not in use: left alone")
        check(use_until(second, 20), f"in use, but {mirror.neighbours}")


main(up, down)
