#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A port on veth and the kernel's TAP behind it: what crosses, what the guard keeps out, and what kill -9 leaves."""
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from host_lab import BUILD, GATE, LAN, PEER, Twin, control, down, inside, ping, up  # noqa: E402
from script import case, check, check_equal, main, wait_for  # noqa: E402


def crosses(driver, largest):
    with Twin(driver) as twin:
        check(f"driver={driver}" in twin.ready, f"it fell back: {twin.ready}")
        check("fds=1" in twin.ready, f"no descriptor to wait for: {twin.ready}")
        check_equal(ping(PEER, "192.0.2.1"), (5, 0), "ARP and ICMP")
        check_equal(ping(PEER, "2001:db8::1"), (5, 0), "ND and ICMPv6")
        check_equal(ping(PEER, "192.0.2.1", size=largest), (5, 0), f"{largest} bytes")
        check_equal(ping(GATE, "192.0.2.2"), (5, 0), "the kernel of the gateway as the caller")
        mac = json.loads(inside(GATE, "ip", "-j", "link", "show", "port0"))[0]["address"]
        known = json.loads(inside(PEER, "ip", "-j", "neigh", "show", "192.0.2.1"))[0]["lladdr"]
        check_equal(known, mac, "the kernel answers with the port's MAC")
        counts = twin.stop()
        check_equal(counts["dropped"], "0", "drops")


@case("AF_XDP: ARP, ND and pings cross once, fragments of 9,000 bytes too")
def _():
    crosses("af_xdp", 9000)


@case("AF_PACKET: ARP, ND and pings cross once")
def _():
    crosses("af_packet", 1472)


@case("AF_XDP: more packets than the pool has mbufs, and none is lost for good")
def _():
    with Twin("af_xdp", mode="poll") as twin:
        out = inside(PEER, "ping", "-q", "-f", "-c", "30000", "-W", "2", "192.0.2.1", fine=(0, 1))
        received = int(out.split(" packets transmitted, ")[1].split()[0])
        check(received > 29000, out)
        check_equal(ping(PEER, "192.0.2.1")[0], 5, "afterwards")
        # The fill ring keeps 2,048; what is beyond was received or being sent when the worker stopped.
        check(int(twin.stop()["in_use"]) < 2048 + 512, "mbufs are missing")


@case("an idle worker sleeps and a packet wakes it")
def _():
    with Twin("af_xdp") as twin:
        ping(PEER, "192.0.2.1", count=1)
        time.sleep(0.5)
        before = twin.cpu_seconds()
        time.sleep(2)
        used = twin.cpu_seconds() - before
        check(used < 0.5, f"{used} s of CPU in 2 s of nothing")
        out = inside(PEER, "ping", "-n", "-c", "10", "-i", "0.25", "192.0.2.1")
        fastest = float(out.rsplit("= ", 1)[1].split("/")[0])
        check(fastest < 50, f"{fastest} ms: the 100 ms bound ended the sleep, not the packet")


@case("a device that is not there is an error that names it")
def _():
    done = subprocess.run(["ip", "netns", "exec", GATE, str(BUILD / "host-twin"), "af_xdp", "nodev", "wan", "1500",
                           "adaptive"], capture_output=True, text=True)
    check_equal(done.returncode, 1)
    check("there is no interface nodev" in done.stderr, done.stderr)


@case("a host interface whose name is taken is an error that names it")
def _():
    done = subprocess.run(["ip", "netns", "exec", GATE, str(BUILD / "host-twin"), "af_packet", "port0", "lan0", "1500",
                           "adaptive"], capture_output=True, text=True)
    check_equal(done.returncode, 1)
    check("lan0: an interface of that name exists" in done.stderr, done.stderr)


@case("AF_XDP that cannot serve a port falls back to AF_PACKET, and says so")
def _():
    # A page holds an mbuf with at most some 3,500 bytes of packet, so AF_XDP cannot take this MTU on.
    control("prepare", "port0")  # an XDP program that is still there would limit the MTU
    inside(PEER, "ip", "link", "set", "peer0", "mtu", "3800")
    try:
        inside(GATE, "ip", "link", "set", "port0", "mtu", "3800")
        with Twin("af_xdp", mtu=3800) as twin:
            check("driver=af_packet" in twin.ready, twin.ready)
            check_equal(ping(PEER, "192.0.2.1", size=3700), (5, 0), "3,700 bytes")
            twin.process.terminate()
            check("falling back to AF_PACKET" in twin.process.communicate(timeout=30)[1], "no word of it in the log")
    finally:
        inside(PEER, "ip", "link", "set", "peer0", "mtu", "1500")
        inside(GATE, "ip", "link", "set", "port0", "mtu", "1500")


