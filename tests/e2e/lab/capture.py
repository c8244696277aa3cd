# SPDX-License-Identifier: Apache-2.0
"""Packets of one interface, written to a file."""
import signal
import socket

from .net import wait_until

PCAP_HEADER = 24
# To nobody, with the EtherType for local experiments (IEEE 802).
MARKER = bytes.fromhex("020000000000" "020000000001" "88b5") + bytes(46)


class Capture:
    """tcpdump on `device` of a namespace from construction until stop(); `path` is the pcap file."""

    def __init__(self, space, device, name):
        self.path = space.lab.logs / f"{name}.pcap"
        if self.path.exists():
            raise ValueError(f"two captures are called {name}")
        words = ["tcpdump", "-i", device, "-Z", "root", "-s", "0", "-B", "16384", "--immediate-mode", "-U", "-n", "-w", str(self.path)]
        self.process = space.start(words, f"{name}.tcpdump")
        wait_until(lambda: "listening on" in self.process.text() or not self.process.alive(), 10, "tcpdump listens")
        if not self.process.alive():
            raise AssertionError(f"tcpdump ended: {self.process.text()}")
        # It has to be seen to capture: a frame of our own comes first.
        marker = space.call(socket.socket, socket.AF_PACKET, socket.SOCK_RAW)
        with marker:
            marker.bind((device, 0))
            wait_until(lambda: marker.send(MARKER) and self.path.exists() and self.path.stat().st_size > PCAP_HEADER, 10,
                       "the capture sees a frame")

    def stop(self):
        """Ends the capture; everything seen is in the file afterwards. Returns the path."""
        self.process.stop(signal.SIGINT)
        if "0 packets dropped by kernel" not in self.process.text():
            raise AssertionError(f"the capture lost packets: {self.process.text()}")
        return self.path
