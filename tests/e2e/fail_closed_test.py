# SPDX-License-Identifier: Apache-2.0
# timeout: 240
"""Nothing protected in clear: without an SA, while the daemon is dead, from the host itself; and what a restart finds."""
import json
import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab import topology
from lab.audit import Audited
from lab.capture import Capture
from lab.net import Lab, run, wait_until
from lab.sluiced import Sluiced, moon_config, psk_sections
from lab.static_sa import IP, SUITES, ScapyPeer, StaticPair
from lab.topology import ALICE4, CAROL4, CAROL6, CAROL_IN4, CAROL_IN6, FAR4, FAR6, LAN4, LAN6, MOON4, MOON_IN4
from lab.traffic import ping, ping_until
from lab.tunnel import Tunnel
from scapy.layers.inet import ICMP
from scapy.packet import Raw
from script import case, check, check_equal, main


def protected_text(path):
    """The lines of a capture that show an address of alice's or carol's network."""
    text = run(["tcpdump", "-n", "-r", path], ok=None).stdout
    return [line for line in text.splitlines() if any(a in line for a in ("10.1.0.", "10.2.0.", "fd01::", "fd02::"))]


@case("TRAPS 54: a policy without an SA lets nothing through, with start_action none and trap")
def no_sa():
    for action in ("none", "trap"):
        with Lab(f"no-sa-{action}") as lab:
            gateway = topology.Gateway(lab)
            sections = psk_sections(start_action=action, remote_addrs=CAROL4, children={"net": ([LAN4], [FAR4]), "net6": ([LAN6], [FAR6])})
            daemon = Sluiced(gateway.moon, moon_config(lab, sections)).start()
            gateway.carol.route(f"{LAN4} via {MOON4}")
            wire = Capture(gateway.outside, gateway.outside_device, "outside")
            lan = Capture(gateway.alice, "eth0", "inside")
            for target in (CAROL_IN4, CAROL_IN6):
                check_equal(ping(gateway.alice, target, count=4, ok=False, timeout=1), 0)
            check_equal(ping(gateway.carol, ALICE4, CAROL_IN4, count=3, ok=False, timeout=1), 0, "clear into the protected network")
            dropped = daemon.drops()
            check(dropped.get("clear_in_protected", 0) >= 3, f"what came in clear is counted: {dropped}")
            if action == "none":
                check(dropped.get("no_sa", 0) >= 8, f"what went out without an SA is counted: {dropped}")
            outside = [line for line in protected_text(wire.stop()) if "> 10.2.0." in line or "> fd02::" in line]
            check_equal(outside, [], "protected and in clear")
            check_equal([line for line in protected_text(lan.stop()) if "10.2.0.1 > 10.1.0.10" in line], [], "carol's clear packet reached alice")


def state_of_host(space):
    """What a daemon leaves in its namespace: interfaces, netfilter tables, UDP and TCP sockets."""
    links = sorted(link["ifname"] for link in json.loads(space.run("ip -j link").stdout))
    tables = space.run("nft list tables").stdout.split("\n")
    sockets = space.run("ss -H -n -u -t -l -x").stdout.splitlines()
    return {"links": links, "tables": sorted(t for t in tables if t), "udp": sorted(s.split()[4] for s in sockets if s.startswith("udp"))}


@case("TRAPS 60: kill -9 under traffic: nothing crosses in clear while it is dead, and it comes up again with nothing stale", timeout=90)
def killed():
    with Lab("killed") as lab:
        tunnel = Tunnel(lab)
        tunnel.moon.forward()  # the kernel of moon would route, if it were let
        tunnel.start()
        tunnel.up_from_carol("net")
        tunnel.settle()
        running = state_of_host(tunnel.moon)
        tunnel.carol.route(f"{LAN4} via {MOON4}")
        wire = Capture(tunnel.gateway.outside, tunnel.gateway.outside_device, "dead-outside")
        flood = [space.start(["ping", "-n", "-q", "-i", "0.01", *words], f"flood-{space.short}.log")
                 for space, words in ((tunnel.alice, [CAROL_IN4]), (tunnel.carol, ["-I", CAROL_IN4, ALICE4]))]
        wait_until(lambda: tunnel.daemon.metric("worker_esp_out_packets_total") > 20, 5, "traffic flows")
        tunnel.daemon.kill()
        ping(tunnel.alice, CAROL_IN4, count=60, interval=0.02, ok=False, timeout=1)
        for process in flood:
            process.stop()
        tunnel.peer.process.kill()
        dead_from_both_sides(tunnel)
        crossed = [line for line in protected_text(wire.stop()) if "> 10.2.0." in line]
        check_equal(crossed, [], "alice's packets in clear outside")
        without_guard(tunnel)
        restarted(tunnel, running)


def dead_from_both_sides(tunnel):
    """The worst case: the ports get addresses, ARP and routes, so the kernel of moon would route in clear. Nothing reaches alice or carol."""
    lan = Capture(tunnel.alice, "eth0", "dead-inside")
    ports = ((MOON4, "wan0"), (MOON_IN4, "lan0"))
    for address, device in ports:
        tunnel.moon.ip(f"link set {device} arp on")
        tunnel.moon.ip(f"addr add {address}/24 dev {device}")
    tunnel.moon.route(f"{FAR4} via {CAROL4}")
    check_equal(ping(tunnel.carol, ALICE4, CAROL_IN4, count=3, ok=False, timeout=1), 0, "clear from carol while the daemon is dead")
    check_equal(ping(tunnel.alice, CAROL_IN4, count=3, ok=False, timeout=1), 0, "clear from alice while the daemon is dead")
    check_equal([line for line in protected_text(lan.stop()) if "10.2.0.1 > 10.1.0.10" in line], [], "carol's packets in clear inside")


