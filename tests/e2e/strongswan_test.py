# SPDX-License-Identifier: Apache-2.0
# timeout: 300
"""A strongSwan client and Sluice: both initiate, every AEAD and CBC, IPv4 and IPv6 inside and outside, sizes, throughput."""
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab import topology
from lab.net import Lab
from lab.topology import ALICE4, ALICE6, CAROL_IN4, CAROL_IN6
from lab.traffic import Iperf3, ping, ping_sweep, tcp_echo, udp_echo
from lab.tunnel import Tunnel
from script import case, check, check_equal, main

# Around the edges: the smallest, the tunnel's MTU over UDP and IPv4 for each algorithm, the link's MTU, and fragments of the inner packet.
SIZES = [0, 1, 2, 3, 7, 64, 500, 1299, 1300, *range(1368, 1400), 1430, 1440, 1452, 1472, 1473, 2000, 2960, 4000, 8000]


def both_ways(suite):
    with Lab(f"suite-{suite}") as lab:
        tunnel = Tunnel(lab, suite).start()
        with tunnel.audited(esp_at_least=20) as audit:
            tunnel.up_from_carol("net", "net6")
            traffic(tunnel)
            tunnel.down_from_moon()
            tunnel.up_from_moon("net", "net6")
            traffic(tunnel)
        check(audit.esp(topology.MOON4) >= 20, f"ESP of moon on the wire: {audit.report['flows']}")
        tunnel.daemon.stop()


def traffic(tunnel):
    tunnel.settle(v6=True)
    for target, source in ((ALICE4, CAROL_IN4), (ALICE6, CAROL_IN6)):
        check_equal(ping(tunnel.carol, target, source, count=5, interval=0.02), 5)
        check_equal(ping(tunnel.alice, source, target, count=5, interval=0.02), 5)
        check(tcp_echo(tunnel.alice, target, tunnel.carol, source, bytes(range(256)) * 512), f"TCP echo with {target}")
        check_equal(udp_echo(tunnel.alice, target, tunnel.carol, source, [bytes([n & 255]) * n for n in (1, 700, 1300)]), [])


@case("aes128gcm16: carol initiates, then Sluice; IPv4 and IPv6 inside")
def gcm128():
    both_ways("aes128gcm16")


@case("aes256gcm16: carol initiates, then Sluice; IPv4 and IPv6 inside")
def gcm256():
    both_ways("aes256gcm16")


@case("chacha20poly1305: carol initiates, then Sluice; IPv4 and IPv6 inside")
def chacha():
    both_ways("chacha20poly1305")


@case("aes128-sha256: carol initiates, then Sluice; IPv4 and IPv6 inside")
def cbc():
    both_ways("aes128-sha256")


@case("IPv6 outside, IPv4 and IPv6 inside")
def outer6():
    with Lab("outer6") as lab:
        tunnel = Tunnel(lab, outer6=True).start()
        with tunnel.audited(esp_at_least=10) as audit:
            tunnel.up_from_carol("net", "net6")
            traffic(tunnel)
        check(audit.esp(topology.MOON6) >= 10, f"ESP over IPv6: {audit.report['flows']}")


@case("pings of every size over the MTU edge come back, both directions")
def sizes():
    with Lab("sizes") as lab:
        tunnel = Tunnel(lab).start()
        with tunnel.audited(esp_at_least=2 * len(SIZES)):
            tunnel.up_from_carol("net", "net6")
            tunnel.settle(v6=True)
            check_equal(ping_sweep(tunnel.carol, ALICE4, SIZES, CAROL_IN4), [], "carol -> alice lost")
            # A source learns the tunnel's MTU from the first "packet too big" and cuts its packets from then on.
            ping(tunnel.alice, CAROL_IN4, size=1472, ok=False)
            check_equal(ping_sweep(tunnel.alice, CAROL_IN4, SIZES), [], "alice -> carol lost")
            ping(tunnel.alice, CAROL_IN6, size=1452, ok=False)
            check_equal(ping_sweep(tunnel.alice, CAROL_IN6, SIZES[::3]), [], "alice -> carol over IPv6 lost")


@case("a packet with DF that does not fit is answered with the tunnel's MTU (TRAPS 40)")
def too_big():
    with Lab("too-big") as lab:
        tunnel = Tunnel(lab).start()
        with tunnel.audited():
            tunnel.up_from_carol("net")
            tunnel.settle()
            done = tunnel.alice.run(["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1472", CAROL_IN4], ok=None)
            told = [word for line in (done.stdout + done.stderr).splitlines() if "mtu" in line.lower() for word in line.split("mtu")[-1].split()]
            mtu = next((int(w.strip("=()")) for w in told if w.strip("=()").isdigit()), 0)
            check(1380 <= mtu < 1460, f"the MTU that alice learns: {done.stdout} {done.stderr}")
            check_equal(ping(tunnel.alice, CAROL_IN4, size=mtu - 28, dont_fragment=True), 1, "a packet of just that size passes")


@case("iperf3 both ways; the worker counts what passed", timeout=90)
def throughput():
    with Lab("iperf3") as lab:
        tunnel = Tunnel(lab).start()
        with tunnel.audited(esp_at_least=500) as audit:
            tunnel.up_from_carol("net")
            tunnel.settle()
            server = Iperf3(tunnel.alice, ALICE4)
            for reverse in (False, True):
                rate, _ = server.run(tunnel.carol, CAROL_IN4, seconds=2, reverse=reverse)
                print(f"{'alice -> carol' if reverse else 'carol -> alice'}: {rate:.0f} Mbit/s", file=sys.stderr)
                check(rate > 5, f"{rate} Mbit/s")
        check(audit.esp() > 1000, "the captures hold the traffic")


@case("with AF_PACKET ports the tunnel works as with AF_XDP")
def af_packet():
    with Lab("af-packet") as lab:
        tunnel = Tunnel(lab, driver="af_packet").start()
        with tunnel.audited(esp_at_least=10):
            tunnel.up_from_carol("net", "net6")
            traffic(tunnel)


if __name__ == "__main__":
    main()
