# SPDX-License-Identifier: Apache-2.0
# timeout: 500
"""One SA over two workers, towards a Linux kernel whose replay window is as narrow as they come."""
import re
import socket
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab.audit import Audited
from lab.guest import KernelPeer
from lab.net import Lab, wait_until
from lab.sluiced import Sluiced, moon_config
from lab.static_sa import SUITES, StaticPair
from lab.topology import ALICE4, CAROL4, CAROL_IN4, FAR4, LAN4, MOON4, MOON_IN4
from lab.traffic import ping, ping_until
from script import case, check, check_equal, main

WORKERS = "[[worker]]\n[[worker]]\n"
ROUND = 256  # packets that find sluiced standing still: bursts of 64, of which a worker hands two runs of 16 over
ROUNDS = 10


class SpreadLab:
    """sluiced with two workers and a static SA that both carry; the guest kernel at the other end."""

    def __init__(self, lab, pair, ports=""):
        self.lab = lab
        self.moon, self.alice = lab.namespace("moon"), lab.namespace("alice")
        lab.veth(self.moon, "lan0", self.alice, "eth0")
        self.alice.address("eth0", f"{ALICE4}/24")
        self.alice.route(f"default via {MOON_IN4}")
        self.peer = KernelPeer(lab, self.moon)
        self.peer.exec(f"ip route add {LAN4} via {MOON4}")
        self.peer.exec("sysctl -qw net.ipv4.icmp_ratelimit=0 net.core.netdev_max_backlog=20000")
        self.peer.exec(pair.kernel())
        self.daemon = Sluiced(self.moon, moon_config(lab, WORKERS + pair.toml())).start()

    def by_worker(self, metric):
        return [self.daemon.metric(f"worker_{metric}_total", worker=str(w)) for w in range(2)]

    def send_round(self, target, size=200):
        """UDP to a port where nobody listens, and waits until it is sealed. It gathers in the ring while sluiced stands
        still, so a worker receives full bursts, however fast it is, and more than it keeps for itself."""
        before = sum(self.by_worker("esp_out_packets"))
        with self.daemon.suspended(), self.alice.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as out:
            for _ in range(ROUND):
                out.sendto(b"\x5a" * size, (target, 9))
        wait_until(lambda: sum(self.by_worker("esp_out_packets")) - before >= ROUND * 0.9, 20,
                   lambda: f"sealed: {self.by_worker('esp_out_packets')}; drops {self.daemon.drops()}")

    def accepted(self, spi):
        """Packets that the guest's SA has let through its window."""
        text = self.peer.exec(f"ip -s xfrm state get dst {CAROL4} proto esp spi {spi:#x}")
        found = re.search(r"lifetime current:\s+\d+\(bytes\), (\d+)\(packets\)", text)
        check(found is not None, f"the guest's SA: {text}")
        return int(found[1])


def spread(name, esn):
    pair = StaticPair(SUITES[0], MOON4, CAROL4, LAN4, FAR4, esn=esn, peer_window=32, workers="spread")
    with Lab(name) as lab:
        scene = SpreadLab(lab, pair)
        with Audited(lab, scene.daemon, scene.alice, scene.peer.space, "guest0", name, esp_at_least=1000):
            ping_until(scene.alice, CAROL_IN4)
            check_equal(ping(scene.alice, CAROL_IN4, count=20, interval=0.01, size=1300), 20)
            before = scene.accepted(pair.spi_out)
            for _ in range(ROUNDS):
                scene.send_round(CAROL_IN4)
            scene.peer.exec(f"ping -n -q -f -c 2000 -s 400 -I {CAROL_IN4} {ALICE4}", timeout=60)
        out, into = scene.by_worker("esp_out_packets"), scene.by_worker("esp_in_packets")
        sent = ROUNDS * ROUND
        check(min(out) > sent / 4, f"both workers seal: {out}")
        check(min(into) > 200, f"both workers open: {into}")
        check(scene.accepted(pair.spi_out) - before > sent / 2, f"the guest takes them: {scene.accepted(pair.spi_out)} of {sum(out)}")
        check_equal(scene.peer.xfrm_errors(), {}, "XFRM errors of the kernel")
        # foreign_mac: the frames by which a capture is seen to capture.
        unexpected = set(scene.daemon.drops()) - {"neighbour_missing", "tx_full", "handover_full", "foreign_mac"}
        check_equal(unexpected, set(), f"drops: {scene.daemon.drops()}")


@case("TRAPS 44, H11: two workers on one SA: no number comes too late for a window of 32", timeout=240)
def plain():
    spread("spread", esn=False)


@case("TRAPS 34, 44: the same with ESN", timeout=240)
def with_esn():
    spread("spread-esn", esn=True)


if __name__ == "__main__":
    main()