def without_guard(tunnel):
    """The same without what the daemon left in netfilter: now it crosses, so it was that which kept it back."""
    guard = tunnel.moon.run("nft list ruleset").stdout
    check("ingress" in guard, f"the guard outlives the daemon: {guard}")
    tunnel.moon.run("nft flush ruleset")
    ping_until(tunnel.carol, ALICE4, CAROL_IN4, timeout=5)
    for address, device in ((MOON4, "wan0"), (MOON_IN4, "lan0")):
        tunnel.moon.ip(f"addr del {address}/24 dev {device}")


def restarted(tunnel, running):
    """Comes up again, serves a tunnel, and after an orderly stop the namespace is as before the first start."""
    tunnel.peer.stop()
    tunnel.daemon.start()
    again = state_of_host(tunnel.moon)
    check_equal(again["links"], running["links"], "interfaces")
    check_equal(again["tables"], running["tables"], "netfilter tables")
    check_equal(again["udp"], running["udp"], "sockets")
    tunnel.peer.start()
    with tunnel.audited("restarted"):
        tunnel.up_from_carol("net")
        tunnel.settle()
        check_equal(ping(tunnel.alice, CAROL_IN4, count=5), 5)
    tunnel.daemon.stop()
    left = state_of_host(tunnel.moon)
    check_equal([link for link in left["links"] if link in ("wan", "lan")], [], "TAPs after an orderly stop")
    check_equal(left["udp"], [], "sockets after an orderly stop")


@case("the key log is refused unless the configuration allows it")
def key_log():
    with Lab("key-log") as lab:
        gateway = topology.Gateway(lab)
        daemon = Sluiced(gateway.moon, moon_config(lab, psk_sections(), key_log=False))
        done = gateway.moon.run(daemon.words(), ok=None, timeout=20)
        check_equal(done.returncode, 2, "exit code")
        check("allow_key_log" in done.stderr, done.stderr)
        check(not daemon.key_log.exists(), "no file was made")
        daemon.start(key_log=False)
        daemon.stop()
        check(not daemon.key_log.exists(), "nothing is logged without being asked")
        daemon.configure(moon_config(lab, psk_sections()))
        daemon.start()
        daemon.stop()
        check_equal(os.stat(daemon.key_log).st_mode & 0o777, 0o600, "who may read the key log")


def static_lab(lab, **words):
    """sluiced with one static SA pair, and scapy as the far side in carol."""
    gateway = topology.Gateway(lab)
    pair = StaticPair(SUITES[0], MOON4, CAROL4, LAN4, FAR4, encap=True)
    daemon = Sluiced(gateway.moon, moon_config(lab, pair.toml(), **words)).start()
    return gateway, daemon, ScapyPeer(gateway.carol, pair)


@case("TRAPS 59: what the host itself sends through its interface passes the outbound policy")
def host_traffic():
    with Lab("host") as lab:
        gateway, daemon, peer = static_lab(lab)
        with Audited(lab, daemon, gateway.alice, gateway.outside, gateway.outside_device, esp_at_least=1):
            ping(gateway.moon, CAROL4, timeout=2, ok=False)  # moon learns carol's address in clear: no policy protects it
            sender = gateway.moon.start(["ping", "-n", "-c", "3", "-i", "0.3", "-I", MOON_IN4, CAROL_IN4], "ping-host.log")
            got = peer.receive(timeout=4)
            check(got is not None, f"the host's packet comes as ESP; drops {daemon.drops()}")
            check_equal((got[IP].src, got[IP].dst, got[ICMP].type), (MOON_IN4, CAROL_IN4, 8))
            # The answer goes in as ESP and up to the host.
            peer.send(IP(src=CAROL_IN4, dst=MOON_IN4) / ICMP(type=0, id=got[ICMP].id, seq=got[ICMP].seq) / Raw(bytes(got[Raw])))
            sender.popen.wait(10)
            check("1 received" in sender.text(), sender.text())


@case("TRAPS 57: a neighbour that ages out under traffic does not stop forwarding", timeout=60)
def neighbour_ages():
    with Lab("neighbour") as lab:
        tunnel = Tunnel(lab).start()
        for device in ("wan", "lan"):
            tunnel.moon.sysctl(**{f"net__ipv4__neigh__{device}__{key}": value for key, value in
                                  (("base_reachable_time_ms", 500), ("gc_stale_time", 1), ("delay_first_probe_time", 1))})
        tunnel.up_from_carol("net")
        tunnel.settle()
        with tunnel.audited(esp_at_least=300):
            check_equal(ping(tunnel.carol, ALICE4, CAROL_IN4, count=400, interval=0.02), 400, "while entries age")
            for device in ("wan", "lan"):
                tunnel.moon.ip(f"neigh flush dev {device}")
            ping_until(tunnel.carol, ALICE4, CAROL_IN4, timeout=5)
            check_equal(ping(tunnel.carol, ALICE4, CAROL_IN4, count=20, interval=0.02), 20, "after all entries were flushed")


if __name__ == "__main__":
    main()
