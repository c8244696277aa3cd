# SPDX-License-Identifier: Apache-2.0
"""Packets of one interface, written to a file."""
import signal

from .net import wait_until


class Capture:
    """tcpdump on `device` of a namespace from construction until stop(); `path` is the pcap file."""

    def __init__(self, space, device, name, expression=""):
        self.path = space.lab.logs / f"{name}.pcap"
        words = ["tcpdump", "-i", device, "-Z", "root", "-s", "0", "-B", "16384", "--immediate-mode", "-U", "-n", "-w", str(self.path)]
        self.process = space.start(words + expression.split(), f"{name}.tcpdump")
        wait_until(lambda: "listening on" in self.process.text() or not self.process.alive(), 10, "tcpdump listens")
        if not self.process.alive():
            raise AssertionError(f"tcpdump ended: {self.process.text()}")

    def stop(self):
        """Ends the capture; everything seen is in the file afterwards. Returns the path."""
        self.process.stop(signal.SIGINT)
        if "0 packets dropped by kernel" not in self.process.text():
            raise AssertionError(f"the capture lost packets: {self.process.text()}")
        return self.path
