# SPDX-License-Identifier: Apache-2.0
# timeout: 400
"""The lab works without the daemon: charon with charon, the guest kernel with scapy, and nothing is left behind."""
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab import topology
from lab.capture import Capture
from lab.charon import Charon, psk_connection
from lab.guest import KernelPeer
from lab.net import Lab, run, wait_until
from lab.static_sa import IP, SCAPY_SUITES, ScapyPeer, StaticPair
from lab.traffic import Iperf3, ping, ping_until, tcp_echo, udp_echo
from scapy.layers.inet import ICMP
from scapy.packet import Raw
from script import case, check, check_equal, main


def charons(gateway):
    """charon in moon and in carol, with one tunnel between the networks."""
    moon_child = {"net": {"local_ts": "10.1.0.0/24", "remote_ts": "10.2.0.0/24", "esp_proposals": "aes128gcm16"}}
    carol_child = {"net": {"local_ts": "10.2.0.0/24", "remote_ts": "10.1.0.0/24", "esp_proposals": "aes128gcm16"}}
    far = topology.CAROL_BEHIND_NAT if gateway.nat else topology.CAROL4
    moon = Charon(gateway.moon, psk_connection(topology.MOON4, "%any", "moon.lab.test", "carol.lab.test", moon_child, "a secret of the lab",
                                               mobike="no"))
    carol = Charon(gateway.carol, psk_connection(far, topology.MOON4, "carol.lab.test", "moon.lab.test", carol_child, "a secret of the lab",
                                                 dpd_delay="1s", mobike="no"))  # charon follows a new mapping from IKE messages alone
    return moon.start(), carol.start()


@case("charon carries alice's packets to carol, and the wire shows only ESP in UDP")
def charon_charon():
    with Lab("charon") as lab:
        gateway = topology.Gateway(lab)
        gateway.kernel_moon()
        _, carol = charons(gateway)
        wire = Capture(gateway.outside, gateway.outside_device, "outside")
        carol.initiate("net")
        carol.wait_installed("net")
        check_equal(ping(gateway.carol, topology.ALICE4, topology.CAROL_IN4, count=3), 3)
        check(tcp_echo(gateway.alice, topology.ALICE4, gateway.carol, topology.CAROL_IN4, bytes(range(256)) * 64), "TCP echo")
        check_equal(udp_echo(gateway.alice, topology.ALICE4, gateway.carol, topology.CAROL_IN4, [b"x" * n for n in (1, 900)]), [])
        server = Iperf3(gateway.alice, topology.ALICE4)
        rate, _ = server.run(gateway.carol, topology.CAROL_IN4, seconds=1)
        check(rate > 1, f"iperf3 gave {rate} Mbit/s")
        text = run(["tcpdump", "-n", "-r", wire.stop()]).stdout
        check("UDP-encap: ESP" in text, text[-500:])
        check("10.1.0.10" not in text, "a packet of alice is in clear on the wire")


@case("a masquerading router maps carol's ports, and maps them anew in mid-flow")
def masquerade():
    with Lab("nat") as lab:
        gateway = topology.Gateway(lab, nat=True)
        gateway.kernel_moon()
        moon, carol = charons(gateway)
        carol.initiate("net")
        carol.wait_installed("net")
        ping(gateway.carol, topology.ALICE4, topology.CAROL_IN4)
        check("[20" in moon.sas(), f"carol's port is mapped: {moon.sas()}")
        gateway.masquerade("30000-30999")
        ping_until(gateway.carol, topology.ALICE4, topology.CAROL_IN4)
        wait_until(lambda: "[30" in moon.sas(), 5, "the peer sees the new mapping")


@case("a wrong secret is refused in charon's own words")
def wrong_secret():
    with Lab("psk") as lab:
        gateway = topology.Gateway(lab)
        gateway.kernel_moon()
        _, carol = charons(gateway)
        carol.configure(psk_connection(topology.CAROL4, topology.MOON4, "carol.lab.test", "moon.lab.test",
                                       {"net": {"local_ts": "10.2.0.0/24", "remote_ts": "10.1.0.0/24"}}, "another secret"))
        carol.load()
        check("AUTHENTICATION_FAILED" in carol.initiate("net", ok=None), carol.log()[-500:])


@case("the guest kernel and scapy understand each other's ESP, with and without ESN", timeout=240)
def kernel_scapy():
    with Lab("kernel") as lab:
        moon = lab.namespace("moon")
        peer = KernelPeer(lab, moon)
        moon.address("wan0", f"{topology.MOON4}/24")
        peer.exec(f"ip route add 10.1.0.0/24 via {topology.MOON4}")
        for suite in SCAPY_SUITES:
            for esn in (False, True):
                pair = StaticPair(suite, topology.CAROL4, topology.MOON4, topology.FAR4, topology.LAN4, esn=esn)
                flipped = StaticPair(suite, topology.MOON4, topology.CAROL4, topology.LAN4, topology.FAR4, esn=esn)
                peer.clear()
                peer.exec(flipped.kernel())
                scapy = ScapyPeer(moon, pair_for_scapy(pair))
                scapy.send(IP(src="10.1.0.9", dst="10.2.0.1") / ICMP(id=7, seq=1) / Raw(b"x" * 40))
                reply = scapy.receive()
                scapy.close()
                check(reply is not None, f"{suite.proposal} esn={esn}: no reply, {peer.xfrm_errors()}")
                check_equal((reply[ICMP].type, bytes(reply[Raw])), (0, b"x" * 40), suite.proposal)


def pair_for_scapy(pair):
    """scapy plays the near side here, so it sends on what the kernel receives."""
    return StaticPair(pair.suite, pair.near, pair.far, pair.near_ts, pair.far_ts, esn=pair.esn, spi_in=0x2002, spi_out=0x1001)


@case("a lab that closes leaves no namespace, process or file")
def nothing_left():
    with Lab("tidy") as lab:
        gateway = topology.Gateway(lab)
        sleeper = gateway.alice.start(["sleep", "100"], "sleep.log")
        work, prefix = lab.work, lab.prefix
        check(len(topology.leftovers(prefix)) == 3, "three namespaces while it is open")
    check_equal(topology.leftovers(prefix), [])
    check(not sleeper.alive() and not work.exists(), "process and folder are gone")


if __name__ == "__main__":
    main()