def lan_reaches_peer():
    """How many datagrams that the peer sends to the LAN arrive there, over the gateway's kernel."""
    sink = subprocess.Popen(["ip", "netns", "exec", LAN, "timeout", "2", "tcpdump", "-lni", "host0", "udp", "port",
                             "9"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    sink.stderr.readline()
    mac = json.loads(inside(GATE, "ip", "-j", "link", "show", "port0"))[0]["address"]
    inside(PEER, "ip", "neigh", "replace", "192.0.2.1", "lladdr", mac, "dev", "peer0")
    inside(PEER, "python3", "-c", "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
           "for i in range(5): s.sendto(b'clear', ('10.9.0.2', 9))")
    lines = sink.communicate()[0].splitlines()
    inside(PEER, "ip", "neigh", "delete", "192.0.2.1", "dev", "peer0")
    return sum("UDP" in line for line in lines)


@case("TRAPS 60: after kill -9 nothing crosses a forwarding kernel, and without the guard it would")
def _():
    inside(GATE, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    inside(GATE, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.port0.rp_filter=0")
    with Twin("af_xdp") as twin:
        check_equal(ping(PEER, "192.0.2.1"), (5, 0), "alive, with forwarding on: no duplicates")
        twin.kill()
        wait_for(lambda: "wan" not in inside(GATE, "ip", "-br", "link"), 5, "the TAP goes with its process")
        check_equal(lan_reaches_peer(), 0, "datagrams that crossed while it is dead")
        control("unguard", "twin")
        check(lan_reaches_peer() > 0, "nothing crosses without the guard either: this test proves nothing")
    inside(GATE, "sysctl", "-qw", "net.ipv4.ip_forward=0")


@case("TRAPS 60: started again after kill -9 it serves, for both drivers")
def _():
    for driver in ("af_xdp", "af_packet"):
        with Twin(driver) as twin:
            check_equal(ping(PEER, "192.0.2.1")[0], 5, "first life")
            twin.kill()
            wait_for(lambda: "wan" not in inside(GATE, "ip", "-br", "link"), 5, "the TAP goes with its process")
        with Twin(driver) as twin:
            check(f"driver={driver}" in twin.ready, twin.ready)
            check_equal(ping(PEER, "192.0.2.1"), (5, 0), "second life")
            twin.stop()


@case("the guard is one table a device: repeated, replaced, removed")
def _():
    tables = lambda: inside(GATE, "nft", "list", "tables")  # noqa: E731
    control("guard", "a-b", "port0")
    control("guard", "a-b", "port0")
    check_equal(tables().strip(), "table netdev sluice_a_2db__port0")
    control("guard", "a", "lan0")
    control("guard", "a-b", "lan0")
    check_equal(sorted(tables().split("\n"))[1:],
                ["table netdev sluice_a_2db__lan0", "table netdev sluice_a__lan0"], "the stale one goes")
    check("policy drop" in inside(GATE, "nft", "list", "table", "netdev", "sluice_a__lan0"), "it drops")
    control("unguard", "a-b")
    check_equal(tables().strip(), "table netdev sluice_a__lan0", "another prefix stays")
    control("unguard", "a")
    check_equal(tables().strip(), "")


@case("a prepared link has no addresses, no ARP, no IPv6 and no offloads, however often")
def _():
    inside(GATE, "ip", "address", "add", "198.51.100.1/24", "dev", "port0")
    inside(GATE, "ip", "address", "add", "198.51.100.2/24", "dev", "port0")
    inside(GATE, "ip", "address", "add", "203.0.113.1/32", "dev", "port0", "label", "port0:1")
    for _round in range(2):
        control("prepare", "port0")
        link = json.loads(inside(GATE, "ip", "-j", "address", "show", "port0"))[0]
        check_equal(link["addr_info"], [], "addresses")
        check("NOARP" in link["flags"] and "UP" in link["flags"], str(link["flags"]))
        check_equal(inside(GATE, "cat", "/proc/sys/net/ipv6/conf/port0/disable_ipv6").strip(), "1")
        features = inside(GATE, "ethtool", "-k", "port0")
        for feature in ("generic-receive-offload", "tx-checksumming", "rx-checksumming", "tx-tcp-segmentation"):
            check(f"{feature}: off" in features, feature)


main(up, down)
